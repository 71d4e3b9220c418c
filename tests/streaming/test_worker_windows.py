"""The windows of a worker that was killed in their middle, against a plain recomputation of what was sent."""

import datetime as dt
import json
import random
import signal
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from confluent_kafka import Consumer, TopicPartition

from platform_assets.contracts.events import Event, EventType, encode_event, partition_key
from platform_assets.contracts.payloads import PURCHASE_LINE
from platform_assets.contracts.topics import EVENTS, WINDOWS
from platform_assets.contracts.windows import UpdateKind, decode_updates
from tests.streaming.running_worker import Platform, running_platform
from tests.streaming_records import an_event, at

USERS, STORES = 40, 5
MINUTE, HOUR = dt.timedelta(minutes=1), dt.timedelta(hours=1)
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

Place = tuple[str, str | None, dt.datetime, dt.datetime]
"""Window, key, start and end."""
Result = dict[str, Any]
"""The count and the aggregates."""


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    with running_platform(tmp_path) as platform:
        yield platform


def an_afternoon() -> list[Event]:
    """Page views and purchase lines of three hours, in their order; some purchases of a user are far apart."""
    rng = random.Random(11)  # noqa: S311
    events: list[Event] = []
    second = 0.0
    while second < 3 * 3600:
        second += rng.expovariate(1.0)
        moment = at(second)
        fields: dict[str, Any] = {"user_id": f"u{rng.randrange(USERS)}", "occurred_at": moment, "received_at": moment}
        if rng.random() < 0.1:
            fields |= {
                "event_type": EventType.TRANSACTION,
                "event_name": PURCHASE_LINE,
                "payload": {
                    "basket_id": "b",
                    "product_id": "p",
                    "store_id": f"s{rng.randrange(STORES)}",
                    "quantity": rng.randint(1, 5),
                    # Quarters add up to the same sum in any order.
                    "sales_value": rng.randint(1, 400) / 4,
                    "retail_disc": 0.0,
                    "coupon_disc": 0.0,
                    "coupon_match_disc": 0.0,
                },
            }
        events.append(an_event(f"e{len(events)}", **fields))
    return events


def tomorrow() -> list[Event]:
    """An event of every user a day later: it ends every window of the day before, on every partition."""
    moment = at(24 * 3600)
    return [an_event(f"t{user}", user_id=f"u{user}", occurred_at=moment, received_at=moment) for user in range(USERS)]


def recomputed(events: Sequence[Event]) -> dict[Place, Result]:
    """All windows of these events, grouped the plain way."""
    minutes, hours = defaultdict[Place, list[Event]](list), defaultdict[Place, list[Event]](list)
    purchases = defaultdict[str, list[Event]](list)
    for event in events:
        start = EPOCH + (event.occurred_at - EPOCH) // MINUTE * MINUTE
        minutes["user_activity_1m", event.user_id, start, start + MINUTE].append(event)
        if event.event_name == PURCHASE_LINE:
            start = EPOCH + (event.occurred_at - EPOCH) // HOUR * HOUR
            hours["store_sales_1h", event.payload["store_id"], start, start + HOUR].append(event)
            purchases[event.user_id or ""].append(event)
    found: dict[Place, Result] = {}
    for place, members in minutes.items():
        prices = [event.payload["sales_value"] for event in members if "sales_value" in event.payload]
        found[place] = {"count": len(members), "sales": sum(prices) if prices else None}
    for place, members in hours.items():
        prices = sorted(event.payload["sales_value"] for event in members)
        shoppers = len({event.user_id for event in members})
        median = pytest.approx(prices[-(-len(prices) // 2) - 1], rel=0.01)
        found[place] = {"count": len(members), "sales": sum(prices), "shoppers": shoppers, "sales_p50": median}
    for user, lines in purchases.items():
        for session in sessions(lines):
            end = session[-1].occurred_at + HOUR / 2
            found["user_session_30m", user, session[0].occurred_at, end] = {
                "count": len(session),
                "sales": sum(event.payload["sales_value"] for event in session),
                "units": sum(event.payload["quantity"] for event in session),
            }
    # The engine knows times in milliseconds.
    return {(name, key, to_ms(start), to_ms(end)): result for (name, key, start, end), result in found.items()}


def sessions(lines: Sequence[Event]) -> Iterator[list[Event]]:
    session: list[Event] = []
    for line in lines:
        if session and line.occurred_at - session[-1].occurred_at >= HOUR / 2:
            yield session
            session = []
        session.append(line)
    yield session


def to_ms(time: dt.datetime) -> dt.datetime:
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def landed_finals(platform: Platform) -> dict[Place, Result]:
    """Every final result that has landed; one that landed more than once says the same each time."""
    finals: dict[Place, Result] = {}
    for row in platform.rows(WINDOWS.name).to_pylist():
        place = (row["window_name"], row["key"], row["window_start"], row["window_end"])
        result = {"count": row["event_count"], **json.loads(row["aggregates"])}
        assert finals.setdefault(place, result) == result, f"{place} has two final results"
    return finals


def kinds_published(address: str) -> set[UpdateKind]:
    """What `windows.v1` tells of."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "reader"})
    consumer.assign([TopicPartition(WINDOWS.name, partition, 0) for partition in range(WINDOWS.partitions)])
    try:
        records = consumer.consume(500, timeout=2)
        return {decode_updates(value).kind for record in records if (value := record.value()) is not None}
    finally:
        consumer.close()


async def test_windows_of_a_worker_killed_in_their_middle_equal_a_recomputation_of_what_was_sent(
    platform: Platform,
) -> None:
    """Minutes and sessions of users, hours of stores over all partitions; kill -9 with most windows open."""
    events, closing = an_afternoon(), tomorrow()
    expected = recomputed(events)
    records = [(partition_key(event), encode_event(event)) for event in [*events, *closing]]
    settings = {"ANALYTICS_STREAMING__CHECKPOINT_INTERVAL_S": "0.2", "ANALYTICS_STREAMING__MAX_FILE_AGE_S": "0.2"}
    platform.start(**settings)
    await platform.append(records[:6000])
    platform.wait(lambda: platform.landed(EVENTS.name) >= 4000)
    platform.end(signal.SIGKILL)
    platform.start(**settings)
    await platform.append(records[6000:])

    def all_there() -> bool:
        files = platform.zone.files(WINDOWS.name)
        rows = sum(pq.read_metadata(platform.zone.root / file.path).num_rows for file in files)
        return rows >= len(expected) and len(landed_finals(platform)) >= len(expected)

    platform.wait(all_there, 40)
    assert landed_finals(platform) == expected
    assert platform.end(signal.SIGTERM) == 0
    assert kinds_published(platform.address) == set(UpdateKind)
    platform.check_every_offset_once(EVENTS.name, len(records))
