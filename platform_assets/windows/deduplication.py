"""Which event ids a partition has seen within the horizon, as 64-bit hashes.

An id is a duplicate where the partition has had it in this bucket of time or in one of the `horizon_buckets` before
it. Time is the running maximum of the records' `received_at`, so the verdict depends on the log alone. With buckets of
20 s and six of them an id is known for 120 s at least and for less than 140 s.

A minute of ids at 100,000 a second is 6 million: 0.5 GB as a Python set, 60 to 100 MB here. Two different ids have one
hash once in 10^12 events at that rate.
"""

from dataclasses import dataclass

import numpy as np

from platform_assets.windows.columns import Hashes, Ints, Mask
from platform_assets.windows.hash_sets import HashSet, SortedHashes
from platform_assets.windows.watermark import BEFORE_ALL

# Shorter ones need less memory, and more sets to be asked: three of 40 s took 30 MB more at 100,000 events/s.
BUCKET_MS = 20_000
HORIZON_BUCKETS = 6
_ROOM = 1.05


@dataclass(frozen=True)
class _Open:
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
        self._open: _Open | None = None
        # By the number of the bucket, oldest first.
        self._closed: dict[int, SortedHashes] = {}
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
        return sum(seen.count for seen in self._sets())

    @property
    def nbytes(self) -> int:
        """Memory held by them."""
        return sum(seen.nbytes for seen in self._sets())

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
        self._newest(bucket_number).add(hashes)

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
        return None if self._open is None else self._open.number

    @property
    def oldest_bucket(self) -> int | None:
        """The number of the oldest bucket that is remembered."""
        return next(iter(self._closed), self.newest_bucket)

    def _sets(self) -> list[HashSet | SortedHashes]:
        return [*self._closed.values(), *([] if self._open is None else [self._open.seen])]

    def _take(self, number: int, hashes: Hashes) -> Mask:
        newest = self._newest(number)
        first = np.ones(len(hashes), dtype=np.bool_)
        # In order, so that they are met as they lie in memory.
        ordered = np.sort(hashes)
        old = newest.contains(ordered)
        for seen in self._closed.values():
            old |= seen.contains(ordered)
        old[1:] |= ordered[1:] == ordered[:-1]
        if old.any():
            # Which record has which hash takes ten times what the sort does, and few batches bring an id again.
            first[np.argsort(hashes, kind="stable")[old]] = False
            ordered = ordered[~old]
        newest.add(ordered)
        if self._keeps_unsaved:
            self._unsaved.append((number, ordered))
        return first

    def _newest(self, number: int) -> HashSet:
        """The set of this bucket, or of a newer one that is open already."""
        expected = 0
        if self._open is not None:
            if self._open.number >= number:
                return self._open.seen
            over, self._open = self._open, None
            # The next stretch of time rarely brings exactly as many; to grow at its very end is the dearest time.
            expected = int(over.seen.count * _ROOM)
            # No two tables at a time: with both the worker's peak at 100,000 events/s was 531 MB, not 485.
            self._closed = {old: seen for old, seen in self._closed.items() if number - old <= self._horizon}
            if number - over.number <= self._horizon:
                held, over_number = over.seen.all(), over.number
                # The table goes first: to make the other one takes as much again.
                del over
                self._closed[over_number] = SortedHashes(held)
        self._open = _Open(number, HashSet(expected))
        return self._open.seen
