"""From the log to the warehouse: what a real worker counted, in three lives, is what the landed events say."""

import datetime as dt
import random
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from platform_assets.contracts.events import Event, encode_event, partition_key
from platform_assets.contracts.topics import EVENTS
from platform_assets.contracts.windows import WINDOWS
from resources.event_log.producer import EventLogProducer
from resources.event_log.topics import ensure_topics
from resources.warehouse import Warehouse
from resources.warehouse.landed_tables import LANDED_TABLES
from resources.warehouse.landing_loads import load_landed
from resources.warehouse.window_comparison import WindowComparison, compare_windows
from tests.conftest import running_broker
from tests.streaming.running_worker import Platform
from tests.streaming_records import an_event

BEGIN = dt.datetime(2017, 1, 1, tzinfo=dt.UTC)


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    with running_broker() as address:
        ensure_topics(address)
        platform = Platform(address, tmp_path)
        yield platform
        if platform.process is not None:
            platform.process.kill()
            platform.process.wait()


def purchases(rng: random.Random, count: int) -> list[Event]:
    """Purchase lines half a minute apart, a fifth of them up to two hours late, one in twenty sent again."""
    made: list[Event] = []
    for number in range(count):
        delay = rng.choice([0, 0, 0, 0, rng.uniform(0, 7200)])
        purchase = {
            "basket_id": "b",
            "product_id": "p",
            "store_id": f"store-{rng.randrange(4)}",
            "quantity": rng.randrange(5),
            "sales_value": round(rng.uniform(0, 9), 2),
            "retail_disc": 0.0,
            "coupon_disc": 0.0,
            "coupon_match_disc": 0.0,
        }
        event = an_event(
            f"e{number}",
            event_name=rng.choice(["purchase_line", "page_view"]),
            user_id=rng.choice([None, *(f"u{user}" for user in range(25))]),
            session_id=f"s{number}",
            occurred_at=BEGIN + dt.timedelta(seconds=number * 30 - delay),
            received_at=dt.datetime.now(dt.UTC),
            payload=purchase,
        )
        made.append(event)
        if rng.random() < 0.05:
            made.append(rng.choice(made[-200:]))
    return made


def compare(platform: Platform, warehouse: Warehouse) -> list[WindowComparison]:
    """Load what has landed and compare all of it; the newest late events may not have landed yet."""
    with warehouse.write("load") as connection:
        for table in LANDED_TABLES:
            load_landed(connection, platform.zone, table)
    with warehouse.read() as connection:
        return compare_windows(connection, WINDOWS, settles_after=dt.timedelta(0))


def has_landed(platform: Platform, offsets: int) -> bool:
    return platform.landed(EVENTS.name) >= offsets


async def test_windows_of_a_worker_that_is_killed_twice_are_those_of_the_landed_events(platform: Platform) -> None:
    """Those merged over the partitions too, after silences in which partitions fall asleep and wake up in turn.

    And what it said again after a crash is the same to the last digit.
    """
    rng = random.Random(7)  # noqa: S311 - repeatable, not secret
    made = purchases(rng, 9_000)
    producer = EventLogProducer(platform.address, [EVENTS.name], marks_dir=platform.root / "marks")
    producer.connect()
    sent = 0
    for share in (3_000, 6_000, len(made)):
        platform.start(ANALYTICS_STREAMING__IDLE_TIMEOUT_S="0.5")
        part = made[sent:share]
        await producer.append(EVENTS.name, [(partition_key(event), encode_event(event)) for event in part])
        sent = share
        if share < len(made):
            platform.wait(partial(has_landed, platform, sent - 2_000))
            platform.end(signal.SIGKILL)
    producer.close()
    platform.wait(partial(has_landed, platform, len(made)))
    warehouse = Warehouse(platform.root / "warehouse.duckdb")

    def is_complete() -> bool:
        found = {one.name: one for one in compare(platform, warehouse)}
        enough = {"user_activity_1m": 7_000, "user_session_30m": 800, "store_sales_1h": 200}
        return found.keys() == enough.keys() and all(
            found[name].is_equal and found[name].equal > count for name, count in enough.items()
        )

    platform.wait(is_complete, seconds=60)
    with warehouse.read() as connection:
        differing = connection.execute(
            "SELECT count(*) FROM raw.repeated_window_results AS again "
            "INNER JOIN raw.window_results AS kept USING (result_id) "
            "WHERE (again.event_count, again.aggregates) IS DISTINCT FROM (kept.event_count, kept.aggregates)"
        ).fetchone()
    assert differing == (0,)
