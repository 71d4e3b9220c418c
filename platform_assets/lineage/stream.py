"""From the route to the raw tables, read from the contracts: the envelope, payloads, topics, windows and predictions.

Windows on another key than the user's pass `windows.partials.v1` on their way; it holds nothing that they do not.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from platform_assets.contracts.events import ENVELOPE_FIELDS, NewEvent
from platform_assets.contracts.features import CUSTOMER_LIVE
from platform_assets.contracts.landing import (
    EVENT_COLUMNS,
    LATE_COLUMNS,
    LOG_COLUMNS,
    PREDICTION_COLUMNS,
    REJECTION_COLUMNS,
    WINDOW_COLUMNS,
)
from platform_assets.contracts.payloads import PAYLOAD_CONTRACTS
from platform_assets.contracts.topics import EVENTS, LATE, PREDICTIONS, REJECTED, Topic
from platform_assets.contracts.topics import WINDOWS as WINDOWS_TOPIC
from platform_assets.contracts.windows import WINDOWS, WindowDefinition
from platform_assets.lineage.building import GraphBuilder
from platform_assets.lineage.graph import ROWS, AssetKind, Column, Influence, Place
from platform_assets.lineage.routes import INGEST

EVENTS_LOG, REJECTED_LOG, WINDOWS_LOG, LATE_LOG = "log/events", "log/rejected_events", "log/windows", "log/late_events"
PREDICTIONS_LOG = "inference/predictions"
LIVE_FEATURES = f"features/{CUSTOMER_LIVE.name}"
"""Kept by the stream in the online store: no asset of Dagster's."""

_CONTRACT = "the event's contract"


@dataclass(frozen=True)
class Landed:
    """A topic, its landed files and the raw table that they are loaded into."""

    topic: Topic
    log: str
    files: str
    raw: str
    columns: Mapping[str, str]


LANDED = (
    Landed(EVENTS, EVENTS_LOG, "landing/events", "raw/events", EVENT_COLUMNS),
    Landed(REJECTED, REJECTED_LOG, "landing/rejected_events", "raw/rejected_events", REJECTION_COLUMNS),
    Landed(WINDOWS_TOPIC, WINDOWS_LOG, "landing/windows", "raw/window_results", WINDOW_COLUMNS),
    Landed(LATE, LATE_LOG, "landing/late_events", "raw/late_events", LATE_COLUMNS),
)
LANDED_PREDICTIONS = Landed(
    PREDICTIONS, PREDICTIONS_LOG, "inference/landed_predictions", "inference/raw_predictions", PREDICTION_COLUMNS
)


def payload_fields(schemas: Mapping[str, Mapping[str, Any]] | None = None) -> list[Column]:
    """The fields of all payloads with a contract, each name once; its description says whose they are.

    Args:
        schemas: registered JSON Schemas by event name, beside the built-in contracts.
    """
    documents: dict[str, Mapping[str, Any]] = dict(schemas or {})
    for event_name, contract in PAYLOAD_CONTRACTS.items():
        reference = msgspec.json.schema(contract)
        documents[event_name] = reference["$defs"][contract.__name__]
    fields: dict[str, tuple[str, list[str]]] = {}
    for event_name, document in sorted(documents.items()):
        for name, described in (document.get("properties") or {}).items():
            kind = described.get("type", "") if isinstance(described, Mapping) else ""
            fields.setdefault(name, (str(kind), []))[1].append(event_name)
    return [Column(name, kind, f"Field of {', '.join(names)}.") for name, (kind, names) in fields.items()]


def add_stream(builder: GraphBuilder, fields: Iterable[Column]) -> None:
    """Routes, topics, windows, live features, landed files and raw tables, with the payloads' fields."""
    fields = list(fields)
    names = {field.name for field in fields}
    _add_events(builder, fields)
    builder.asset(WINDOWS_LOG, AssetKind.TOPIC, WINDOWS_TOPIC.description, _own(WINDOW_COLUMNS))
    builder.contains(Place(WINDOWS_LOG, "aggregates"))
    for window in WINDOWS:
        _add_window(builder, window, names)
    _add_live_features(builder)
    _add_late_events(builder)
    for landed in LANDED:
        add_landed(builder, landed)
    for name in sorted(names):
        builder.follow(Place(LANDED[0].raw, f"payload.{name}"))


def add_landed(builder: GraphBuilder, landed: Landed) -> None:
    """The landed files of a topic and their raw table; what stands where on the log is only known from there on."""
    builder.asset(
        landed.log, AssetKind.TOPIC, landed.topic.description, _own(landed.columns),
        aliases=(landed.topic.name,), facts={"topic": landed.topic.name},
    )  # fmt: skip
    builder.asset(
        landed.files, AssetKind.FILES, f"The records of {landed.topic.name} as Parquet files.", landed.columns
    )
    builder.asset(landed.raw, AssetKind.TABLE, "", landed.columns)
    builder.copy(landed.log, landed.files, _own(landed.columns), "landing columns")
    builder.copy(landed.files, landed.raw, landed.columns, "load of landed files")


def _own(columns: Mapping[str, str]) -> list[str]:
    return [name for name in columns if name not in LOG_COLUMNS]


def _add_events(builder: GraphBuilder, fields: list[Column]) -> None:
    sent = [field.name for field in msgspec.structs.fields(NewEvent)]
    builder.asset(INGEST.asset, AssetKind.ROUTE, INGEST.description, sent, facts=INGEST.facts)
    builder.contains(Place(INGEST.asset, "payload"), fields)
    builder.asset(
        EVENTS_LOG, AssetKind.TOPIC, EVENTS.description, ENVELOPE_FIELDS, aliases=("events",),
        facts={"topic": EVENTS.name},
    )  # fmt: skip
    builder.copy(INGEST.asset, EVENTS_LOG, sent, _CONTRACT)
    for field in fields:
        name = f"payload.{field.name}"
        builder.asset(EVENTS_LOG, AssetKind.TOPIC, "", [Column(name, field.type, field.description)])
        builder.passes(Place(INGEST.asset, name), Place(EVENTS_LOG, name), _CONTRACT)
    builder.contains(Place(EVENTS_LOG, "payload"), fields)
    builder.asset(REJECTED_LOG, AssetKind.TOPIC, REJECTED.description, _own(REJECTION_COLUMNS))
    builder.contains(Place(REJECTED_LOG, "body"), ENVELOPE_FIELDS)
    for source in (INGEST.asset, EVENTS_LOG):
        for name in ("event_id", "correlation_id"):
            builder.edge(Place(source, name), Place(REJECTED_LOG, name), _CONTRACT)
        for column in builder.graph.assets[source].columns:
            place = Place(source, column.name)
            if "." not in column.name:
                builder.edge(place, Place(REJECTED_LOG, f"body.{column.name}"), _CONTRACT)
            # Whether an event is taken, and what it is told if not, is decided by each of its fields.
            builder.edge(place, Place(REJECTED_LOG, "reason"), _CONTRACT, Influence.CONDITION)
            builder.edge(place, Place(REJECTED_LOG, ROWS), _CONTRACT, Influence.CONDITION)


def _add_window(builder: GraphBuilder, window: WindowDefinition, payload: set[str]) -> None:
    name = f"windows/{window.name}"
    found_in = f"window {window.name} version {window.version}"
    columns = ["key", "window_start", "window_end", "count", *window.aggregate_names]
    builder.asset(name, AssetKind.WINDOW, window.description, columns, facts={"version": str(window.version)})
    key = _field(window.key_field, payload)
    builder.edge(key, Place(name, "key"), found_in)
    builder.edge(key, Place(name, ROWS), found_in, Influence.CONDITION)
    builder.edge(Place(EVENTS_LOG, ROWS), Place(name, ROWS), found_in)
    builder.edge(Place(EVENTS_LOG, ROWS), Place(name, "count"), found_in)
    for column in ("window_start", "window_end", ROWS):
        builder.edge(Place(EVENTS_LOG, "occurred_at"), Place(name, column), found_in)
    if window.event_names is not None:
        builder.edge(Place(EVENTS_LOG, "event_name"), Place(name, ROWS), found_in, Influence.CONDITION)
    for aggregate in window.aggregates:
        builder.edge(_field(aggregate.field, payload), Place(name, aggregate.name), found_in)
        builder.contains(Place(WINDOWS_LOG, "aggregates"), [aggregate.name])
        builder.edge(Place(name, aggregate.name), Place(WINDOWS_LOG, f"aggregates.{aggregate.name}"), found_in)
    for column, landed in (("key", "key"), ("window_start", "window_start"), ("window_end", "window_end"),
                           ("count", "event_count"), (ROWS, ROWS)):  # fmt: skip
        builder.edge(Place(name, column), Place(WINDOWS_LOG, landed), found_in)
    builder.edge(Place(EVENTS_LOG, "occurred_at"), Place(WINDOWS_LOG, "watermark"), found_in)


def _field(name: str, payload: set[str]) -> Place:
    """As the stream looks a field up: in the payload, then in the envelope."""
    is_envelope = name not in payload and name in ENVELOPE_FIELDS
    return Place(EVENTS_LOG, name if is_envelope else f"payload.{name}")


def _add_live_features(builder: GraphBuilder) -> None:
    found_in = f"feature set {CUSTOMER_LIVE.name} version {CUSTOMER_LIVE.version}"
    builder.asset(
        LIVE_FEATURES, AssetKind.FEATURES, CUSTOMER_LIVE.description,
        ["entity_id", *(Column(one.name, one.dtype, one.description) for one in CUSTOMER_LIVE.columns)],
        aliases=(CUSTOMER_LIVE.name,), facts={"version": str(CUSTOMER_LIVE.version)},
    )  # fmt: skip
    for column, source in zip(CUSTOMER_LIVE.columns, CUSTOMER_LIVE.sources, strict=True):
        window = f"windows/{source.window}"
        builder.edge(Place(window, source.value), Place(LIVE_FEATURES, column.name), found_in)
        builder.edge(Place(window, "window_end"), Place(LIVE_FEATURES, column.name), found_in, Influence.CONDITION)
    for name in CUSTOMER_LIVE.windows:
        builder.edge(Place(f"windows/{name}", "key"), Place(LIVE_FEATURES, "entity_id"), found_in)
        builder.edge(Place(f"windows/{name}", ROWS), Place(LIVE_FEATURES, ROWS), found_in)


def _add_late_events(builder: GraphBuilder) -> None:
    builder.asset(LATE_LOG, AssetKind.TOPIC, LATE.description, _own(LATE_COLUMNS))
    found_in = "the worker's watermark"
    for column in ("event_id", "event_name", "user_id", "occurred_at", "received_at"):
        builder.edge(Place(EVENTS_LOG, column), Place(LATE_LOG, column), found_in)
    for column in ("watermark", "windows"):
        builder.edge(Place(EVENTS_LOG, "occurred_at"), Place(LATE_LOG, column), found_in, Influence.CONDITION)
    builder.edge(Place(EVENTS_LOG, "occurred_at"), Place(LATE_LOG, ROWS), found_in, Influence.CONDITION)
    builder.edge(Place(EVENTS_LOG, ROWS), Place(LATE_LOG, ROWS), found_in)
