"""Which entities wait to be scored, and how far each partition is done. Pure; times are monotonic seconds."""

import heapq
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from streaming.scoring.activity import Place


@dataclass(slots=True)
class _Waiting:
    """`since` is the start of the batch that first named the entity, `named_in` that of the last one."""

    place: Place
    since: int
    named_in: int
    changed_at: float


@dataclass(slots=True)
class _Partition:
    position: int
    waiting: dict[str, _Waiting]


class Pending:
    """The entities of the owned partitions.

    An entity is due at once, unless it was scored less than the interval ago: then when the interval is over. Several
    changes meanwhile are one. A partition is done up to the first batch that named an entity which still waits.
    """

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._partitions: dict[int, _Partition] = {}
        self._due: list[tuple[float, int, str]] = []
        self._quiet_until: dict[str, float] = {}
        self._quiet: deque[tuple[float, str]] = deque()

    def open(self, positions: Mapping[int, int]) -> None:
        """Own these partitions from these offsets on, and nothing from before."""
        self._partitions = {partition: _Partition(position, {}) for partition, position in positions.items()}
        self._due = []

    def release(self, partitions: Iterable[int]) -> None:
        """Own these no more; what waits in them is the next owner's."""
        for partition in partitions:
            self._partitions.pop(partition, None)

    def position(self, partition: int) -> int | None:
        """The next offset to take; None for a partition that is not owned."""
        owned = self._partitions.get(partition)
        return None if owned is None else owned.position

    def add(self, partition: int, entities: Mapping[str, Place], *, start: int, next_offset: int, now: float) -> None:
        """Take a batch with offsets in [start, next_offset) that names these entities."""
        owned = self._partitions[partition]
        owned.position = max(owned.position, next_offset)
        for entity, place in entities.items():
            waiting = owned.waiting.get(entity)
            if waiting is None:
                owned.waiting[entity] = _Waiting(place, start, start, now)
                heapq.heappush(self._due, (max(now, self._quiet_until.get(entity, now)), partition, entity))
            else:
                waiting.place, waiting.named_in, waiting.changed_at = place, start, now

    def due(self, now: float, limit: int) -> dict[str, Place]:
        """At most `limit` entities whose time has come; each is to be passed to `done` or comes never again."""
        found: dict[str, Place] = {}
        twice: list[tuple[float, int, str]] = []
        while self._due and self._due[0][0] <= now and len(found) < limit:
            due = heapq.heappop(self._due)
            _, partition, entity = due
            owned = self._partitions.get(partition)
            if entity in found:  # on two partitions, as a producer with another partitioner would have it
                twice.append(due)
            elif owned is not None and entity in owned.waiting:
                found[entity] = owned.waiting[entity].place
        for due in twice:
            heapq.heappush(self._due, due)
        return found

    def done(self, scored: Mapping[str, Place], now: float, settle_s: float = 0.0) -> None:
        """These were scored as of these places.

        An entity that has changed since waits on. So does one that changed less than `settle_s` ago: its features may
        not have been there yet, and it is scored once more.
        """
        self._forget_quiet(now)
        for entity, place in scored.items():
            self._quiet_until[entity] = now + self._interval_s
            self._quiet.append((now + self._interval_s, entity))
            owned = self._partitions.get(place.partition)
            waiting = None if owned is None else owned.waiting.pop(entity, None)
            if owned is None or waiting is None:
                continue
            if waiting.place == place and waiting.changed_at + settle_s <= now:
                continue
            waiting.since = waiting.named_in
            owned.waiting[entity] = waiting
            heapq.heappush(self._due, (now + max(self._interval_s, settle_s), place.partition, entity))

    def done_up_to(self) -> dict[int, int]:
        """By owned partition, the offset below which nothing has to be scored any more."""
        return {
            partition: min((waiting.since for waiting in owned.waiting.values()), default=owned.position)
            for partition, owned in self._partitions.items()
        }

    def __len__(self) -> int:
        return sum(len(owned.waiting) for owned in self._partitions.values())

    def _forget_quiet(self, now: float) -> None:
        while self._quiet and self._quiet[0][0] <= now:
            until, entity = self._quiet.popleft()
            if self._quiet_until.get(entity) == until:
                del self._quiet_until[entity]
