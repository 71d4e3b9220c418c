"""The whole contract as one canonical document, so that two states of it can be compared.

An entry is one thing that somebody else relies on: a field at the door, on the log or in a payload, a column of a
landed table, a topic, a window, a feature, a metric. Words that only describe are not in it.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import msgspec

from platform_assets.contracts.events import EARLIEST, LATEST, MAX_EVENT_BYTES, MAX_NESTING, SCHEMA_VERSION
from platform_assets.contracts.events import Event as RecordedEvent
from platform_assets.contracts.events import NewEvent as SentEvent
from platform_assets.contracts.features import FEATURE_SETS, FeatureSet, LiveFeatureSet
from platform_assets.contracts.field_types import described_fields
from platform_assets.contracts.landed_rows import LANDED_ROWS, PREDICTION_ROWS
from platform_assets.contracts.metrics import METRICS, Metric
from platform_assets.contracts.payloads import PAYLOAD_CONTRACTS, RULES_ACROSS_FIELDS
from platform_assets.contracts.predictions import SERVED, StreamPrediction
from platform_assets.contracts.rejections import Rejection
from platform_assets.contracts.topics import EVENTS, LATE, PARTIALS, PREDICTIONS, REJECTED, TOPICS, Topic
from platform_assets.contracts.topics import WINDOWS as WINDOW_UPDATES
from platform_assets.contracts.windows import WINDOWS, LateEvent, PartUpdates, WindowDefinition, WindowUpdates

FORMAT = 1

Entries: TypeAlias = Iterator[tuple[str, "Entry"]]


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One part of the contract.

    `place` is what lineage calls it; None where it has no place there. A change is declared by a greater `version` of
    the entry or of its `owner`, which is the name of another entry.
    """

    kind: str
    place: str | None = None
    owner: str | None = None
    version: int | None = None
    attributes: dict[str, Any] = {}


class ContractDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Every entry by its name. Another `format` cannot be compared with this one."""

    format: int
    entries: dict[str, Entry]


_RECORDS: dict[str, type[msgspec.Struct]] = {
    REJECTED.name: Rejection,
    WINDOW_UPDATES.name: WindowUpdates,
    PARTIALS.name: PartUpdates,
    LATE.name: LateEvent,
    PREDICTIONS.name: StreamPrediction,
}
_ENVELOPE = "envelope"
_DOOR = "routes/ingest_events"
_VERSION = re.compile(r"\.v(\d+)$")


def contract_document() -> ContractDocument:
    """The contract as this code says it."""
    parts = (_envelope(), _payloads(), _topics(), _tables(), _windows(), _feature_sets(), _served(), _metrics())
    return ContractDocument(format=FORMAT, entries={name: entry for part in parts for name, entry in part})


def encode_document(document: ContractDocument) -> bytes:
    """The document's text, stable to the byte."""
    return msgspec.json.format(msgspec.json.encode(document, order="sorted"), indent=2) + b"\n"


def decode_document(content: bytes) -> ContractDocument:
    """The inverse of `encode_document`. Raises msgspec.DecodeError."""
    return msgspec.json.decode(content, type=ContractDocument)


def _envelope() -> Entries:
    limits = {"max_bytes": MAX_EVENT_BYTES, "max_nesting": MAX_NESTING}
    yield _ENVELOPE, Entry(kind="envelope", place=_DOOR, version=SCHEMA_VERSION, attributes=limits)
    for kind, struct in (("door", SentEvent), ("record", RecordedEvent)):
        prefix = "door" if kind == "door" else f"record.{_name(EVENTS)}"
        for name, attributes in described_fields(struct):
            if attributes["type"] == "timestamp":
                attributes |= {"minimum": EARLIEST.isoformat(), "before": LATEST.isoformat()}
            place = f"{_DOOR}.{name}" if kind == "door" else f"events.{name}"
            yield f"{prefix}.{name}", Entry(kind=kind, place=place, owner=_ENVELOPE, attributes=attributes)


def _payloads() -> Entries:
    for event_name, contract in PAYLOAD_CONTRACTS.items():
        rules = [f"{rule.field} <= {rule.limit}" for rule in RULES_ACROSS_FIELDS.get(event_name, ())]
        closed = contract.__struct_config__.forbid_unknown_fields
        attributes = {"rules": sorted(rules), "refuses_unknown_fields": closed}
        yield f"payload.{event_name}", Entry(kind="payload", place=f"{_DOOR}.payload", attributes=attributes)
        for name, described in described_fields(contract):
            place = f"{_DOOR}.payload.{name}"
            yield f"payload.{event_name}.{name}", Entry(kind="payload_field", place=place, attributes=described)


def _topics() -> Entries:
    for topic in TOPICS:
        owner = f"topic.{_name(topic)}"
        attributes = {"partitions": topic.partitions, "partition_key": topic.partition_key}
        found = _VERSION.search(topic.name)
        version = int(found[1]) if found else 0
        # Lineage knows the partials as what they become.
        place = (WINDOW_UPDATES if topic is PARTIALS else topic).name
        yield owner, Entry(kind="topic", place=place, version=version, attributes=attributes)
        record = _RECORDS.get(topic.name)
        for name, described in described_fields(record) if record is not None else ():
            field = f"record.{_name(topic)}.{name}"
            yield field, Entry(kind="record", place=f"{place}.{name}", owner=owner, attributes=described)


def _tables() -> Entries:
    for rows in LANDED_ROWS:
        stage = "inference/raw_predictions" if rows is PREDICTION_ROWS else f"raw/{rows.name}"
        yield f"table.{rows.name}", Entry(kind="table", place=stage, attributes={"key": rows.key})
        for column in rows.columns:
            attributes = {"type": column.kind, "nullable": not column.required}
            place = f"{stage}.{column.name}"
            yield f"table.{rows.name}.{column.name}", Entry(kind="column", place=place, attributes=attributes)


def _windows() -> Entries:
    for window in WINDOWS:
        owner = f"window.{window.name}"
        place = f"windows/{window.name}"
        yield owner, Entry(kind="window", place=place, version=window.version, attributes=_window(window))
        for aggregate in window.aggregates:
            attributes = {"function": aggregate.function, "field": aggregate.field, "quantile": aggregate.quantile}
            name = f"{owner}.{aggregate.name}"
            yield name, Entry(kind="aggregate", place=f"{place}.{aggregate.name}", owner=owner, attributes=attributes)


def _window(window: WindowDefinition) -> dict[str, Any]:
    return {
        "key_field": window.key_field,
        "window_type": window.window_type,
        "size_ms": window.size_ms,
        "hop_ms": window.hop_ms,
        "lateness_ms": window.lateness_ms,
        "event_names": None if window.event_names is None else sorted(window.event_names),
        "aggregates": list(window.aggregate_names),
    }


def _feature_sets() -> Entries:
    newest = dict(sorted(FEATURE_SETS))
    for (name, version), features in FEATURE_SETS.items():
        # An older one that is kept beside it has its version in its name.
        owner = f"features.{name}" if version == newest[name] else f"features.{name}@{version}"
        place = f"features/{name}"
        attributes = {"entity": features.entity, "order": list(features.feature_names)}
        yield owner, Entry(kind="feature_set", place=place, version=version, attributes=attributes)
        for column, described in zip(features.feature_names, _features(features), strict=True):
            entry = Entry(kind="feature", place=f"{place}.{column}", owner=owner, attributes=described)
            yield f"{owner}.{column}", entry


def _features(features: FeatureSet) -> Iterable[dict[str, Any]]:
    sources = features.sources if isinstance(features, LiveFeatureSet) else None
    for number, column in enumerate(features.columns):
        described: dict[str, Any] = {
            "type": column.dtype,
            "nullable": column.nullable,
            "minimum": column.minimum,
            "maximum": column.maximum,
        }
        if sources is not None:
            described["source"] = f"{sources[number].window}.{sources[number].value}"
        yield described


def _served() -> Entries:
    for model, features in SERVED.items():
        attributes = {"feature_set": features.name}
        yield (
            f"served.{model}",
            Entry(kind="served", place=f"models/{model}", owner=f"features.{features.name}", attributes=attributes),
        )


def _metrics() -> Entries:
    for metric in METRICS.values():
        yield f"metric.{metric.name}", Entry(kind="metric", place=f"metrics/{metric.name}", attributes=_metric(metric))


def _metric(metric: Metric) -> dict[str, Any]:
    return {
        "unit": metric.unit,
        "mart": metric.mart,
        "time": f"{metric.time.name} {metric.time.type}",
        "measure": repr(metric.measure),
        "filters": sorted(map(repr, metric.filters)),
        "grains": sorted(metric.grains),
        "dimensions": {dimension.name: str(dimension.type) for dimension in metric.dimensions},
    }


def _name(topic: Topic) -> str:
    return _VERSION.sub("", topic.name)
