"""Payloads in bulk: read to the end, written as the contract writes them, and doubted where they may be odd.

A decoder keeps the last of two equal keys and says nothing. A key that is lost takes its colon along, so the colons are
counted: of many payloads together, since none can make up for what another has lost.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import msgspec
import pyarrow as pa

from platform_assets.contracts.duplicate_keys import ESCAPED_COLON, keeps_its_colons
from platform_assets.contracts.events import MAX_NESTING, check_payload
from platform_assets.contracts.payloads import PAYLOAD_CONTRACTS
from platform_assets.windows.columns import MISSING
from streaming.many_records import TOGETHER, decode_each, without
from streaming.one_by_one import NOT_DECODABLE

read_payload = msgspec.json.Decoder(dict[str, Any]).decode
"""Any payload that is a JSON object, whatever its event name promises."""

_encode = msgspec.json.Encoder().encode
_contract_decoders = {name: msgspec.json.Decoder(contract).decode for name, contract in PAYLOAD_CONTRACTS.items()}


@dataclass(frozen=True)
class Payloads:
    """What could be decoded of a column of payloads; one text for each of `places`."""

    places: Sequence[int]
    """Where they stand in the column, ascending."""
    texts: pa.BinaryArray
    doubtful: list[int]
    """Places among the texts of those that may hold a key twice, or nest deeper than the contract allows."""
    values: Mapping[str, list[Any]]
    """Of each field that was asked for, `MISSING` where a payload has none."""


def decode_payloads(
    names: Sequence[str], payloads: pa.BinaryArray, *, write: bool, fields: Sequence[str] = ()
) -> Payloads:
    """Read them to the end, which skipping over them in an envelope does not do (UTF-8, numbers, contracts).

    With `write` their texts are as `encode_payload` writes them, else as they were sent. The fields are top-level ones:
    to look a value up that has been read takes 0.05 µs, to read a payload again for it 0.14.
    """
    raw_payloads: list[bytes] = payloads.to_pylist()
    parts = [
        _decode_together(names[begin : begin + TOGETHER], raw_payloads[begin : begin + TOGETHER], fields, write=write)
        for begin in range(0, len(raw_payloads), TOGETHER)
    ]
    places: list[int] = []
    doubtful: list[int] = []
    for number, part in enumerate(parts):
        doubtful += [len(places) + place for place in part.doubtful]
        places += [number * TOGETHER + place for place in part.places]
    if write:
        payloads = pa.array(list(chain.from_iterable(part.written for part in parts)), pa.binary())
    elif len(places) < len(payloads):
        payloads = payloads.take(pa.array(places, pa.int64()))
    values = {name: list(chain.from_iterable(part.values[name] for part in parts)) for name in fields}
    return Payloads(places, payloads, doubtful, values)


@dataclass(frozen=True)
class _Part:
    places: Sequence[int]
    written: Sequence[bytes]
    """None of them where they were not to be written."""
    doubtful: list[int]
    values: Mapping[str, list[Any]]


def _decode_together(
    names: Sequence[str], raw_payloads: Sequence[bytes], fields: Sequence[str], *, write: bool
) -> _Part:
    written: list[bytes] | None = None
    if _contract_decoders.keys().isdisjoint(names):
        contents, failed = decode_each(read_payload, raw_payloads)
        if write:
            written = list(map(_encode, contents))
    else:
        read, failed = decode_each(_read_by_contract, names, raw_payloads)
        contents, written = [content for content, _ in read], [text for _, text in read]
    places = without(range(len(raw_payloads)), failed)
    names, raw_payloads = without(names, failed), without(raw_payloads, failed)
    together = b",".join(raw_payloads)
    doubtful = _may_repeat_keys(raw_payloads, contents, written, together) + _too_deep(names, raw_payloads, together)
    return _Part(places, written or [], doubtful, {name: _values(contents, name) for name in fields})


def _values(contents: Sequence[Any], field: str) -> list[Any]:
    """A field of payloads that were read, by the contract of their event name or without."""
    return [
        content.get(field, MISSING)
        if type(content) is dict
        else getattr(content, field)
        if field in content.__struct_fields__
        else MISSING
        for content in contents
    ]


def _read_by_contract(name: str, raw: bytes) -> tuple[Any, bytes]:
    """A payload and its text; raises where it breaks the contract of its event name, if there is one.

    A contract's decoder takes 1 where a number with a fraction is wanted, and so does the contract, but as it stands.
    """
    decode = _contract_decoders.get(name)
    if decode is not None:
        content = decode(raw)
        text = _encode(content)
        if text == raw:
            return content, text
        check_payload(name, read_payload(raw))
    payload = read_payload(raw)
    return payload, _encode(payload)


def _may_repeat_keys(
    raw_payloads: Sequence[bytes], contents: Sequence[Any], written: Sequence[bytes] | None, together: bytes
) -> list[int]:
    """The rows that may hold a key twice: they have a colon more than their content needs."""
    if ESCAPED_COLON not in together:
        colons = together.count(b":")
        # One for each key, where none is nested or inside a text: then nothing has to be written to count them.
        if written is None and colons == sum(map(len, contents)):
            return []
        if colons == b"".join(map(_encode, contents) if written is None else written).count(b":"):
            return []
    return [
        row
        for row, (raw, content) in enumerate(zip(raw_payloads, contents, strict=True))
        if not keeps_its_colons(raw, content)
    ]


def _too_deep(names: Sequence[str], raw_payloads: Sequence[bytes], together: bytes) -> list[int]:
    """The rows that nest deeper than the contract allows."""
    # Every payload has one brace: where all of them together have no more than this, none nests too deeply.
    if _brackets(together) <= len(raw_payloads) + MAX_NESTING:
        return []
    suspects = [row for row, raw in enumerate(raw_payloads) if _brackets(raw) > MAX_NESTING]
    return [row for row in suspects if not _is_kept(names[row], raw_payloads[row])]


def _brackets(text: bytes) -> int:
    return text.count(b"{") + text.count(b"[")


def _is_kept(event_name: str, raw_payload: bytes) -> bool:
    try:
        check_payload(event_name, read_payload(raw_payload))
    except NOT_DECODABLE:
        return False
    return True
