"""The events that are made: as many as asked for, at unbroken offsets, some late, some twice, counted by day."""

import datetime as dt
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from deployments.scale.landed_days import LandedDays
from deployments.scale.sales import PARTITIONS, Shop
from platform_assets.contracts.events import decode_payload
from platform_assets.contracts.landing import EVENT_COLUMNS
from platform_assets.contracts.topics import EVENTS
from resources.landing_zone import arrow_schema

SHOP = Shop(events=12_000, days=3, households=400, first_day=dt.date(2026, 1, 1))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> LandedDays:
    days = LandedDays(tmp_path_factory.mktemp("scale") / "files", SHOP)
    days.make(lambda _: None)
    days.hide_all()
    for day in range(SHOP.days):
        days.land(day)
    return days


def ask(made: LandedDays, query: str) -> list[tuple[Any, ...]]:
    """Of all landed rows, as `landed`."""
    paths = [str(made.landing.root / file.path) for file in made.landing.files(EVENTS.name)]
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        landed = connection.from_parquet(paths, hive_partitioning=False)
        return landed.query("landed", query).fetchall()


def test_every_event_is_there_and_a_hundredth_of_a_day_comes_again_on_the_next(made: LandedDays) -> None:
    assert ask(made, "SELECT count(DISTINCT event_id), count(*) FROM landed") == [(12_000, 12_080)]
    assert (SHOP.day_events, SHOP.day_repeats) == (4_000, 40)
    again = "SELECT max(received_at) - min(received_at) FROM landed GROUP BY event_id HAVING count(*) > 1"
    assert set(ask(made, again)) == {(dt.timedelta(days=1, seconds=1),)}


def test_offsets_of_a_partition_are_unbroken_from_zero_and_files_are_the_sinks(made: LandedDays) -> None:
    files = made.landing.files(EVENTS.name)
    assert len(files) == SHOP.days * PARTITIONS
    for file in files:
        assert pq.read_schema(made.landing.root / file.path).remove_metadata().equals(arrow_schema(EVENT_COLUMNS))
    for partition in range(PARTITIONS):
        (log,) = made.landing.logs(EVENTS.name)
        end = made.landing.check(EVENTS.name, log, partition)
        offsets = [
            row[0] for row in ask(made, "SELECT kafka_offset, kafka_partition FROM landed") if row[1] == partition
        ]
        assert sorted(offsets) == list(range(end))


def test_payloads_keep_the_contract_of_their_events(made: LandedDays) -> None:
    rows = ask(made, "SELECT event_name, payload FROM landed")
    assert {name for name, _ in rows} == {"purchase_line", "page_viewed"}
    for name, payload in rows:
        decode_payload(name, payload.encode())


def test_totals_by_day_are_those_of_the_distinct_events_and_some_came_late(made: LandedDays) -> None:
    rows = ask(
        made,
        """
        SELECT
            (occurred_at AT TIME ZONE 'America/New_York')::DATE::VARCHAR,
            count(*),
            count(*) FILTER (WHERE event_name = 'purchase_line'),
            sum(round((payload ->> 'sales_value')::DOUBLE * 100)::BIGINT) FILTER (WHERE event_name = 'purchase_line')
        FROM (SELECT DISTINCT ON (event_id) * FROM landed)
        GROUP BY ALL
        """,
    )
    totals = {day: (one.events, one.lines, one.cents) for day, one in made.totals().items()}
    assert {day: tuple(found) for day, *found in rows} == totals
    delays = ask(made, "SELECT min(received_at - occurred_at) FROM landed GROUP BY event_id")
    assert sum(delay > dt.timedelta(hours=20) for (delay,) in delays) == 80


def test_days_that_are_there_are_not_made_again_unless_another_shop_is_wanted(made: LandedDays) -> None:
    folder = made.landing.root.parent
    assert LandedDays(folder, SHOP).make(lambda _: None) == 0
    (folder / "made" / "totals-0001.json").unlink()
    assert LandedDays(folder, SHOP).make(lambda _: None) == 1
    other = Shop(events=800, days=2, households=40, first_day=SHOP.first_day)
    assert LandedDays(folder, other).make(lambda _: None) == 2
