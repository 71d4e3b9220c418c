"""A growing table is judged by what is new, its days are compared, and people hear of it once."""

import datetime as dt

import pytest

from platform_assets.quality.expectations import Range, RowCount
from platform_assets.quality.profiles import DailyProfile, Series
from platform_assets.quality.suite import Suite
from resources.quality.datasets import Datasets
from resources.quality.history import QualityHistory
from resources.quality.watching import Watch, described
from resources.settings import Settings
from resources.warehouse import Warehouse
from tests.resources.quality.conftest import KeepingNotifier

FIRST_DAY = dt.date(2026, 1, 5)
SALES = Suite(
    name="sales",
    dataset="marts.sales",
    watermark="loaded_at",
    expectations=[Range(column="price", min=0), RowCount(min=1)],
)
PROFILE = DailyProfile("marts.sales", day="day", watermark="loaded_at", means=("price",))


@pytest.fixture
def warehouse(settings: Settings) -> Warehouse:
    """An empty table of sales."""
    warehouse = Warehouse.of(settings)
    with warehouse.write("test") as connection:
        connection.execute("CREATE SCHEMA marts")
        connection.execute("CREATE TABLE marts.sales (day DATE, price DOUBLE, loaded_at TIMESTAMPTZ)")
    return warehouse


@pytest.fixture
def watch(settings: Settings, history: QualityHistory, notifier: KeepingNotifier) -> Watch:
    return Watch(Datasets.of(settings, published=False), history, notifier, sample_rows=5)


def sell(warehouse: Warehouse, load: int, day: int, prices: list[float]) -> None:
    """Add sales of one day, counted from the first, in one load."""
    with warehouse.write("test") as connection:
        connection.execute(
            "INSERT INTO marts.sales SELECT $day, unnest($prices), "
            "TIMESTAMPTZ '2026-06-01 00:00:00+00' + to_hours($load::INTEGER)",
            {"day": FIRST_DAY + dt.timedelta(days=day), "prices": prices, "load": load},
        )


def test_only_new_rows_are_judged_and_the_last_verdict_stands_until_there_are_some(
    warehouse: Warehouse, watch: Watch, history: QualityHistory
) -> None:
    sell(warehouse, 1, 0, [1.0, 2.0])
    assert watch.judge(SALES, run_id="run-1").success
    sell(warehouse, 2, 0, [3.0, -1.0, 5.0])
    for run in ("run-2", "run-3"):
        found = watch.judge(SALES, run_id=run).results[0]
        assert (found.judged, found.failing, found.samples[0].values["price"]) == (3, 1, -1.0)
    sell(warehouse, 3, 0, [4.0])
    assert watch.judge(SALES, run_id="run-4").row_count == 1
    failed = history.results("marts.sales", only_failed=True)
    assert [(past.run_id, past.suite) for past in failed] == [("run-3", "sales"), ("run-2", "sales")]


def test_changed_suite_judges_all_rows_again(warehouse: Warehouse, watch: Watch) -> None:
    sell(warehouse, 1, 0, [1.0, 2.0])
    watch.judge(SALES)
    stricter = Suite(
        name="sales", dataset="marts.sales", watermark="loaded_at", expectations=[Range(column="price", min=2)]
    )
    assert watch.judge(stricter).results[0].failing == 1


def test_table_without_rows_is_judged_as_empty(warehouse: Warehouse, watch: Watch) -> None:
    assert warehouse.path.exists()
    assert [found.success for found in watch.judge(SALES).results] == [True, False]
    assert watch.watch(PROFILE, today=FIRST_DAY).numbers == ()


def test_unusual_day_is_found_told_once_and_over_when_days_are_usual_again(
    warehouse: Warehouse, watch: Watch, notifier: KeepingNotifier
) -> None:
    for day in range(20):
        sell(warehouse, day, day, [10.0 + (place + day) % 3 for place in range(30)])
    today = FIRST_DAY + dt.timedelta(days=20)
    usual = watch.watch(PROFILE, today=today)
    assert (len(usual.numbers), usual.unusual, notifier.sent) == (2, (), [])

    sell(warehouse, 20, 20, [100.0] * 30)
    assert watch.watch(PROFILE, today=today).unusual == ()  # the day is not over
    unusual = watch.watch(PROFILE, today=today + dt.timedelta(days=1)).unusual
    assert [series for series, _ in unusual] == [Series("mean", "price")]
    assert described(*unusual[0]).startswith("mean of price: 100, the median is 11 (score +")
    assert [alert.title for alert in notifier.sent] == ["marts.sales: 2026-01-25 is unlike the days before it"]
    watch.watch(PROFILE, today=today + dt.timedelta(days=1))
    assert len({alert.id for alert in notifier.sent}) == 1

    sell(warehouse, 21, 21, [11.0] * 30)
    assert watch.watch(PROFILE, today=today + dt.timedelta(days=2)).unusual == ()
    assert notifier.resolved[-1].dedup_key == notifier.sent[0].dedup_key


def test_late_rows_count_their_day_again(warehouse: Warehouse, watch: Watch, history: QualityHistory) -> None:
    today = FIRST_DAY + dt.timedelta(days=30)
    sell(warehouse, 1, 0, [1.0])
    sell(warehouse, 1, 1, [1.0])
    watch.watch(PROFILE, today=today)
    sell(warehouse, 2, 0, [3.0])
    watch.watch(PROFILE, today=today)
    assert [one.value for one in history.days("marts.sales", Series("rows"), before=today)] == [2.0, 1.0]
    assert [one.value for one in history.days("marts.sales", Series("mean", "price"), before=today)] == [2.0, 1.0]


def test_a_flood_and_a_drought_are_anomalies_of_the_number_of_rows(warehouse: Warehouse, watch: Watch) -> None:
    for day in range(15):
        sell(warehouse, day, day, [1.0] * (100 + day % 4))
    sell(warehouse, 15, 15, [1.0] * 20)
    drought = watch.watch(PROFILE, today=FIRST_DAY + dt.timedelta(days=16))
    assert [series.metric for series, _ in drought.unusual] == ["rows"]
    sell(warehouse, 16, 15, [1.0] * 300)
    flood = watch.watch(PROFILE, today=FIRST_DAY + dt.timedelta(days=16))
    assert [(series.metric, found.value) for series, found in flood.unusual] == [("rows", 320.0)]
