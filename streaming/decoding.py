"""Turns the records of a micro-batch into rows of the landing files, column by column.

Measured on a core of the development machine that others used too, best of many batches of 10,000 events of 356 bytes
with a small payload, in µs an event: 1.4 with rows and 1.1 without where they are written as the door writes them, 2.2
and 2.0 where each envelope has to be decoded. A record that only the slow path can judge costs 8 to 11; a registered
schema of its event name costs 0.5, those of other names 0.004. A datetime handed to Arrow as an object costs 50 µs, as
an integer 0.4 µs, which is why times cross over as microseconds since the epoch.
"""

import datetime as dt
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from platform_assets.contracts.landing import EVENT_COLUMNS, LOG_COLUMNS, REJECTION_COLUMNS
from platform_assets.contracts.rejections import Rejection, decode_rejection, encode_rejection, reject_in_the_stream
from platform_assets.contracts.topics import EVENTS, REJECTED
from platform_assets.contracts.windows import PartUpdates, WindowDefinition, decode_parts
from resources.event_schemas.in_force import NO_SCHEMAS, SchemasInForce, WatchedSchemas
from resources.landing_zone import arrow_schema
from streaming.event_columns import EventColumns
from streaming.event_decoding import decode_records
from streaming.one_by_one import NOT_DECODABLE, Refused, microseconds
from streaming.record_batch import RecordBatch

EVENT_SCHEMA = arrow_schema(EVENT_COLUMNS)
REJECTION_SCHEMA = arrow_schema(REJECTION_COLUMNS)

# A broker takes records of 1 MB unless told otherwise; escaped control characters make a body six times longer.
MAX_REJECTION_BYTES = 900_000
SHORTENED_BODY_CHARS = 100_000


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
    rows: pa.RecordBatch | None
    """None where nothing of the topic lands."""
    rejections: Sequence[Rejection] = ()
    events: EventColumns | None = None
    """On the events topic, what the rows were made of."""
    parts: Sequence[PartUpdates] = ()
    """On the topic of parts, its records."""


Decode = Callable[[RecordBatch, str, dt.datetime], DecodedBatch]
"""A batch, the incarnation it was read from, the time now → rows."""
DecodeTogether = Callable[[Sequence[RecordBatch], str, dt.datetime], list[DecodedBatch]]
"""Batches of one topic, each of another partition or behind the one before it, at once."""


def each(decode: Decode) -> DecodeTogether:
    """Batch by batch."""
    return lambda batches, log, now: [decode(batch, log, now) for batch in batches]


def decode_events(batch: RecordBatch, log: str, now: dt.datetime) -> DecodedBatch:
    """Rows of `EVENT_COLUMNS`; what is not an event becomes a rejection that names the exact record."""
    return decode_events_together([batch], log, now)[0]


def decode_events_together(
    batches: Sequence[RecordBatch],
    log: str,
    now: dt.datetime,
    *,
    land: bool = True,
    schemas: SchemasInForce = NO_SCHEMAS,
    definitions: Collection[WindowDefinition] = (),
) -> list[DecodedBatch]:
    """As `decode_events`, for several batches in one pass over the columns.

    A pass costs 0.3 ms beside what its events cost, and four partitions bring some fifty events each every ten
    milliseconds at 20,000 a second. Without `land` there are no rows. What does not fit `schemas` is rejected too.
    For `definitions` see `decode_records`.
    """
    found = decode_records(values_of(batches), land=land, schemas=schemas, definitions=definitions)
    return by_batch(batches, log, now, found, land=land)


def values_of(batches: Sequence[RecordBatch]) -> list[bytes | None]:
    """The values of all their records, one after the other."""
    return [record.value for batch in batches for record in batch.records]


def by_batch(
    batches: Sequence[RecordBatch],
    log: str,
    now: dt.datetime,
    found: tuple[EventColumns, Sequence[Refused]],
    *,
    land: bool,
) -> list[DecodedBatch]:
    """What `decode_records` found in all their values, batch by batch and under the records' own offsets."""
    events, refused = found
    offsets = np.concatenate([batch.offsets for batch in batches])
    partitions = np.repeat([batch.partition for batch in batches], [len(batch.records) for batch in batches])
    rows = _event_rows(events, log, partitions[events.offsets], offsets[events.offsets]) if land else None
    decoded: list[DecodedBatch] = []
    first = 0
    for batch in batches:
        after = first + len(batch.records)
        begin, end = np.searchsorted(events.offsets, [first, after]).tolist()
        mine = [replace(one, offset=int(offsets[one.offset])) for one in refused if first <= one.offset < after]
        decoded.append(
            DecodedBatch(
                batch.topic,
                log,
                batch.partition,
                batch.start,
                batch.next_offset,
                None if rows is None else rows.slice(begin, end - begin),
                _rejections(mine, batch, log, now),
                events.part(begin, end, offsets[events.offsets[begin:end]]),
            )
        )
        first = after
    return decoded


def _event_rows(
    events: EventColumns, log: str, partitions: NDArray[np.int64], offsets: NDArray[np.int64]
) -> pa.RecordBatch:
    columns = dict(events.texts)
    columns["schema_version"] = pa.array(events.schema_versions, pa.int32())
    columns["payload"] = events.payloads.view(pa.string())
    columns["occurred_at"] = _array(events.occurred_us, EVENT_SCHEMA.field("occurred_at").type)
    columns["received_at"] = _array(events.received_us, EVENT_SCHEMA.field("received_at").type)
    columns["log"] = pa.repeat(pa.scalar(log, pa.string()), len(events))
    columns["kafka_partition"] = pa.array(partitions, pa.int32())
    columns["kafka_offset"] = pa.array(offsets, pa.int64())
    return pa.RecordBatch.from_arrays([columns[name] for name in EVENT_SCHEMA.names], schema=EVENT_SCHEMA)


def decode_by_schemas(
    schemas: WatchedSchemas, *, land: bool, definitions: Collection[WindowDefinition] = ()
) -> DecodeTogether:
    """`decode_events_together` by the registered schemas, which are looked at between batches."""
    return lambda batches, log, now: decode_events_together(
        batches, log, now, land=land, schemas=schemas.newest(), definitions=definitions
    )


def decode_part_updates(batch: RecordBatch, log: str, now: dt.datetime) -> DecodedBatch:
    """The parts of windows that are to be merged; nothing of them lands."""
    parts: list[PartUpdates] = []
    refused: list[Refused] = []
    for record in batch.records:
        try:
            parts.append(decode_parts(record.value or b""))
        except NOT_DECODABLE as error:
            refused.append(Refused(record.offset, record.value, f"Not parts of windows: {error}", None))
    rejections = _rejections(refused, batch, log, now)
    return DecodedBatch(
        batch.topic, log, batch.partition, batch.start, batch.next_offset, None, rejections, parts=parts
    )


def decode_rejections(batch: RecordBatch, log: str, now: dt.datetime) -> DecodedBatch:
    """Rows of `REJECTION_COLUMNS`. A foreign record on this topic lands as its own rejection: nothing loops."""
    rejections: list[Rejection] = []
    times_us: list[int] = []
    for record in batch.records:
        rejection, time_us = _rejection_of(record.value, batch, log, record.offset, now)
        rejections.append(rejection)
        times_us.append(time_us)
    columns = {
        name: _array(
            times_us if name == "rejected_at" else [getattr(rejection, name) for rejection in rejections],
            REJECTION_SCHEMA.field(name).type,
        )
        for name in _OWN_REJECTION_COLUMNS
    }
    return _decoded(batch, log, columns=columns, offsets=batch.offsets, schema=REJECTION_SCHEMA)


DECODERS: dict[str, DecodeTogether] = {EVENTS.name: decode_events_together, REJECTED.name: each(decode_rejections)}
SCHEMAS: dict[str, pa.Schema] = {EVENTS.name: EVENT_SCHEMA, REJECTED.name: REJECTION_SCHEMA}


def rejection_record(rejection: Rejection) -> tuple[bytes, bytes]:
    """Key and value for the rejected topic. A body that would make the record too large for a broker is cut."""
    value = encode_rejection(rejection)
    if len(value) > MAX_REJECTION_BYTES:
        value = encode_rejection(msgspec.structs.replace(rejection, body=rejection.body[:SHORTENED_BODY_CHARS]))
    return rejection.event_id.encode(), value


_OWN_REJECTION_COLUMNS = [name for name in REJECTION_COLUMNS if name not in LOG_COLUMNS]


def _rejections(refused: Sequence[Refused], batch: RecordBatch, log: str, now: dt.datetime) -> tuple[Rejection, ...]:
    return tuple(
        reject_in_the_stream(
            record.value or b"",
            reason=record.reason,
            event_id=record.event_id,
            rejected_at=now,
            topic=batch.topic,
            log=log,
            partition=batch.partition,
            offset=record.offset,
        )
        for record in refused
    )


def _rejection_of(
    value: bytes | None, batch: RecordBatch, log: str, offset: int, now: dt.datetime
) -> tuple[Rejection, int]:
    try:
        rejection = decode_rejection(value or b"")
        _check_places(rejection)
        return rejection, microseconds(rejection.rejected_at)
    except (*NOT_DECODABLE, TypeError) as error:
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
        return itself, microseconds(now)


def _check_places(rejection: Rejection) -> None:
    # The contract's integers are Python's; the columns are not as wide.
    if not -(2**31) <= (rejection.source_partition or 0) < 2**31:
        raise ValueError(f"source_partition {rejection.source_partition} is out of range")
    if not -(2**63) <= (rejection.source_offset or 0) < 2**63:
        raise ValueError(f"source_offset {rejection.source_offset} is out of range")


def _decoded(
    batch: RecordBatch,
    log: str,
    *,
    columns: Mapping[str, pa.Array],
    offsets: Sequence[int] | NDArray[np.int64],
    schema: pa.Schema,
    rejections: Sequence[Rejection] = (),
    events: EventColumns | None = None,
) -> DecodedBatch:
    count = len(offsets)
    place = {
        "log": pa.repeat(pa.scalar(log, pa.string()), count),
        "kafka_partition": pa.repeat(pa.scalar(batch.partition, pa.int32()), count),
        "kafka_offset": pa.array(offsets, pa.int64()),
    }
    arrays = [place[name] if name in place else columns[name] for name in schema.names]
    rows = pa.RecordBatch.from_arrays(arrays, schema=schema)
    return DecodedBatch(
        batch.topic, log, batch.partition, batch.start, batch.next_offset, rows, tuple(rejections), events
    )


def _array(values: Sequence[Any] | NDArray[np.int64], kind: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(kind):
        return pa.array(values, pa.int64()).view(kind)
    return pa.array(values, kind)
