"""Metrics are computed as declared, on a real snapshot."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest

from platform_assets.contracts.metric_queries import metric_query
from platform_assets.contracts.metrics import METRICS, Grain
from resources.settings import Settings
from resources.warehouse.hardened import HardenedDatabase, QueryRows
from resources.warehouse.metric_queries import compile_query, last_day_query
from resources.warehouse.snapshot_reader import open_snapshot
from tests.published_marts import publish_marts

ZONE = "America/New_York"
JANUARY: dict[str, Any] = {"first_day": dt.date(2017, 1, 1), "last_day": dt.date(2017, 1, 31)}


@pytest.fixture(scope="module")
def marts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HardenedDatabase]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"))
    with open_snapshot(settings.snapshots_dir, publish_marts(settings)) as opened:
        yield opened


def ask(marts: HardenedDatabase, name: str, **words: Any) -> QueryRows:
    query = metric_query(METRICS[name], **words)
    compiled = compile_query(query, ZONE)
    found = marts.run(compiled.sql, compiled.parameters, rows=query.limit)
    assert len(found.columns) == len(query.columns)
    return found


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_answers_at_every_grain_and_along_every_dimension(marts: HardenedDatabase, name: str) -> None:
    metric = METRICS[name]
    for grain in metric.grains:
        assert ask(marts, name, grain=grain).rows
    for dimension in metric.dimensions:
        filters = [
            f"{dimension.name}:{operator}:{'true' if operator == 'null' else 'x'}" for operator in ("ne", "null")
        ]
        assert ask(marts, name, dimensions=[dimension.name]).rows
        ask(marts, name, filters=filters, order=["-value"])
    compiled = last_day_query(metric, ZONE)
    assert isinstance(marts.run(compiled.sql, compiled.parameters).rows[0][0], dt.date)


def test_weeks_begin_on_monday_and_months_on_the_first(marts: HardenedDatabase) -> None:
    weeks = ask(marts, "sales", grain="week").rows
    assert weeks[:3] == [(dt.date(2016, 12, 26), 8.0), (dt.date(2017, 1, 2), 56.0), (dt.date(2017, 1, 9), 56.0)]
    assert ask(marts, "sales", grain="month").rows == [(dt.date(2017, 1, 1), 248.0), (dt.date(2017, 2, 1), 72.0)]
    assert ask(marts, "sales", grain="total").rows == [(320.0,)]


def test_days_and_weeks_and_months_of_a_sum_add_up(marts: HardenedDatabase) -> None:
    totals = {sum(row[-1] for row in ask(marts, "units", grain=grain).rows) for grain in Grain}
    assert totals == {40 * 4 * 3}


def test_both_ends_of_the_range_belong_to_it(marts: HardenedDatabase) -> None:
    for name, day in (("sales", dt.date(2017, 1, 3)), ("rejections", dt.date(2017, 1, 5))):
        assert [row[0] for row in ask(marts, name, first_day=day, last_day=day).rows] == [day], name
    assert ask(marts, "rejections", first_day=dt.date(2017, 1, 6)).rows == []
    assert ask(marts, "rejections", last_day=dt.date(2017, 1, 4)).rows == []


def test_an_instant_counts_on_its_business_day(marts: HardenedDatabase) -> None:
    """22:00 in New York is the next day in UTC."""
    assert ask(marts, "rejections").rows == [(dt.date(2017, 1, 5), 3)]
    assert ask(marts, "sessions", grain="total", **JANUARY).rows == [(31,)]


def test_distinct_households_are_counted_anew_for_each_period(marts: HardenedDatabase) -> None:
    assert ask(marts, "active_households", grain="total").rows == [(3,)]
    by_month = ask(marts, "active_households", grain="month").rows
    assert by_month == [(dt.date(2017, 1, 1), 3), (dt.date(2017, 2, 1), 2)]


def test_a_ratio_is_that_of_the_sums_and_no_mean_of_ratios(marts: HardenedDatabase) -> None:
    assert ask(marts, "discount_share", grain="total").rows == [(pytest.approx(0.75 / 2.75),)]
    assert ask(marts, "orders_per_household", grain="total").rows == [(pytest.approx(40 / 3),)]
    nothing = ask(marts, "discount_share", grain="total", filters=["brand:eq:Nobody"]).rows
    assert nothing == [(None,)]


def test_filters_of_the_metric_always_hold(marts: HardenedDatabase) -> None:
    assert ask(marts, "rejections", grain="total").rows == [(3,)]
    assert ask(marts, "open_rejections", grain="total").rows == [(2,)]


@pytest.mark.parametrize(
    ("filters", "lines"),
    [
        (["department:eq:GROCERY"], 160),
        (["department:eq:GROCERY", "brand:ne:National"], 80),
        (["department:in:GROCERY,=FUEL()"], 240),
        (["department:null:true"], 80),
        (["department:null:false"], 240),
        (["department:eq:' OR 1=1 --"], None),
        (['department:eq:x" OR "x"="x'], None),
    ],
)
def test_filters_select_and_stay_values(marts: HardenedDatabase, filters: list[str], lines: int | None) -> None:
    assert ask(marts, "order_lines", grain="total", filters=filters).rows == [(lines,)]


def test_order_and_limit_give_the_greatest_first_and_say_that_there_are_more(marts: HardenedDatabase) -> None:
    found = ask(marts, "sales", grain="month", dimensions=["department"], order=["-value"], limit=2)
    assert [row[1:] for row in found.rows] == [("GROCERY", 124.0), ("=FUEL()", 62.0)]
    assert found.truncated
    everything = ask(marts, "sales", grain="month", dimensions=["department"], limit=6)
    assert (len(everything.rows), everything.truncated) == (6, False)


def test_the_statement_has_no_word_of_the_asker(marts: HardenedDatabase) -> None:
    words = ["GROCERY'; DROP TABLE marts.fct_orders; --", 'a"b']
    filters = [f"department:eq:{words[0]}", f'brand:in:"{words[1].replace(chr(34), chr(34) * 2)}"']
    compiled = compile_query(metric_query(METRICS["sales"], filters=filters, **JANUARY), ZONE)
    assert not any(word in compiled.sql for word in (*words, "DROP", "2017", ZONE))
    assert set(words) < set(compiled.parameters.values())
