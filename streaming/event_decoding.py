"""Decodes the records of a micro-batch into columns: in bulk where that is safe, else one by one.

A record is accepted in bulk only if the contract's own `decode_event` would accept it with the same values, and so
would the schema of its event name, where one is registered. Every other record goes to `decode_event` and the schema,
which alone decide about it and give the reason (`one_by_one`). The bulk path
takes the contract's type without its patterns and with times as text, and checks what it left out by columns
(`column_checks`).

One thing cannot be seen in what was decoded: a key that stands twice, of which a decoder keeps the last. In the
envelope it is seen in the length: a record that is no longer than the shortest JSON with these twelve fields, as our
door writes it, has nothing twice; in any other the quotes are counted. In a payload the colons are counted.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from platform_assets.contracts.duplicate_keys import ESCAPED_COLON, keeps_its_colons
from platform_assets.contracts.events import (
    ENVELOPE_FIELDS,
    MAX_EVENT_BYTES,
    MAX_NESTING,
    SCHEMA_VERSION,
    EventType,
    Name,
    Traceparent,
    check_payload,
)
from platform_assets.contracts.payloads import PAYLOAD_CONTRACTS
from resources.event_schemas.in_force import NO_SCHEMAS, SchemasInForce
from streaming.column_checks import Mask, are_null, doubtful_identifiers, misfits, read_times, text_lengths
from streaming.event_columns import TEXT_FIELDS, EventColumns, JsonText, in_order_of_offsets
from streaming.one_by_one import NOT_DECODABLE, Refused, decode_one_by_one
from streaming.record_batch import LogRecord

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
_decode_payload = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode
_contract_decoders = {name: msgspec.json.Decoder(contract).decode for name, contract in PAYLOAD_CONTRACTS.items()}


def decode_records(
    records: Sequence[LogRecord], offsets: NDArray[np.int64], *, land: bool, schemas: SchemasInForce = NO_SCHEMAS
) -> tuple[EventColumns, list[Refused]]:
    """The accepted events, and every other record with what is wrong with it, under the offsets given, ascending.

    The offsets are the caller's: those of several partitions would repeat each other. With `land` the payloads are as
    `encode_payload` writes them, else as they were sent.
    """
    values = [record.value or b"" for record in records]
    places, envelopes, payloads, colons = _decoded(values, land)
    decoded = values if len(places) == len(values) else [values[place] for place in places]
    columns, doubtful = _checked(envelopes, payloads, colons, offsets[places], decoded, schemas=schemas)
    if len(places) == len(values) and not doubtful.any():
        return columns, []
    sure = np.flatnonzero(~doubtful)
    unsure = np.delete(np.arange(len(values)), np.array(places, np.int64)[sure])
    others, refused = decode_one_by_one(
        ((int(offsets[place]), records[place].value) for place in unsure.tolist()), schemas
    )
    columns = columns.take(sure)
    return (in_order_of_offsets(columns, others) if len(others) else columns), refused


def _decoded(values: Sequence[bytes], land: bool) -> tuple[list[int], list[_Envelope], list[JsonText], list[int]]:
    """The places of what can be decoded, its envelopes and payloads, and how many colons each payload needs."""
    places: list[int] = []
    envelopes: list[_Envelope] = []
    payloads: list[JsonText] = []
    colons: list[int] = []
    for place, value in enumerate(values):
        try:
            envelope = _decode_envelope(value)
            raw = envelope.payload
            # Read to the end, which skipping over it does not do (UTF-8, numbers). The objects are dropped while they
            # are in the processor's cache: kept for a batch of 10,000 they cost twice the time.
            decode_contract = _contract_decoders.get(envelope.event_name)
            if decode_contract is not None:
                payload: JsonText = _encode(decode_contract(raw))
                # Written as the contract writes it, its values have the very types that the contract wants.
                if payload != bytes(raw):
                    payload = _converted(envelope.event_name, raw)
                needed = payload.count(b":")
            else:
                content = _decode_payload(raw)
                payload = _encode(content) if land else raw
                # One for each key, where none is inside a value: then a lean worker need not write the payload again.
                needed = len(content)
                if land or bytes(raw).count(b":") != needed:
                    needed = (payload if land else _encode(content)).count(b":")
        except NOT_DECODABLE:
            continue  # decode_event says what is wrong with it
        places.append(place)
        envelopes.append(envelope)
        payloads.append(payload)
        colons.append(needed)
    return places, envelopes, payloads, colons


def _converted(event_name: str, raw: msgspec.Raw) -> bytes:
    """The text of a payload with a contract; raises where it breaks the contract."""
    payload = _decode_payload(raw)
    check_payload(event_name, payload)
    return _encode(payload)


def _checked(
    envelopes: list[_Envelope],
    payloads: list[JsonText],
    colons: list[int],
    offsets: NDArray[np.int64],
    values: list[bytes],
    *,
    schemas: SchemasInForce,
) -> tuple[EventColumns, Mask]:
    """All of them as columns, and True where one is to be decided by the contract."""
    # Spelled out: a comprehension for each takes a third of what getattr by name does, 0.07 µs an event.
    texts: dict[str, list[Any]] = {
        "event_id": [envelope.event_id for envelope in envelopes],
        "event_type": [envelope.event_type for envelope in envelopes],
        "event_name": [envelope.event_name for envelope in envelopes],
        "user_id": [envelope.user_id for envelope in envelopes],
        "session_id": [envelope.session_id for envelope in envelopes],
        "source_service": [envelope.source_service for envelope in envelopes],
        "correlation_id": [envelope.correlation_id for envelope in envelopes],
        "traceparent": [envelope.traceparent for envelope in envelopes],
    }
    occurred_at = pa.array([envelope.occurred_at for envelope in envelopes], pa.string())
    received_at = pa.array([envelope.received_at for envelope in envelopes], pa.string())
    occurred_us, doubtful = read_times(occurred_at)
    received_us, received_doubtful = read_times(received_at)
    versions = [envelope.schema_version for envelope in envelopes]
    columns = EventColumns(offsets, occurred_us, received_us, versions, payloads, texts)
    doubtful |= received_doubtful
    for name in _IDENTIFIERS:
        doubtful |= doubtful_identifiers(columns.array(name))
    for name, kind in _KINDS.items():
        if wrong := misfits(set(texts[name]), kind):
            doubtful |= np.fromiter((text in wrong for text in texts[name]), np.bool_, len(envelopes))
    raw_payloads = [envelope.payload for envelope in envelopes]
    doubtful[_may_repeat_fields(columns, (occurred_at, received_at), raw_payloads, values)] = True
    together = b",".join(raw_payloads)
    doubtful[_may_repeat_keys(raw_payloads, together, colons)] = True
    doubtful[_too_deep(texts["event_name"], raw_payloads, together)] = True
    doubtful[_misfits_of_schemas(texts["event_name"], raw_payloads, received_us, schemas)] = True
    return columns, doubtful


def _may_repeat_fields(
    columns: EventColumns, times: tuple[pa.Array, pa.Array], raw_payloads: list[msgspec.Raw], values: list[bytes]
) -> list[int]:
    """The rows that may hold a field of the envelope twice, or are larger than an event may be."""
    count = len(values)
    sizes = np.fromiter(map(len, values), np.int64, count)
    texts = [*times, *(columns.array(name) for name in TEXT_FIELDS)]
    present = np.full(count, len(texts))
    for text in texts:
        if text.null_count:
            present -= are_null(text)
    shortest = np.fromiter(map(len, raw_payloads), np.int64, count) + _FRAME_BYTES
    shortest += _QUOTES_BYTES * present + _NULL_BYTES * (len(texts) - present)
    for text in texts:
        shortest += text_lengths(text)
    return [
        row
        for row in np.flatnonzero((sizes != shortest) | (sizes > MAX_EVENT_BYTES)).tolist()
        if sizes[row] > MAX_EVENT_BYTES
        # Each field once is a pair of quotes for its name and one for its text; once more is another pair.
        or _quotes(values[row]) - _quotes(bytes(raw_payloads[row])) != 2 * (len(ENVELOPE_FIELDS) + present[row])
    ]


def _quotes(text: bytes) -> int:
    return text.count(b'"')


def _may_repeat_keys(raw_payloads: list[msgspec.Raw], together: bytes, colons: list[int]) -> list[int]:
    """The rows whose payload may hold a key twice: it has a colon more than it needs, as decoded.

    With the counting in `_decoded` this costs 0.1 µs an event, 0.3 to 0.6 where nothing lands.
    """
    # No payload has fewer than it needs, unless some are escaped: where the sums agree, each has as many.
    if ESCAPED_COLON not in together and together.count(b":") == sum(colons):
        return []
    return [
        row
        for row, text in enumerate(map(bytes, raw_payloads))
        if (text.count(b":") != colons[row] or ESCAPED_COLON in text)
        and not keeps_its_colons(text, _decode_payload(text))
    ]


def _too_deep(names: list[str], raw_payloads: list[msgspec.Raw], together: bytes) -> list[int]:
    """The rows whose payload nests deeper than the contract allows."""
    # Every payload has one brace: where all of them together have no more than this, none nests too deeply.
    if _brackets(together) <= len(raw_payloads) + MAX_NESTING:
        return []
    suspects = [row for row, raw in enumerate(raw_payloads) if _brackets(bytes(raw)) > MAX_NESTING]
    return [row for row in suspects if not _is_kept(names[row], raw_payloads[row])]


def _misfits_of_schemas(
    names: list[str], raw_payloads: list[msgspec.Raw], received_us: NDArray[np.int64], schemas: SchemasInForce
) -> list[int]:
    """The rows whose payload does not fit the schema of its event name."""
    # Where no name of the batch has a schema, an event costs the look for its name, 0.004 µs.
    if not schemas.names or schemas.names.isdisjoint(names):
        return []
    return [
        row
        for row, name in enumerate(names)
        if name in schemas.names
        and schemas.fault(name, _decode_payload(raw_payloads[row]), int(received_us[row])) is not None
    ]


def _brackets(text: bytes) -> int:
    return text.count(b"{") + text.count(b"[")


def _is_kept(event_name: str, raw_payload: msgspec.Raw) -> bool:
    try:
        check_payload(event_name, _decode_payload(raw_payload))
    except NOT_DECODABLE:
        return False
    return True
