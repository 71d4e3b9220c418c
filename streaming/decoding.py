"""Turns the records of a micro-batch into rows of the landing files, column by column.

Measured on one core of the development machine (see README.md): a datetime handed to Arrow as an object costs 50 µs,
as an integer 0.4 µs, which is why times cross over as microseconds since the epoch.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import pyarrow as pa

from platform_assets.contracts.events import Event, InvalidEvent, decode_event, encode_payload
from platform_assets.contracts.landing import EVENT_COLUMNS, LOG_COLUMNS, REJECTION_COLUMNS
from platform_assets.contracts.rejections import Rejection, decode_rejection, encode_rejection, reject_in_the_stream
from platform_assets.contracts.topics import EVENTS, REJECTED
from resources.landing_zone import arrow_schema
from streaming.record_batch import RecordBatch

EVENT_SCHEMA = arrow_schema(EVENT_COLUMNS)
REJECTION_SCHEMA = arrow_schema(REJECTION_COLUMNS)

# A broker takes records of 1 MB unless told otherwise; escaped control characters make a body six times longer.
MAX_REJECTION_BYTES = 900_000
SHORTENED_BODY_CHARS = 100_000

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
# Years 1 to 9999 in UTC: an offset can carry a readable time just out of what Python and SQL can say.
_FIRST_TIME = (dt.datetime.min.replace(tzinfo=dt.UTC) - _EPOCH) // _MICROSECOND
_LAST_TIME = (dt.datetime.max.replace(tzinfo=dt.UTC) - _EPOCH) // _MICROSECOND


@dataclass(frozen=True)
class DecodedBatch:
    """The rows of one batch, and the records of it that broke the contract.

    `rows` has the schema of the topic's landing files and covers offsets in [start, next_offset) in ascending order;
    a rejected record has no row, its place is covered all the same.
    """

    topic: str
    log: str
    partition: int
    start: int
    next_offset: int
    rows: pa.RecordBatch
    rejections: Sequence[Rejection] = ()


Decode = Callable[[RecordBatch, str, dt.datetime], DecodedBatch]
"""A batch, the incarnation it was read from, the time now → rows."""


def decode_events(batch: RecordBatch, log: str, now: dt.datetime) -> DecodedBatch:
    """Rows of `EVENT_COLUMNS`; what is not an event becomes a rejection that names the exact record."""
    events: list[Event] = []
    payloads: list[str] = []
    offsets: list[int] = []
    occurred_us: list[int] = []
    received_us: list[int] = []
    rejections: list[Rejection] = []
    for record in batch.records:
        value = record.value
        try:
            event, payload, occurred, received = _event_of(value)
        except InvalidEvent as error:
            rejections.append(
                reject_in_the_stream(
                    value or b"",
                    reason=error.reason,
                    event_id=error.event_id,
                    rejected_at=now,
                    topic=batch.topic,
                    log=log,
                    partition=batch.partition,
                    offset=record.offset,
                )
            )
            continue
        events.append(event)
        payloads.append(payload)
        offsets.append(record.offset)
        occurred_us.append(occurred)
        received_us.append(received)
    made: dict[str, list[Any]] = {"payload": payloads, "occurred_at": occurred_us, "received_at": received_us}
    columns = {name: made.get(name) or [getattr(event, name) for event in events] for name in _OWN_EVENT_COLUMNS}
    return _decoded(batch, log, columns=columns, offsets=offsets, schema=EVENT_SCHEMA, rejections=rejections)


def decode_rejections(batch: RecordBatch, log: str, now: dt.datetime) -> DecodedBatch:
    """Rows of `REJECTION_COLUMNS`. A foreign record on this topic lands as its own rejection: nothing loops."""
    rejections: list[Rejection] = []
    times_us: list[int] = []
    for record in batch.records:
        rejection, time_us = _rejection_of(record.value, batch, log, record.offset, now)
        rejections.append(rejection)
        times_us.append(time_us)
    columns: dict[str, list[Any]] = {
        name: times_us if name == "rejected_at" else [getattr(rejection, name) for rejection in rejections]
        for name in _OWN_REJECTION_COLUMNS
    }
    return _decoded(batch, log, columns=columns, offsets=batch.offsets, schema=REJECTION_SCHEMA)


DECODERS: dict[str, Decode] = {EVENTS.name: decode_events, REJECTED.name: decode_rejections}
SCHEMAS: dict[str, pa.Schema] = {EVENTS.name: EVENT_SCHEMA, REJECTED.name: REJECTION_SCHEMA}


def rejection_record(rejection: Rejection) -> tuple[bytes, bytes]:
    """Key and value for the rejected topic. A body that would make the record too large for a broker is cut."""
    value = encode_rejection(rejection)
    if len(value) > MAX_REJECTION_BYTES:
        value = encode_rejection(msgspec.structs.replace(rejection, body=rejection.body[:SHORTENED_BODY_CHARS]))
    return rejection.event_id.encode(), value


_OWN_EVENT_COLUMNS = [name for name in EVENT_COLUMNS if name not in LOG_COLUMNS]
_OWN_REJECTION_COLUMNS = [name for name in REJECTION_COLUMNS if name not in LOG_COLUMNS]


def _event_of(value: bytes | None) -> tuple[Event, str, int, int]:
    if value is None:
        raise InvalidEvent("The record has no value")
    event = decode_event(value)
    try:
        payload = encode_payload(event.payload)
        return event, payload, _microseconds(event.occurred_at), _microseconds(event.received_at)
    except (ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise InvalidEvent(str(error) or type(error).__name__, event.event_id) from None


def _rejection_of(
    value: bytes | None, batch: RecordBatch, log: str, offset: int, now: dt.datetime
) -> tuple[Rejection, int]:
    try:
        rejection = decode_rejection(value or b"")
        _check_places(rejection)
        return rejection, _microseconds(rejection.rejected_at)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError, TypeError) as error:
        itself = reject_in_the_stream(
            value or b"",
            reason=f"Not a rejection: {error}",
            event_id=None,
            rejected_at=now,
            topic=batch.topic,
            log=log,
            partition=batch.partition,
            offset=offset,
        )
        return itself, _microseconds(now)


def _check_places(rejection: Rejection) -> None:
    # The contract's integers are Python's; the columns are not as wide.
    if not -(2**31) <= (rejection.source_partition or 0) < 2**31:
        raise ValueError(f"source_partition {rejection.source_partition} is out of range")
    if not -(2**63) <= (rejection.source_offset or 0) < 2**63:
        raise ValueError(f"source_offset {rejection.source_offset} is out of range")


def _microseconds(time: dt.datetime) -> int:
    if time.tzinfo is None:
        raise ValueError(f"The time {time.isoformat()} has no offset from UTC")
    since_epoch = (time - _EPOCH) // _MICROSECOND
    if not _FIRST_TIME <= since_epoch <= _LAST_TIME:
        raise ValueError(f"The time {time.isoformat()} is outside the years 1 to 9999 in UTC")
    return since_epoch


def _decoded(
    batch: RecordBatch,
    log: str,
    *,
    columns: Mapping[str, list[Any]],
    offsets: list[int],
    schema: pa.Schema,
    rejections: Sequence[Rejection] = (),
) -> DecodedBatch:
    count = len(offsets)
    place = {
        "log": pa.repeat(pa.scalar(log, pa.string()), count),
        "kafka_partition": pa.repeat(pa.scalar(batch.partition, pa.int32()), count),
        "kafka_offset": pa.array(offsets, pa.int64()),
    }
    arrays = [place[field.name] if field.name in place else _array(columns[field.name], field.type) for field in schema]
    rows = pa.RecordBatch.from_arrays(arrays, schema=schema)
    return DecodedBatch(batch.topic, log, batch.partition, batch.start, batch.next_offset, rows, tuple(rejections))


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(kind):
        return pa.array(values, pa.int64()).view(kind)
    return pa.array(values, kind)
