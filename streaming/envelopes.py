"""The envelopes of records as columns, each decoded by itself.

The contract's type is taken without its patterns and with times as text: what is left out is checked by columns in
`event_decoding`. One thing cannot be seen there: a field that stands twice, of which a decoder keeps the last. It is
seen in the length: a record that is no longer than the shortest JSON with these twelve fields, as our door writes it,
has nothing twice; in any other the quotes are counted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from platform_assets.contracts.events import ENVELOPE_FIELDS, MAX_EVENT_BYTES, SCHEMA_VERSION
from streaming.column_checks import Mask, are_null, text_lengths
from streaming.many_records import TOGETHER, decode_each, without

# Braces, a one-digit version, and twelve fields with quotes, colon and the commas between them.
_FRAME_BYTES = 2 + 1 + sum(len(name) + 3 for name in ENVELOPE_FIELDS) + len(ENVELOPE_FIELDS) - 1
_QUOTES_BYTES = 2
_NULL_BYTES = 4


@dataclass(frozen=True)
class Envelopes:
    """Of some records: one entry in each column for each of `places`."""

    places: NDArray[np.int64]
    """Where they stand among the records, ascending."""
    texts: Mapping[str, pa.StringArray]
    """By field: all that are text, and the times."""
    schema_versions: NDArray[np.int32]
    payloads: pa.BinaryArray
    """As they were sent."""
    doubtful: Mask
    """True where a field may stand twice, or the record is larger than an event may be."""

    def __len__(self) -> int:
        """The number of them."""
        return len(self.places)

    def under(self, places: NDArray[np.int64]) -> "Envelopes":
        """The same, where the records that they were found in are the ones at these places of others."""
        return replace(self, places=places[self.places])

    def take(self, rows: NDArray[np.int64]) -> "Envelopes":
        """Those at these positions, in this order."""
        return Envelopes(
            self.places[rows],
            {name: texts.take(pa.array(rows)) for name, texts in self.texts.items()},
            self.schema_versions[rows],
            self.payloads.take(pa.array(rows)),
            self.doubtful[rows],
        )


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


NULLABLE_FIELDS = frozenset(one.name for one in msgspec.structs.fields(_Envelope) if one.type == str | None)

_decode_envelope = msgspec.json.Decoder(_Envelope).decode


def decode_envelopes(values: Sequence[bytes | None]) -> Envelopes:
    """Those of the records that can be decoded."""
    parts = [
        _decode_together([value or b"" for value in values[begin : begin + TOGETHER]], begin)
        for begin in range(0, max(len(values), 1), TOGETHER)
    ]
    if len(parts) == 1:
        return parts[0]
    return Envelopes(
        np.concatenate([part.places for part in parts]),
        {name: pa.concat_arrays([part.texts[name] for part in parts]) for name in parts[0].texts},
        np.concatenate([part.schema_versions for part in parts]),
        pa.concat_arrays([part.payloads for part in parts]),
        np.concatenate([part.doubtful for part in parts]),
    )


def _decode_together(values: Sequence[bytes], first: int) -> Envelopes:
    """The same of few records, the first of which stands at `first`."""
    envelopes, failed = decode_each(_decode_envelope, values)
    # Spelled out: a comprehension for each takes a third of what getattr by name does, 0.07 µs an event.
    columns: dict[str, list[str | None]] = {
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
    texts = {name: pa.array(column, pa.string()) for name, column in columns.items()}
    payloads = [envelope.payload for envelope in envelopes]
    places = np.array(without(range(first, first + len(values)), failed), np.int64)
    doubtful = _may_repeat_fields(texts, payloads, without(values, failed))
    return Envelopes(
        places,
        texts,
        np.array([envelope.schema_version for envelope in envelopes], np.int32),
        pa.array(list(map(bytes, payloads)), pa.binary()),
        doubtful,
    )


def _may_repeat_fields(
    texts: Mapping[str, pa.StringArray], payloads: Sequence[msgspec.Raw], values: Sequence[bytes]
) -> Mask:
    """True where a record may hold a field of the envelope twice, or is larger than an event may be."""
    count = len(values)
    sizes = np.fromiter(map(len, values), np.int64, count)
    present = np.full(count, len(texts))
    shortest = np.fromiter(map(len, payloads), np.int64, count) + _FRAME_BYTES
    for text in texts.values():
        if text.null_count:
            present -= are_null(text)
        shortest += text_lengths(text)
    shortest += _QUOTES_BYTES * present + _NULL_BYTES * (len(texts) - present)
    may: Mask = sizes > MAX_EVENT_BYTES
    for row in np.flatnonzero((sizes != shortest) & ~may).tolist():
        # Each field once is a pair of quotes for its name and one for its text; once more is another pair.
        quotes = _quotes(values[row]) - _quotes(bytes(payloads[row]))
        may[row] = quotes != 2 * (len(ENVELOPE_FIELDS) + present[row])
    return may


def _quotes(text: bytes) -> int:
    return text.count(b'"')
