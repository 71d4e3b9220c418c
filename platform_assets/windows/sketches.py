"""Approximate aggregates that merge: distinct counts and quantiles in bounded memory.

A result is a pure function of the multiset of values, whatever their order, the batches they came in and the tree of
merges: a replay after a crash, and a recomputation from the warehouse, give the same number to the last bit.
"""

import functools
import math
from collections.abc import Iterable
from fractions import Fraction
from typing import Final, Protocol, Self

import msgspec
from datasketches import hll_sketch, hll_union, tgt_hll_type
from ddsketch.mapping import CubicallyInterpolatedMapping

from platform_assets.contracts.windows import Aggregate, AggregateFunction

DISTINCT_LOG2_REGISTERS: Final = 12
DISTINCT_STANDARD_ERROR: Final = 1.04 / math.sqrt(2**DISTINCT_LOG2_REGISTERS)
"""Relative standard error of a distinct count, 1.6 % (Flajolet et al., HyperLogLog, 2007, theorem 1).

Up to about 384 distinct values the count is exact but for a collision of 26-bit hashes. At most 4.1 kB.
"""

QUANTILE_RELATIVE_ACCURACY: Final = 0.01
"""A quantile is within 1 % of a value of that rank (Masson et al., DDSketch, VLDB 2019, proposition 3)."""
QUANTILE_SMALLEST: Final = 1e-9
QUANTILE_LARGEST: Final = 1e19
"""Magnitudes below the smallest count as 0, above the largest as the largest: it bounds a sketch at 6,513 bins."""


class Sketch(Protocol):
    """The state of one approximate aggregate of one window."""

    def update(self, values: Iterable[object]) -> None:
        """Take values; raises TypeError for one that is of no use to the aggregate, and keeps those before it."""

    def merge(self, other: Self) -> None:
        """Take all that another sketch of the same aggregate has taken; the other stays as it is."""

    def result(self) -> float | int | None:
        """The estimate so far; without any value 0 for a distinct count and None for a quantile."""

    def to_bytes(self) -> bytes:
        """The state, for `sketch_from_bytes`."""


def new_sketch(aggregate: Aggregate) -> Sketch:
    """An empty sketch. Raises ValueError for an aggregate that is computed exactly."""
    if aggregate.function is AggregateFunction.APPROX_DISTINCT:
        return DistinctSketch()
    if aggregate.function is AggregateFunction.QUANTILE and aggregate.quantile is not None:
        return QuantileSketch(aggregate.quantile)
    raise ValueError(f"Aggregate {aggregate.name}: {aggregate.function} needs no sketch.")


def sketch_from_bytes(aggregate: Aggregate, data: bytes) -> Sketch:
    """The inverse of `to_bytes`. Raises ValueError where the bytes are not those of such a sketch."""
    try:
        if aggregate.function is AggregateFunction.APPROX_DISTINCT:
            return DistinctSketch(hll_sketch.deserialize(data))
        if aggregate.function is AggregateFunction.QUANTILE and aggregate.quantile is not None:
            return QuantileSketch(aggregate.quantile, _bins_decoder.decode(data))
    except (RuntimeError, ValueError, IndexError, msgspec.MsgspecError) as error:
        raise ValueError(f"Aggregate {aggregate.name}: these {len(data)} bytes are no sketch of it: {error}") from error
    raise ValueError(f"Aggregate {aggregate.name}: {aggregate.function} needs no sketch.")


class DistinctSketch:
    """How many different values there were, by HyperLogLog.

    Numbers that are equal are one value (1 and 1.0: JSON knows no difference), and so is NaN; a string, a boolean and
    a number are three ("1", True, 1). The empty string is a value.
    """

    __slots__ = ("_hll",)

    def __init__(self, hll: hll_sketch | None = None) -> None:
        self._hll = hll if hll is not None else hll_sketch(DISTINCT_LOG2_REGISTERS, tgt_hll_type.HLL_8)

    def update(self, values: Iterable[object]) -> None:
        """Take strings, numbers and booleans."""
        add = self._hll.update
        for value in values:
            add("s" + value if type(value) is str else _distinct_text(value))

    def merge(self, other: Self) -> None:
        """Take all that the other has taken."""
        self._hll = _union(self._hll, other._hll).get_result(tgt_hll_type.HLL_8)

    def result(self) -> int:
        """The estimate, rounded."""
        # A sketch that was never merged would estimate by the order of its updates (HIP). The union of two that are
        # past their exact phase cannot, and uses the registers alone. 13 µs.
        estimate: float = _union(self._hll, self._hll).get_estimate()
        return round(estimate)

    def to_bytes(self) -> bytes:
        """The registers; not the same bytes for every order of the same values."""
        data: bytes = self._hll.serialize_compact()
        return data


def _union(one: hll_sketch, other: hll_sketch) -> hll_union:
    union = hll_union(DISTINCT_LOG2_REGISTERS)
    union.update(one)
    union.update(other)
    return union


def _distinct_text(value: object) -> str:
    if isinstance(value, str):
        return "s" + value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int):
        return f"n{value:x}"
    if isinstance(value, float):
        return f"n{value!r}"
    raise TypeError(f"Distinct values are strings, numbers and booleans, not {type(value).__name__}.")


_bins_decoder = msgspec.msgpack.Decoder(dict[int, int])
# Keys come from frexp, products and sums alone, which every machine computes alike; a logarithm differs in its last
# bit between C libraries, and would move a value over the edge of its bin.
_mapping = CubicallyInterpolatedMapping(QUANTILE_RELATIVE_ACCURACY)
_FIRST_KEY: Final = _mapping.key(QUANTILE_SMALLEST)


class QuantileSketch:
    """The smallest value that at least this share of the values do not exceed, by DDSketch. NaN is no value.

    The bins are a dictionary of our own: the library's stores hold every bin between the extremes as a float, and
    serialise without minimum and maximum through protobuf.
    """

    __slots__ = ("_counts", "_quantile")

    def __init__(self, quantile: float, counts: dict[int, int] | None = None) -> None:
        # As written: 0.1 is a tenth, so that it takes the third of 30 values and not the fourth.
        self._quantile = Fraction(repr(quantile))
        self._counts: dict[int, int] = counts if counts is not None else {}

    def update(self, values: Iterable[object]) -> None:
        """Take integers and floats. 0.3 to 1 µs a value."""
        counts = self._counts
        for value in values:
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise TypeError(f"Quantiles are of numbers, not {type(value).__name__}.")
            if value == value:  # noqa: PLR0124 (all but NaN)
                bin_number = _bin_of(value)
                counts[bin_number] = counts.get(bin_number, 0) + 1

    def merge(self, other: Self) -> None:
        """Take all that the other has taken."""
        counts = self._counts
        for bin_number, count in list(other._counts.items()):
            counts[bin_number] = counts.get(bin_number, 0) + count

    def result(self) -> float | None:
        """The middle of the bin in which the value of that rank lies; None without values."""
        last = math.ceil(self._quantile * sum(self._counts.values()))
        seen = 0
        for bin_number in sorted(self._counts):
            seen += self._counts[bin_number]
            if seen >= last:
                return _middle(bin_number)
        return None

    def to_bytes(self) -> bytes:
        """The bins in order: the same values make the same bytes."""
        return msgspec.msgpack.encode(dict(sorted(self._counts.items())))


# Prices repeat: 0.3 µs a value instead of 0.7.
@functools.lru_cache(maxsize=16_384)
def _bin_of(value: float) -> int:
    """0 for zero, rising with the magnitude to 3,256, with the sign of the value."""
    magnitude = abs(value)
    if magnitude < QUANTILE_SMALLEST:
        return 0
    number: int = _mapping.key(min(magnitude, QUANTILE_LARGEST)) - _FIRST_KEY + 1
    return number if value > 0 else -number


def _middle(bin_number: int) -> float:
    if bin_number == 0:
        return 0.0
    middle: float = _mapping.value(abs(bin_number) + _FIRST_KEY - 1)
    return middle if bin_number > 0 else -middle
