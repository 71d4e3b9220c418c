"""Checks whole columns of envelope fields at once, for the bulk path of `event_decoding`.

Every check errs on one side: what it passes, the contract's decoder accepts with the same value; what it doubts may
still be right. Doubts are masks with one entry per row. Arrow and numpy do the work, mostly without the GIL.
"""

import datetime as dt
from collections.abc import Collection
from typing import Any, get_args

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from platform_assets.contracts.events import EARLIEST, LATEST, Identifier

Mask = NDArray[np.bool_]

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_EARLIEST_US = (EARLIEST - _EPOCH) // _MICROSECOND
_LATEST_US = (LATEST - _EPOCH) // _MICROSECOND
_NO_TIME = np.iinfo(np.int64).min
_INSTANT = pa.timestamp("us", "UTC")


def fits(value: object, kind: Any) -> bool:
    """Whether the contract's type takes the value."""
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def misfits(values: Collection[Any], kind: Any) -> set[Any]:
    """The values that the contract's type refuses; made for few distinct ones: 3 µs for a column of one name."""
    if fits(list(values), list[kind]):
        return set()
    return {value for value in values if not fits(value, kind)}


_MAX_IDENTIFIER: int = get_args(Identifier)[1].max_length
# Read off the contract: a usable identifier is one character from here, or up to the maximum of them.
_ALLOWED = bytes(code for code in range(128) if fits(chr(code), Identifier))
_IS_FORBIDDEN = np.ones(256, np.bool_)
_IS_FORBIDDEN[list(_ALLOWED)] = False


def text_lengths(texts: pa.Array) -> NDArray[np.int64]:
    """The length of every text of a string array in bytes; 0 for null."""
    offsets = _offsets(texts)
    lengths: NDArray[np.int64] = np.subtract(offsets[1:], offsets[:-1], dtype=np.int64)
    return lengths


def are_null(texts: pa.Array) -> Mask:
    """True where a text is null."""
    mask: Mask = texts.is_null().to_numpy(zero_copy_only=False)
    return mask


def are_among(texts: pa.Array, values: Collection[str]) -> Mask:
    """True where a text is one of these values."""
    mask: Mask = pc.is_in(texts, pa.array(list(values), pa.string())).to_numpy(zero_copy_only=False)
    return mask


def doubtful_identifiers(texts: pa.Array) -> Mask:
    """True where a text is no `Identifier`. Null is not doubted."""
    lengths = text_lengths(texts)
    doubtful = lengths > _MAX_IDENTIFIER
    doubtful |= (lengths == 0) & ~are_null(texts)
    data = texts.buffers()[2]
    # translate is ten times faster than looking every byte up, which is left to the columns that hold a bad one.
    offsets = _offsets(texts)
    # Of nothing but nulls Arrow makes a text of zeros, which is nobody's.
    if data is not None and data[: offsets[-1]].to_pybytes().translate(None, _ALLOWED):
        places = np.flatnonzero(_IS_FORBIDDEN[np.frombuffer(data, np.uint8, offsets[-1])])
        doubtful[np.searchsorted(offsets, places, side="right") - 1] = True
    return doubtful


def read_times(texts: pa.Array) -> tuple[NDArray[np.int64], Mask]:
    """Times in microseconds since the epoch, and True where the text is not one that the contract surely takes.

    Read are `YYYY-MM-DDThh:mm:ss`, up to six digits of a fraction, and `Z` or `±hh:mm`. Arrow, which reads them, knows
    more shapes than the contract and the contract knows more than Arrow: the shape is checked here, the numbers by
    Arrow. The year 0, which Arrow takes, is out of range.
    """
    shaped = _have_the_shape(texts)
    if shaped.all():
        times = _cast(texts)
    else:
        times = np.full(len(texts), _NO_TIME, np.int64)
        times[shaped] = _cast(texts.filter(pa.array(shaped)))
    return times, (times < _EARLIEST_US) | (times >= _LATEST_US)


def _have_the_shape(texts: pa.Array) -> Mask:
    offsets = _offsets(texts)
    lengths = offsets[1:] - offsets[:-1]
    shaped: Mask = lengths >= len("2026-11-23T12:00:00Z")
    data = texts.buffers()[2]
    if data is None or not shaped.any():
        return shaped
    text = np.frombuffer(data, np.uint8)
    # Clipped for the short ones only, whose verdict stands.
    starts = np.minimum(offsets[:-1], len(text) - 20)
    ends = np.maximum(offsets[1:], 20)
    sign = text[ends - 6]
    is_utc = text[ends - 1] == ord("Z")
    has_offset = ((sign == ord("+")) | (sign == ord("-"))) & (text[ends - 3] == ord(":"))
    local_lengths = lengths - np.where(is_utc, 1, 6)
    has_fraction = (local_lengths >= 21) & (local_lengths <= 26) & (text[starts + 19] == ord("."))
    shaped &= (text[starts + 10] == ord("T")) & (text[starts + 16] == ord(":"))
    shaped &= (is_utc | has_offset) & (has_fraction | (local_lengths == 19))
    return shaped


def _cast(texts: pa.Array) -> NDArray[np.int64]:
    try:
        times: NDArray[np.int64] = texts.cast(_INSTANT).view(pa.int64()).to_numpy()
    except pa.ArrowInvalid:
        # One bad number fails the array, and Arrow takes 0.1 ms to say so: the good ones are found one by one.
        real = np.fromiter(map(_is_a_time, texts.to_pylist()), np.bool_, len(texts))
        times = np.full(len(texts), _NO_TIME, np.int64)
        if not real.all():
            times[real] = _cast(texts.filter(pa.array(real)))
    return times


def _is_a_time(text: str) -> bool:
    try:
        dt.datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _offsets(texts: pa.Array) -> NDArray[np.int32]:
    # An empty array has no offsets at all.
    buffer = texts.buffers()[1]
    if not len(texts) or buffer is None:
        return np.zeros(len(texts) + 1, np.int32)
    return np.frombuffer(buffer, np.int32)[: len(texts) + 1]
