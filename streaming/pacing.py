"""When each partition is fetched again: small batches of one partition keep a distance, those of several come together.

A batch costs half a millisecond on its way through Faust and a fetch another one, whatever they bring. Partitions whose
turns are near each other take one: one request brings all of them and one pass decodes them. Measured at 20,000
events/s over four partitions: 60 instead of 107 answers of the broker a second for as many batches, 12 % less CPU, and
a pass that need not wait for the others.
"""

import math
from collections.abc import Mapping
from typing import Protocol

# Of a batch that is as large as this the pace is twice as slow: where there is much to do, fewer steps leave more time.
FULL_BATCH_RECORDS = 250


class Place(Protocol):
    """A partition, as client libraries name it."""

    @property
    def topic(self) -> str: ...


class Pacing:
    """The turns of the partitions that have had one. Times are monotonic seconds."""

    def __init__(self, pace_s: Mapping[str, float]) -> None:
        """`pace_s` has by topic the time between two small batches of a partition; none where it is 0."""
        self._pace_s = pace_s
        self._turns: dict[Place, float] = {}

    def wait(self, place: Place, records: int, now: float) -> bool:
        """Note that a partition has brought so many records; returns whether it is to be paused until its turn.

        It comes after one to two times the pace of its topic, sooner or later by up to half of that where another one
        is due.
        """
        distance = self._pace_s[place.topic] * (1 + min(1.0, records / FULL_BATCH_RECORDS))
        if distance <= 0:
            return False
        wanted = now + distance
        nearest = min(self._turns.values(), key=lambda turn: abs(turn - wanted), default=wanted)
        self._turns[place] = nearest if abs(nearest - wanted) <= distance / 2 else wanted
        return True

    def due(self, now: float) -> list[Place]:
        """The partitions whose turn has come; they have none any more."""
        due = [place for place, turn in self._turns.items() if turn <= now]
        for place in due:
            del self._turns[place]
        return due

    def next_in_s(self, now: float) -> float:
        """Seconds until the next turn; infinite where there is none."""
        return min(self._turns.values(), default=math.inf) - now
