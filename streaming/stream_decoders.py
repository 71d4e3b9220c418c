"""Turns the records that the stream itself makes into rows: final windows, late events and predictions.

A change of a window only has its place covered: it is told apart by its kind alone, which is all of it that is read.
Whatever cannot be read on these topics is rejected like a broken event, and the partition goes on.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import pyarrow as pa

from platform_assets.contracts.landing import LATE_COLUMNS, PREDICTION_COLUMNS, WINDOW_COLUMNS
from platform_assets.contracts.predictions import StreamPrediction, decode_prediction
from platform_assets.contracts.rejections import Rejection, reject_in_the_stream
from platform_assets.contracts.topics import LATE, PREDICTIONS, WINDOWS
from platform_assets.contracts.windows import (
    LateEvent,
    UpdateKind,
    WindowUpdates,
    decode_late,
    decode_updates,
    late_event_id,
    window_result_id,
)
from resources.landing_zone import arrow_schema
from streaming.decoding import DecodedBatch, DecodeTogether, each
from streaming.record_batch import RecordBatch

WINDOW_SCHEMA = arrow_schema(WINDOW_COLUMNS)
LATE_SCHEMA = arrow_schema(LATE_COLUMNS)
PREDICTION_SCHEMA = arrow_schema(PREDICTION_COLUMNS)

Row = tuple[Any, ...]
"""The values of one row in the order of the topic's columns, without its place; times in microseconds."""

_EPOCH = dt.date(1970, 1, 1)
_DAY_MS = 24 * 3_600_000
# Years 1 to 9999 in UTC, what Python and SQL can say.
_FIRST_MS = (dt.date.min - _EPOCH).days * _DAY_MS
_LAST_MS = ((dt.date.max - _EPOCH).days + 1) * _DAY_MS - 1
_PLACE_COLUMNS = 3


class _Kind(msgspec.Struct):
    kind: UpdateKind


_kind_decoder = msgspec.json.Decoder(_Kind)


def decode_windows(batch: RecordBatch, log: str, now: dt.datetime) -> DecodedBatch:
    """Rows of `WINDOW_COLUMNS`, one per final result; a record holds several, a change none."""
    return _decode(batch, log, now, _window_rows, WINDOW_SCHEMA)


def decode_late_events(batch: RecordBatch, log: str, now: dt.datetime) -> DecodedBatch:
    """Rows of `LATE_COLUMNS`, one per record."""
    return _decode(batch, log, now, lambda value: [_late_row(decode_late(value))], LATE_SCHEMA)


def decode_predictions(batch: RecordBatch, log: str, now: dt.datetime) -> DecodedBatch:
    """Rows of `PREDICTION_COLUMNS`, one per record."""
    return _decode(batch, log, now, lambda value: [_prediction_row(decode_prediction(value))], PREDICTION_SCHEMA)


DECODERS: dict[str, DecodeTogether] = {
    WINDOWS.name: each(decode_windows),
    LATE.name: each(decode_late_events),
    PREDICTIONS.name: each(decode_predictions),
}
SCHEMAS: dict[str, pa.Schema] = {
    WINDOWS.name: WINDOW_SCHEMA,
    LATE.name: LATE_SCHEMA,
    PREDICTIONS.name: PREDICTION_SCHEMA,
}


def _decode(
    batch: RecordBatch, log: str, now: dt.datetime, rows_of: Callable[[bytes], Iterable[Row]], schema: pa.Schema
) -> DecodedBatch:
    rows: list[Row] = []
    offsets: list[int] = []
    rejections: list[Rejection] = []
    for record in batch.records:
        try:
            found = list(rows_of(record.value or b""))
        except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError) as error:
            rejections.append(
                reject_in_the_stream(
                    record.value or b"",
                    reason=f"Not a record of {batch.topic}: {error}",
                    event_id=None,
                    rejected_at=now,
                    topic=batch.topic,
                    log=log,
                    partition=batch.partition,
                    offset=record.offset,
                )
            )
            continue
        rows.extend(found)
        offsets.extend([record.offset] * len(found))
    table = _arrow(rows, offsets, log, batch.partition, schema)
    return DecodedBatch(batch.topic, log, batch.partition, batch.start, batch.next_offset, table, tuple(rejections))


def _arrow(rows: Sequence[Row], offsets: Sequence[int], log: str, partition: int, schema: pa.Schema) -> pa.RecordBatch:
    own = len(schema) - _PLACE_COLUMNS
    columns = list(zip(*rows, strict=True)) or [()] * own
    values = [*columns, [log] * len(rows), [partition] * len(rows), offsets]
    arrays = [_array(column, field.type) for column, field in zip(values, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(kind):
        return pa.array(values, pa.int64()).view(kind)
    return pa.array(values, kind)


def _window_rows(value: bytes) -> Iterable[Row]:
    if _kind_decoder.decode(value).kind is UpdateKind.CHANGE:
        return ()
    updates = decode_updates(value)
    source = f"{updates.source_log}/{_int32(updates.source_partition)}"
    watermark_us = None if updates.watermark_ms is None else _us(updates.watermark_ms)
    said_for_all = (
        updates.source_topic,
        updates.source_log,
        updates.source_partition,
        _int64(updates.next_offset),
        watermark_us,
        _us(updates.emitted_ms),
    )
    return [(*_result(updates, source, row), *said_for_all) for row in updates.rows]


def _result(updates: WindowUpdates, source: str, row: Sequence[Any]) -> Row:
    key, start_ms, end_ms, count, *values = row
    if key is not None and not isinstance(key, str):
        raise ValueError(f"The key {key!r} is neither text nor null")
    start_us, end_us = _us(start_ms), _us(end_ms)
    by_name = dict(zip(updates.aggregates, values, strict=True))
    return (
        window_result_id(updates.window, updates.version, source, key, start_us // 1000, end_us // 1000),
        updates.window,
        _int32(updates.version),
        key,
        start_us,
        end_us,
        _int64(count),
        msgspec.json.encode(by_name).decode(),
    )


def _late_row(late: LateEvent) -> Row:
    return (
        late_event_id(late),
        late.event_id,
        late.event_name,
        late.user_id,
        _us(late.occurred_ms),
        _us(late.received_ms),
        _us(late.watermark_ms),
        msgspec.json.encode(late.windows).decode(),
        late.source_topic,
        late.source_log,
        _int32(late.source_partition),
        _int64(late.source_offset),
    )


def _prediction_row(prediction: StreamPrediction) -> Row:
    return (
        prediction.prediction_id,
        prediction.model,
        prediction.model_version,
        prediction.entity_id,
        prediction.probability,
        prediction.features_as_of,
        _us(prediction.predicted_ms),
        prediction.source_topic,
        prediction.source_log,
        _int32(prediction.source_partition),
        _int64(prediction.source_offset),
    )


def _us(milliseconds: object) -> int:
    return _within(milliseconds, _FIRST_MS, _LAST_MS) * 1000


def _int32(number: object) -> int:
    return _within(number, -(2**31), 2**31 - 1)


def _int64(number: object) -> int:
    return _within(number, -(2**63), 2**63 - 1)


def _within(number: object, lowest: int, highest: int) -> int:
    if type(number) is not int or not lowest <= number <= highest:
        raise ValueError(f"{number!r} is no whole number from {lowest} to {highest}")
    return number
