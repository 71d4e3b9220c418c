"""The values of records one behind the other in one text, so that many of them are looked at in one go."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import overload

import numpy as np
from numpy.typing import NDArray

MARGIN = 32
"""So many bytes stand behind the last value: whoever looks a little further there is still inside the text."""

_NO_VALUE = -1


@dataclass(frozen=True, eq=False)
class JoinedValues(Sequence[bytes | None]):
    """Values of records; None is a tombstone."""

    data: bytes
    """The values and, behind them, at least `MARGIN` bytes of anything."""
    lengths: NDArray[np.int32]
    """Of each value in bytes; -1 for none."""

    @classmethod
    def of(cls, values: Sequence[bytes | None]) -> "JoinedValues":
        """These values, copied."""
        return cls(b"".join([*filter(None, values), bytes(MARGIN)]), _lengths(values))

    @cached_property
    def ends(self) -> NDArray[np.int64]:
        """Where each value ends in the text, and the next one begins."""
        ends: NDArray[np.int64] = np.cumsum(np.maximum(self.lengths, 0), dtype=np.int64)
        return ends

    @cached_property
    def begins(self) -> NDArray[np.int64]:
        """Where each value begins in the text."""
        return self.ends - np.maximum(self.lengths, 0)

    def __len__(self) -> int:
        return len(self.lengths)

    @overload
    def __getitem__(self, place: int) -> bytes | None: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[bytes | None]: ...
    def __getitem__(self, place: int | slice) -> bytes | Sequence[bytes | None] | None:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        if self.lengths[place] == _NO_VALUE:
            return None
        end = int(self.ends[place])
        return self.data[end - int(self.lengths[place]) : end]


def _lengths(values: Sequence[bytes | None]) -> NDArray[np.int32]:
    """The length of each value in bytes; -1 for none."""
    try:
        return np.fromiter(map(len, values), np.int32, len(values))  # type: ignore[arg-type]
    except TypeError:
        return np.array([_NO_VALUE if value is None else len(value) for value in values], np.int32)
