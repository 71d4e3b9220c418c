"""Decodes the records of a micro-batch into columns: in bulk where that is safe, else one by one.

A record is accepted in bulk only if the contract's own `decode_event` would accept it with the same values, and so
would the schema of its event name, where one is registered. Every other record goes to `decode_event` and the schema,
which alone decide about it and give the reason (`one_by_one`). The bulk path takes the contract's type without its
patterns and with times as text, and checks what it left out by columns (`column_checks`).

One thing cannot be seen in what was decoded: a field that stands twice, of which a decoder keeps the last. It is seen
in the length: a record that is no longer than the shortest JSON with these twelve fields, as our door writes it, has
nothing twice; in any other the quotes are counted. For payloads see `payload_decoding`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from platform_assets.contracts.events import (
    ENVELOPE_FIELDS,
    MAX_EVENT_BYTES,
    SCHEMA_VERSION,
    EventType,
    Name,
    Traceparent,
)
from resources.event_schemas.in_force import NO_SCHEMAS, SchemasInForce
from streaming.column_checks import Mask, are_among, are_null, doubtful_identifiers, misfits, read_times, text_lengths
from streaming.event_columns import TEXT_FIELDS, EventColumns, JsonText, in_order_of_offsets
from streaming.one_by_one import Refused, decode_one_by_one
from streaming.payload_decoding import decode_each, decode_payloads, read_payload, without

_IDENTIFIERS = ("event_id", "user_id", "session_id", "correlation_id")
# Columns of few distinct values, each of which is checked by the contract's own type.
_KINDS: dict[str, Any] = {
    "event_type": EventType,
    "event_name": Name,
    "source_service": Name,
    "traceparent": Traceparent | None,
}
# Braces, a one-digit version, and twelve fields with quotes, colon and the commas between them.
_FRAME_BYTES = 2 + 1 + sum(len(name) + 3 for name in ENVELOPE_FIELDS) + len(ENVELOPE_FIELDS) - 1
_QUOTES_BYTES = 2
_NULL_BYTES = 4
# So many events' objects fit into the processor's cache; they become columns before the next ones are decoded.
_TOGETHER = 1000


class _Envelope(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, gc=False):
    """`Event` without patterns and enumeration, its times and payload as they were sent. Field for field a superset."""

    event_id: str
    event_type: str
    event_name: str
    user_id: str | None
    session_id: str | None
    occurred_at: str
    received_at: str
    source_service: str
    schema_version: Annotated[int, msgspec.Meta(ge=1, le=SCHEMA_VERSION)]
    correlation_id: str | None
    traceparent: str | None
    payload: msgspec.Raw


_decode_envelope = msgspec.json.Decoder(_Envelope).decode


def decode_records(
    records: Sequence[bytes | None], *, land: bool, schemas: SchemasInForce = NO_SCHEMAS
) -> tuple[EventColumns, list[Refused]]:
    """The accepted events among the values of records, and what is wrong with every other one.

    For offsets both have the places among the records, ascending: the offsets of several partitions would repeat each
    other. With `land` the payloads are as `encode_payload` writes them, else as they were sent.
    """
    values = [value or b"" for value in records]
    decoded = _decoded(values, land=land)
    columns, doubtful = _checked(decoded, values, schemas)
    if len(columns) == len(values) and not doubtful.any():
        return columns, []
    sure = np.flatnonzero(~doubtful)
    unsure = np.delete(np.arange(len(values)), decoded.places[sure])
    others, refused = decode_one_by_one(((place, records[place]) for place in unsure.tolist()), schemas)
    columns = columns.take(sure)
    return (in_order_of_offsets(columns, others) if len(others) else columns), refused


@dataclass(frozen=True)
class _Decoded:
    """What can be decoded, in the records' order: one entry for each of `places`."""

    places: NDArray[np.int64]
    texts: Mapping[str, pa.StringArray]
    """By field: `TEXT_FIELDS` and the times."""
    schema_versions: NDArray[np.int32]
    raw_payloads: Sequence[msgspec.Raw]
    payloads: Sequence[JsonText]
    doubtful: NDArray[np.int64]
    """Rows whose payload is doubtful."""


def _decoded(values: Sequence[bytes], *, land: bool) -> _Decoded:
    parts = [
        _decoded_together(values[begin : begin + _TOGETHER], begin, land=land)
        for begin in range(0, max(len(values), 1), _TOGETHER)
    ]
    if len(parts) == 1:
        return parts[0]
    firsts = np.cumsum([0, *(len(part.places) for part in parts[:-1])]).tolist()
    return _Decoded(
        np.concatenate([part.places for part in parts]),
        {name: pa.concat_arrays([part.texts[name] for part in parts]) for name in parts[0].texts},
        np.concatenate([part.schema_versions for part in parts]),
        list(chain.from_iterable(part.raw_payloads for part in parts)),
        list(chain.from_iterable(part.payloads for part in parts)),
        np.concatenate([part.doubtful + first for part, first in zip(parts, firsts, strict=True)]),
    )


def _decoded_together(values: Sequence[bytes], first: int, *, land: bool) -> _Decoded:
    """The same of few records, the first of which stands at `first`."""
    envelopes, failed = decode_each(_decode_envelope, values)
    places = without(range(first, first + len(values)), failed)
    payloads = decode_payloads(
        [envelope.event_name for envelope in envelopes], [envelope.payload for envelope in envelopes], write=land
    )
    if len(payloads.places) < len(envelopes):
        places = [places[place] for place in payloads.places]
        envelopes = [envelopes[place] for place in payloads.places]
    # Spelled out: a comprehension for each takes a third of what getattr by name does, 0.07 µs an event.
    texts: dict[str, list[str | None]] = {
        "event_id": [envelope.event_id for envelope in envelopes],
        "event_type": [envelope.event_type for envelope in envelopes],
        "event_name": [envelope.event_name for envelope in envelopes],
        "user_id": [envelope.user_id for envelope in envelopes],
        "session_id": [envelope.session_id for envelope in envelopes],
        "occurred_at": [envelope.occurred_at for envelope in envelopes],
        "received_at": [envelope.received_at for envelope in envelopes],
        "source_service": [envelope.source_service for envelope in envelopes],
        "correlation_id": [envelope.correlation_id for envelope in envelopes],
        "traceparent": [envelope.traceparent for envelope in envelopes],
    }
    return _Decoded(
        np.array(places, np.int64),
        {name: pa.array(column, pa.string()) for name, column in texts.items()},
        np.array([envelope.schema_version for envelope in envelopes], np.int32),
        [envelope.payload for envelope in envelopes],
        payloads.texts,
        np.array(payloads.doubtful, np.int64),
    )


def _checked(decoded: _Decoded, values: Sequence[bytes], schemas: SchemasInForce) -> tuple[EventColumns, Mask]:
    """All of them as columns, and True where one is to be decided by the contract."""
    # At once: of few events, 0.04 ms for a column are the calls and not the times.
    times_us, doubts = read_times(pa.concat_arrays([decoded.texts["occurred_at"], decoded.texts["received_at"]]))
    occurred_us, received_us = np.split(times_us, 2)
    doubtful: Mask = np.logical_or(*np.split(doubts, 2))
    doubtful[decoded.doubtful] = True
    texts = {name: decoded.texts[name] for name in TEXT_FIELDS}
    columns = EventColumns(decoded.places, occurred_us, received_us, decoded.schema_versions, decoded.payloads, texts)
    for name in _IDENTIFIERS:
        doubtful |= doubtful_identifiers(texts[name])
    for name, kind in _KINDS.items():
        if wrong := misfits(texts[name].unique().to_pylist(), kind):
            doubtful |= are_among(texts[name], wrong)
    doubtful[_may_repeat_fields(decoded, values)] = True
    doubtful[_misfits_of_schemas(columns, decoded.raw_payloads, schemas)] = True
    return columns, doubtful


def _may_repeat_fields(decoded: _Decoded, values: Sequence[bytes]) -> list[int]:
    """The rows that may hold a field of the envelope twice, or are larger than an event may be."""
    count = len(decoded.places)
    sizes = np.fromiter(map(len, values), np.int64, len(values))[decoded.places]
    present = np.full(count, len(decoded.texts))
    shortest = np.fromiter(map(len, decoded.raw_payloads), np.int64, count) + _FRAME_BYTES
    for text in decoded.texts.values():
        if text.null_count:
            present -= are_null(text)
        shortest += text_lengths(text)
    shortest += _QUOTES_BYTES * present + _NULL_BYTES * (len(decoded.texts) - present)
    return [
        row
        for row in np.flatnonzero((sizes != shortest) | (sizes > MAX_EVENT_BYTES)).tolist()
        if sizes[row] > MAX_EVENT_BYTES
        # Each field once is a pair of quotes for its name and one for its text; once more is another pair.
        or _quotes(values[decoded.places[row]]) - _quotes(bytes(decoded.raw_payloads[row]))
        != 2 * (len(ENVELOPE_FIELDS) + present[row])
    ]


def _quotes(text: bytes) -> int:
    return text.count(b'"')


def _misfits_of_schemas(
    columns: EventColumns, raw_payloads: Sequence[msgspec.Raw], schemas: SchemasInForce
) -> list[int]:
    """The rows whose payload does not fit the schema of its event name."""
    # Where no name of the batch has a schema, an event costs the look for its name, 0.004 µs.
    if not schemas.names or schemas.names.isdisjoint(columns.distinct_event_names):
        return []
    return [
        row
        for row, name in enumerate(columns.column("event_name"))
        if name in schemas.names
        and schemas.fault(name, read_payload(raw_payloads[row]), int(columns.received_us[row])) is not None
    ]
