"""Decodes the records of a micro-batch into columns: in bulk where that is safe, else one by one.

A record is accepted in bulk only if the contract's own `decode_event` would accept it with the same values, and so
would the schema of its event name, where one is registered. Every other record goes to `decode_event` and the schema,
which alone decide about it and give the reason (`one_by_one`).

Its envelope is cut out where it is written as the door writes it (`framed_envelopes`), else decoded (`envelopes`). Both
leave open what its texts are, and a payload whether it can be read: that is checked here, by columns (`column_checks`,
`payload_decoding`).
"""

from collections.abc import Collection, Iterator, Sequence
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa

from platform_assets.contracts.events import EventType, Name, Traceparent
from platform_assets.contracts.windows import WindowDefinition
from resources.event_schemas.in_force import NO_SCHEMAS, SchemasInForce
from streaming.column_checks import are_among, doubtful_identifiers, misfits, read_times
from streaming.envelopes import Envelopes, decode_envelopes
from streaming.event_columns import TEXT_FIELDS, EventColumns, in_order_of_offsets
from streaming.framed_envelopes import MOST_BYTES, cut_envelopes
from streaming.joined_values import JoinedValues
from streaming.one_by_one import Refused, decode_one_by_one
from streaming.payload_decoding import decode_payloads, read_payload
from streaming.window_columns import needed_by_those_that_take

_IDENTIFIERS = ("event_id", "user_id", "session_id", "correlation_id")
# Columns of few distinct values, each of which is checked by the contract's own type.
_KINDS: dict[str, Any] = {
    "event_type": EventType,
    "event_name": Name,
    "source_service": Name,
    "traceparent": Traceparent | None,
}

# Of fewer, to decode each takes no longer than the calls for all of them.
LEAST_FRAMED = 200


def decode_records(
    records: Sequence[bytes | None],
    *,
    land: bool,
    schemas: SchemasInForce = NO_SCHEMAS,
    definitions: Collection[WindowDefinition] = (),
) -> tuple[EventColumns, list[Refused]]:
    """The accepted events among the values of records, and what is wrong with every other one.

    For offsets both have the places among the records, ascending: the offsets of several partitions would repeat each
    other. With `land` the payloads are as `encode_payload` writes them, else as they were sent. The columns have
    the values of the payload fields that these windows read, unless some records were accepted one by one.
    """
    accepted = [_sure(envelopes, schemas, land=land, definitions=definitions) for envelopes in _envelopes(records)]
    columns = reduce(in_order_of_offsets, accepted)
    if len(columns) == len(records):
        return columns, []
    unsure = np.delete(np.arange(len(records)), columns.offsets)
    others, refused = decode_one_by_one(((place, records[place]) for place in unsure.tolist()), schemas)
    return (in_order_of_offsets(columns, others) if len(others) else columns), refused


def _envelopes(records: Sequence[bytes | None]) -> Iterator[Envelopes]:
    if len(records) >= LEAST_FRAMED:
        values = records if isinstance(records, JoinedValues) else JoinedValues.of(records)
        if len(values.data) <= MOST_BYTES:
            cut = cut_envelopes(values)
            yield cut
            if len(cut) < len(records):
                others = np.delete(np.arange(len(records)), cut.places)
                yield decode_envelopes([records[place] for place in others.tolist()]).under(others)
            return
    yield decode_envelopes(records)


def _sure(
    envelopes: Envelopes, schemas: SchemasInForce, *, land: bool, definitions: Collection[WindowDefinition]
) -> EventColumns:
    """Those of them that the contract and the schemas accept without doubt."""
    names: list[str] = envelopes.texts["event_name"].to_pylist()
    fields = needed_by_those_that_take(definitions, frozenset(names)).fields
    payloads = decode_payloads(names, envelopes.payloads, write=land, fields=fields)
    if len(payloads.places) < len(envelopes):
        envelopes = envelopes.take(np.array(payloads.places, np.int64))
    doubtful = envelopes.doubtful.copy()
    doubtful[payloads.doubtful] = True
    # At once: of few events, 0.04 ms for a column are the calls and not the times.
    times = pa.concat_arrays([envelopes.texts["occurred_at"], envelopes.texts["received_at"]])
    times_us, doubts = read_times(times)
    occurred_us, received_us = np.split(times_us, 2)
    doubtful |= np.logical_or(*np.split(doubts, 2))
    texts = {name: envelopes.texts[name] for name in TEXT_FIELDS}
    for name in _IDENTIFIERS:
        doubtful |= doubtful_identifiers(texts[name])
    for name, kind in _KINDS.items():
        if wrong := misfits(texts[name].unique().to_pylist(), kind):
            doubtful |= are_among(texts[name], wrong)
    columns = EventColumns(
        envelopes.places,
        occurred_us,
        received_us,
        envelopes.schema_versions,
        payloads.texts,
        texts,
        payloads.values,
    )
    doubtful[_misfits_of_schemas(columns, envelopes.payloads, schemas)] = True
    return columns.take(np.flatnonzero(~doubtful)) if doubtful.any() else columns


def _misfits_of_schemas(columns: EventColumns, payloads: pa.BinaryArray, schemas: SchemasInForce) -> list[int]:
    """The rows whose payload does not fit the schema of its event name."""
    # Where no name of the batch has a schema, an event costs the look for its name, 0.004 µs.
    if not schemas.names or schemas.names.isdisjoint(columns.distinct_event_names):
        return []
    return [
        row
        for row, name in enumerate(columns.column("event_name"))
        if name in schemas.names
        and schemas.fault(name, read_payload(payloads[row].as_py()), int(columns.received_us[row])) is not None
    ]
