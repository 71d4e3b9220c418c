"""Sets of non-zero 64-bit hashes, asked and filled a batch at a time.

`HashSet` grows; `SortedHashes` is what it becomes once nothing is added any more: 10 bytes a hash instead of 16, and
faster to ask. Measured with a million hashes, in µs for each one asked: 0.08 and 0.15 in batches of 280, 0.05 and 0.09
in batches of 2,500, 0.02 and 0.07 in batches of 10,000. 250,000 become sorted in 3 ms, and a table of as many grows
in 8.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

from platform_assets.windows.columns import Hashes, Ints, Mask

_SLOTS = 8
_FIRST_ROWS = 500
# At three quarters every fourth row is full: a batch of 110 met nine rounds of numpy's calls, now three, 95 -> 28 µs.
_FULLEST = 0.5
# What comes out of a table is: 250,000 hashes take 2 ms, where numpy's own choice takes 11.
_NEARLY_SORTED: Literal["stable"] = "stable"
_MOVED_TOGETHER = 50_000
_HALF = np.uint64(32)
_PER_PART = 2
# More of one leading part than chance brings in 10^30 sets: somebody made them up.
_MOST_PER_PART = 64
# Of so few the calls take longer than the looking: all candidates at once take 18 instead of 40 µs for 85 of them, 30
# instead of 44 for 280, but 80 instead of 63 for 1,000.
_FEW_ASKED = 500


class HashSet:
    """A set in rows of eight slots. A hash goes to the row of its leading bits, or to the next row that has room."""

    def __init__(self, expected: int = 0) -> None:
        rows = max(_FIRST_ROWS, int(expected / (_SLOTS * _FULLEST)) + 1)
        self._table = np.zeros((rows, _SLOTS), dtype=np.uint64)
        self.count = 0

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return self._table.nbytes

    def contains(self, hashes: Hashes) -> Mask:
        """Which of them are in the set."""
        rows = _scaled(hashes, len(self._table))
        found, goes_on = self._look(rows, hashes)
        open_ = np.flatnonzero(goes_on)
        while len(open_):
            rows = self._next(rows[goes_on])
            found[open_], goes_on = self._look(rows, hashes[open_])
            open_ = open_[goes_on]
        return found

    def _look(self, rows: Ints, hashes: Hashes) -> tuple[Mask, Mask]:
        """Which are in these rows, and which of the others may be in the next one."""
        slots = self._table[rows]
        found: Mask = (slots == hashes[:, None]).any(axis=1)
        # A row with an empty last slot never sent anything on.
        return found, ~found & (slots[:, -1] != 0)

    def add(self, hashes: Hashes) -> None:
        """Put in hashes that differ from each other and are not in the set."""
        if self.count + len(hashes) > self._table.size * _FULLEST:
            self._grow(self.count + len(hashes))
        self._place(hashes)
        self.count += len(hashes)

    def all(self) -> Hashes:
        """Every hash, nearly in order."""
        held: Hashes = self._table[self._table != 0]
        return held

    def _place(self, hashes: Hashes) -> None:
        rows = _scaled(hashes, len(self._table))
        while len(hashes):
            # Slots of a row fill from the left, so the number of them in use is where the next one goes.
            used = (self._table[rows] != 0).sum(axis=1)
            if (rows[1:] < rows[:-1]).any():
                order = np.argsort(rows, kind="stable")
                rows, hashes, used = rows[order], hashes[order], used[order]
            is_first = np.ones(len(rows), dtype=np.bool_)
            np.not_equal(rows[1:], rows[:-1], out=is_first[1:])
            rank = np.arange(len(rows)) - np.flatnonzero(is_first)[np.cumsum(is_first) - 1]
            slot = used + rank
            fits = slot < _SLOTS
            if fits.all():
                self._table[rows, slot] = hashes
                return
            self._table[rows[fits], slot[fits]] = hashes[fits]
            rows, hashes = self._next(rows[~fits]), hashes[~fits]

    def _grow(self, wanted: int) -> None:
        held, self._table = self.all(), np.empty((0, _SLOTS), dtype=np.uint64)
        held.sort(kind=_NEARLY_SORTED)
        self._table = HashSet(int(wanted * 1.3))._table
        # Rows that were empty need no look at what they hold, as `_place` takes: 2 ms instead of 12 for 250,000.
        begins = _begins(_scaled(held, len(self._table)), len(self._table))
        crowded = []
        for first in range(0, len(held), _MOVED_TOGETHER):
            some = held[first : first + _MOVED_TOGETHER]
            rows = _scaled(some, len(self._table))
            slots = np.arange(first, first + len(some)) - begins[rows]
            fits = slots < _SLOTS
            self._table[rows[fits], slots[fits]] = some[fits]
            crowded.append(some[~fits])
        for some in crowded:
            self._place(some)

    def _next(self, rows: Ints) -> Ints:
        return (rows + 1) % len(self._table)


class SortedHashes:
    """A set that does not change: the hashes in order, and where those of each leading part begin."""

    def __init__(self, hashes: Hashes) -> None:
        """The hashes differ from each other, nearly in order. The array is taken over and its content changes."""
        hashes.sort(kind=_NEARLY_SORTED)
        self.count = len(hashes)
        self._parts = self.count // _PER_PART + 1
        parts = _scaled(hashes, self._parts)
        self._starts = _begins(parts, self._parts)
        self._most = int(np.diff(self._starts, append=self.count).max())
        self._hashes = hashes

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return self._hashes.nbytes + self._starts.nbytes

    def contains(self, hashes: Hashes) -> Mask:
        """Which of them are in the set."""
        if not self.count:
            return np.zeros(len(hashes), dtype=np.bool_)
        # Whoever looks past the end finds the last one again.
        if self._most > _MOST_PER_PART:
            places = np.searchsorted(self._hashes, hashes)
            found: Mask = self._hashes.take(places, mode="clip") == hashes
            return found
        starts = self._starts[_scaled(hashes, self._parts)]
        if len(hashes) <= _FEW_ASKED:
            candidates = self._hashes.take(starts[:, None] + np.arange(self._most), mode="clip")
            among: Mask = (candidates == hashes[:, None]).any(axis=1)
            return among
        found = self._hashes.take(starts, mode="clip") == hashes
        for _ in range(1, self._most):
            starts += 1
            found |= self._hashes.take(starts, mode="clip") == hashes
        return found


def _begins(ascending: Ints, count: int) -> npt.NDArray[np.int32]:
    """Where each of the numbers below `count` begins in an ascending array of them."""
    begins = np.zeros(count, dtype=np.int32)
    np.cumsum(np.bincount(ascending, minlength=count)[:-1], out=begins[1:])
    return begins


def _scaled(hashes: Hashes, count: int) -> Ints:
    """A number below `count` for each; the leading 32 bits as a fraction of it, so that it ascends with the hashes."""
    scaled = hashes >> _HALF
    scaled *= np.uint64(count)
    scaled >>= _HALF
    return scaled.view(np.int64)
