"""The landed records as the warehouse holds them: one table for each topic that lands, and what is true of each row.

The names and types are those of `landing`; what a column may hold is read off the record's own type.
"""

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import inspect

from platform_assets.contracts.columns import Column, column_of, fields_of
from platform_assets.contracts.events import EARLIEST, LATEST, Event
from platform_assets.contracts.landing import (
    EVENT_COLUMNS,
    FLOAT64,
    INT32,
    LATE_COLUMNS,
    PREDICTION_COLUMNS,
    REJECTION_COLUMNS,
    TEXT,
    TIMESTAMP,
    WINDOW_COLUMNS,
)
from platform_assets.contracts.payloads import PAYLOAD_CONTRACTS
from platform_assets.contracts.predictions import StreamPrediction
from platform_assets.contracts.rejections import Rejection
from platform_assets.contracts.topics import EVENTS, LATE, PREDICTIONS, REJECTED, WINDOWS, Topic
from platform_assets.contracts.windows import LateEvent


@dataclass(frozen=True)
class LandedRows:
    """The table `raw.<name>` of one topic's records. No two rows have one `key`."""

    name: str
    topic: Topic
    key: str
    description: str
    columns: tuple[Column, ...]


_PLACE = {
    "log": "Incarnation of the topic that the record stood on; an offset means nothing without it.",
    "kafka_partition": "Partition of the topic.",
    "kafka_offset": "Offset inside the partition.",
}
_EVENTS = {
    "event_id": "The event's id, given by the sender or minted at the door.",
    "event_type": "Coarse kind of the event.",
    "event_name": "What happened.",
    "user_id": "Whose event it is, if known; for a purchase line the household's id.",
    "session_id": "The sender's session, if it has one.",
    "occurred_at": "When it happened, by the sender's clock.",
    "received_at": "When the door accepted it.",
    "source_service": "The service that sent it.",
    "schema_version": "Version of the envelope.",
    "correlation_id": "Id of the request that brought it.",
    "traceparent": "W3C trace context of the sender, if it sent one.",
    "payload": "The event's own fields as the text of a JSON object.",
}
_REJECTIONS = {
    "rejection_id": "Hash of what was rejected, why and where.",
    "event_id": "The event's id, or a hash of its body where it names none.",
    "origin": "Who stopped it.",
    "reason": "Why, as the sender was told.",
    "body": "What was sent; base64 where it is not UTF-8.",
    "rejected_at": "When it was stopped.",
    "correlation_id": "Id of the request that brought it.",
    "source_topic": "Topic of the rejected record; null from the door.",
    "source_log": "Incarnation of that topic; null from the door.",
    "source_partition": "Partition of the rejected record; null from the door.",
    "source_offset": "Offset of the rejected record; null from the door.",
}
_WINDOWS = {
    "result_id": "Definition, version, source, key, start and end.",
    "window_name": "The definition.",
    "version": "Its version.",
    "key": "Whose window it is; null where the events had no key.",
    "window_start": "First moment that belongs to it.",
    "window_end": "First moment that does not; for a session the last event and the gap.",
    "event_count": "Events in it.",
    "aggregates": "The definition's aggregates as the text of a JSON object.",
    "source_topic": "Topic that it was computed from.",
    "source_log": "Incarnation of that topic.",
    "source_partition": "Partition of that topic.",
    "next_offset": "Everything of the source below it had been read.",
    "watermark": "How far event time had come there.",
    "emitted_at": "When the stream said it.",
}
_LATE = {
    "late_id": "Place of the event on its topic.",
    "event_id": "The event's id.",
    "event_name": "What happened.",
    "user_id": "Whose event it is, if known.",
    "occurred_at": "When it happened, by the sender's clock.",
    "received_at": "When the door accepted it.",
    "watermark": "The watermark that it met.",
    "windows": "The definitions that it is not counted in, as the text of a JSON array.",
    "source_topic": "Topic of the event.",
    "source_log": "Incarnation of that topic.",
    "source_partition": "Partition of the event.",
    "source_offset": "Offset of the event.",
}
_PREDICTIONS = {
    "prediction_id": "Model, version, place of the cause and entity.",
    "model": "The model.",
    "model_version": "Its version.",
    "entity_id": "Whom it is about.",
    "probability": "What the model said.",
    "features_as_of": "Batch features know what happened before this day, live ones what did on it.",
    "predicted_at": "When the model was asked.",
    "source_topic": "Topic of the record that it was asked for.",
    "source_log": "Incarnation of that topic.",
    "source_partition": "Partition of that record.",
    "source_offset": "Offset of that record.",
}


def _columns(
    record: type[msgspec.Struct] | None,
    kinds: Mapping[str, str],
    descriptions: Mapping[str, str],
    optional: Collection[str] = (),
) -> tuple[Column, ...]:
    """What `record` does not name is always there, but for the optional ones."""
    annotations: Mapping[str, Any] = {} if record is None else fields_of(record)
    told = {**descriptions, **_PLACE}
    return tuple(
        column_of(name, annotations[name], kind, told.get(name, ""))
        if name in annotations
        else Column(name=name, kind=kind, description=told.get(name, ""), required=name not in optional)
        for name, kind in kinds.items()
    )


def _in_the_years_that_count(column: Column) -> Column:
    if column.kind != TIMESTAMP:
        return column
    return dataclasses.replace(column, minimum=EARLIEST, before=LATEST)


EVENT_ROWS = LandedRows(
    "events",
    EVENTS,
    "event_id",
    "One row per event, by its id, that the door accepted and the stream could decode; a resent event is not loaded "
    "again.",
    tuple(map(_in_the_years_that_count, _columns(Event, EVENT_COLUMNS, _EVENTS))),
)
REJECTION_ROWS = LandedRows(
    "rejected_events",
    REJECTED,
    "rejection_id",
    "One row per rejection, by its id: what the door refused or the stream rejected; the same refusal is not loaded "
    "again.",
    _columns(Rejection, REJECTION_COLUMNS, _REJECTIONS),
)
WINDOW_ROWS = LandedRows(
    "window_results",
    WINDOWS,
    "result_id",
    "One row per final window of a source partition, by its id; a result that the stream said again is not loaded "
    "again.",
    _columns(None, WINDOW_COLUMNS, _WINDOWS, optional=("key", "watermark")),
)
LATE_ROWS = LandedRows(
    "late_events",
    LATE,
    "late_id",
    "One row per event that came after the end of a window, by its place on the log.",
    _columns(LateEvent, LATE_COLUMNS, _LATE),
)
PREDICTION_ROWS = LandedRows(
    "predictions",
    PREDICTIONS,
    "prediction_id",
    "One row per prediction of the stream, by its id; of one that was said again the first.",
    _columns(StreamPrediction, PREDICTION_COLUMNS, _PREDICTIONS),
)
LANDED_ROWS = (EVENT_ROWS, REJECTION_ROWS, WINDOW_ROWS, LATE_ROWS, PREDICTION_ROWS)

_KINDS: dict[type, str] = {
    inspect.StrType: TEXT, inspect.EnumType: TEXT, inspect.IntType: INT32, inspect.FloatType: FLOAT64
}  # fmt: skip


def payload_columns(event_name: str) -> tuple[Column, ...]:
    """The fields of a payload with a contract as typed columns.

    Raises:
        KeyError: the name has no contract.
    """
    columns = []
    for field in msgspec.structs.fields(PAYLOAD_CONTRACTS[event_name]):
        column = column_of(field.name, field.type, _kind_of(field.type))
        columns.append(dataclasses.replace(column, may_be_absent=not field.required))
    return tuple(columns)


def _kind_of(annotation: Any) -> str:
    kinds = inspect.type_info(annotation)
    parts = kinds.types if isinstance(kinds, inspect.UnionType) else (kinds,)
    for part in parts:
        if (kind := _KINDS.get(type(part))) is not None:
            return kind
    raise TypeError(f"{annotation} is no text, integer or number: a payload's columns hold nothing else")
