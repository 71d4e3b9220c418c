"""Builds log records and batches for the tests of the streaming package."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from platform_assets.contracts.events import Event, EventType, encode_event
from platform_assets.contracts.topics import EVENTS
from streaming.record_batch import Header, RecordBatch

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)


@dataclass(frozen=True)
class StoredRecord:
    """A record as a fetch would bring it."""

    offset: int
    value: bytes | None
    key: bytes | None = None
    timestamp: int = 0
    headers: Sequence[Header] = field(default_factory=list)


def at(second: float) -> dt.datetime:
    """So many seconds after `NOW`, which is a full minute."""
    return NOW + dt.timedelta(seconds=second)


def an_event(event_id: str, **changes: Any) -> Event:
    """A valid event."""
    fields: dict[str, Any] = {
        "event_id": event_id,
        "event_type": EventType.USER_ACTION,
        "event_name": "page_view",
        "user_id": "u1",
        "session_id": None,
        "occurred_at": NOW,
        "received_at": NOW,
        "source_service": "web_app",
        "schema_version": 1,
        "correlation_id": None,
        "traceparent": None,
        "payload": {"page": "/"},
    }
    return Event(**{**fields, **changes})


def a_batch(
    values: Iterable[tuple[int, bytes | None]],
    *,
    start: int,
    next_offset: int,
    topic: str = EVENTS.name,
    partition: int = 0,
) -> RecordBatch:
    """A batch of (offset, value) pairs that covers [start, next_offset)."""
    records = [StoredRecord(offset, value) for offset, value in values]
    return RecordBatch(topic, partition, start, next_offset, records)


def event_batch(offsets: Iterable[int], *, start: int, next_offset: int, partition: int = 0) -> RecordBatch:
    """A batch of valid events named after their offsets."""
    values = [(offset, encode_event(an_event(f"e{offset}"))) for offset in offsets]
    return a_batch(values, start=start, next_offset=next_offset, partition=partition)
