"""Which event ids a partition has seen within the horizon, as 64-bit hashes.

An id is a duplicate where the partition has had it in this bucket of time or in one of the `horizon_buckets` before
it. Time is the running maximum of the records' `received_at`, so the verdict depends on the log alone. With buckets of
40 s and three of them an id is known for 120 s at least and for less than 160 s.

A minute of ids at 100,000 a second is 6 million: 0.5 GB as a Python set, 91 MB here. Two different ids have one hash
once in 10^12 events at that rate.
"""

from dataclasses import dataclass

import numpy as np

from platform_assets.windows.columns import Hashes, Ints, Mask
from platform_assets.windows.watermark import BEFORE_ALL

BUCKET_MS = 40_000
HORIZON_BUCKETS = 3
_SLOTS = 8
_FIRST_ROWS = 500
_FULLEST = 0.75
_PLACED_TOGETHER = 10_000
_HALF = np.uint64(32)


class HashSet:
    """A set of non-zero uint64 in rows of eight slots, read and written a batch at a time.

    A hash goes to the row of its leading bits, or to the next row that has room.
    """

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
        found = np.zeros(len(hashes), dtype=np.bool_)
        open_ = np.arange(len(hashes))
        rows = self._rows(hashes)
        while len(open_):
            slots = self._table[rows]
            hit = (slots == hashes[open_, None]).any(axis=1)
            found[open_[hit]] = True
            # A row with an empty last slot never sent anything on.
            goes_on = ~hit & (slots[:, -1] != 0)
            open_, rows = open_[goes_on], self._next(rows[goes_on])
        return found

    def add(self, hashes: Hashes) -> None:
        """Put in hashes that differ from each other and are not in the set."""
        if self.count + len(hashes) > self._table.size * _FULLEST:
            self._grow(self.count + len(hashes))
        self._place(hashes)
        self.count += len(hashes)

    def all(self) -> Hashes:
        """Every hash, in no particular order."""
        held: Hashes = self._table[self._table != 0]
        return held

    def _place(self, hashes: Hashes) -> None:
        rows = self._rows(hashes)
        while len(hashes):
            # Slots of a row fill from the left, so the number of them in use is where the next one goes.
            used = np.count_nonzero(self._table[rows], axis=1)
            if (rows[1:] < rows[:-1]).any():
                order = np.argsort(rows, kind="stable")
                rows, hashes, used = rows[order], hashes[order], used[order]
            begins = np.flatnonzero(np.r_[True, rows[1:] != rows[:-1]])
            rank = np.arange(len(rows)) - np.repeat(begins, np.diff(np.r_[begins, len(rows)]))
            slot = used + rank
            fits = slot < _SLOTS
            self._table[rows[fits], slot[fits]] = hashes[fits]
            rows, hashes = self._next(rows[~fits]), hashes[~fits]

    def _grow(self, wanted: int) -> None:
        held, self._table = self.all(), np.empty((0, _SLOTS), dtype=np.uint64)
        self._table = HashSet(int(wanted * 1.3))._table
        # A row is read for each of them, 64 bytes: all at once they would be eight times the set.
        for begin in range(0, len(held), _PLACED_TOGETHER):
            self._place(held[begin : begin + _PLACED_TOGETHER])

    def _rows(self, hashes: Hashes) -> Ints:
        # The leading 32 bits as a fraction of all rows: ascending hashes come to ascending rows.
        return ((hashes >> _HALF) * np.uint64(len(self._table)) >> _HALF).astype(np.int64)

    def _next(self, rows: Ints) -> Ints:
        return (rows + 1) % len(self._table)


@dataclass
class _Bucket:
    number: int
    seen: HashSet


class SeenIds:
    """The ids of one partition within the horizon."""

    def __init__(
        self, bucket_ms: int = BUCKET_MS, horizon_buckets: int = HORIZON_BUCKETS, *, keeps_unsaved: bool = False
    ) -> None:
        """`keeps_unsaved` is for those who call `take_unsaved`."""
        self._keeps_unsaved = keeps_unsaved
        self._bucket_ms = bucket_ms
        self._horizon = horizon_buckets
        self._buckets: list[_Bucket] = []
        self._unsaved: list[tuple[int, Hashes]] = []
        self._clock_ms = int(BEFORE_ALL)

    @property
    def clock_ms(self) -> int:
        """The largest `received_at` so far; repeated records move it on too, and bring no id that would tell."""
        return self._clock_ms

    def advance_to(self, clock_ms: int) -> None:
        """Move the clock on without a record; never back."""
        self._clock_ms = max(self._clock_ms, clock_ms)

    @property
    def count(self) -> int:
        """Ids remembered."""
        return sum(bucket.seen.count for bucket in self._buckets)

    @property
    def nbytes(self) -> int:
        """Memory held by them."""
        return sum(bucket.seen.nbytes for bucket in self._buckets)

    def first_sightings(self, hashes: Hashes, received_ms: Ints) -> Mask:
        """Which records are the first of their id; remembers them."""
        clock = np.maximum(np.maximum.accumulate(received_ms), self._clock_ms)
        first = np.ones(len(hashes), dtype=np.bool_)
        if not len(hashes):
            return first
        self._clock_ms = int(clock[-1])
        numbers = clock // self._bucket_ms
        hashes = np.where(hashes == 0, np.uint64(1), hashes)
        if numbers[0] == numbers[-1]:
            return self._take(int(numbers[0]), hashes)
        cuts = np.flatnonzero(np.diff(numbers)) + 1
        for begin, end in zip(np.r_[0, cuts], np.r_[cuts, len(hashes)], strict=True):
            first[begin:end] = self._take(int(numbers[begin]), hashes[begin:end])
        return first

    def remember(self, hashes: Hashes, bucket_number: int) -> None:
        """Put back hashes that `take_unsaved` gave; buckets come in ascending order, each hash once."""
        self._clock_ms = max(self._clock_ms, bucket_number * self._bucket_ms)
        self._bucket(bucket_number).seen.add(hashes)

    def take_unsaved(self) -> list[tuple[int, Hashes]]:
        """The hashes remembered since the last call, by the number of their bucket, oldest first."""
        taken, self._unsaved = self._unsaved, []
        found: dict[int, list[Hashes]] = {}
        for number, hashes in taken:
            found.setdefault(number, []).append(hashes)
        return [(number, np.concatenate(parts)) for number, parts in found.items()]

    @property
    def newest_bucket(self) -> int | None:
        """The number of the bucket that the clock is in."""
        return self._buckets[-1].number if self._buckets else None

    @property
    def oldest_bucket(self) -> int | None:
        """The number of the oldest bucket that is remembered."""
        return self._buckets[0].number if self._buckets else None

    def _take(self, number: int, hashes: Hashes) -> Mask:
        current = self._bucket(number)
        # Sorted, so that rows are met in the order in which they lie in memory.
        unique, index = np.unique(hashes, return_index=True)
        known = np.zeros(len(unique), dtype=np.bool_)
        for bucket in self._buckets:
            known |= bucket.seen.contains(unique)
        new = ~known
        added = unique[new]
        current.seen.add(added)
        if self._keeps_unsaved:
            self._unsaved.append((number, added))
        first = np.zeros(len(hashes), dtype=np.bool_)
        first[index[new]] = True
        return first

    def _bucket(self, number: int) -> _Bucket:
        if not self._buckets or self._buckets[-1].number < number:
            expected = self._buckets[-1].seen.count if self._buckets else 0
            self._buckets = [bucket for bucket in self._buckets if number - bucket.number <= self._horizon]
            self._buckets.append(_Bucket(number, HashSet(expected)))
        return self._buckets[-1]
