"""When each partition is fetched again: small batches of one partition keep a distance, those of several come together.

A batch costs half a millisecond on its way through Faust and a fetch another one, whatever they bring. Partitions whose
turns are near each other take one: one request brings all of them and one pass decodes them. Measured at 20,000
events/s over four partitions: 60 instead of 107 answers of the broker a second for as many batches, 12 % less CPU, and
a pass that need not wait for the others. Those that have brought nothing wait for the same turn: a broker answers one
request after the other, and one for them alone would keep that turn waiting.

Where a pass takes long, because the machine is slow or shared, the pace is slower: most of a pass over few records is
there whatever their number, so that fewer passes leave the processor to whoever else is on an event's way.
"""

import math
from collections.abc import Callable, Mapping
from typing import Protocol

# Of a batch that is as large as this the pace is twice as slow: where there is much to do, fewer steps leave more time.
FULL_BATCH_RECORDS = 250
# From one pass to the next, in times that a pass takes. Medians of three runs on a slow machine with 0, 2 and 3:
# at 20,000 events/s 41/153, 39/99 and 54/103 ms (p50/p99) with 0.77, 0.68 and 0.58 of a core; at 50,000/s 46/116,
# 41/108 and 53/109.
PASSES_APART = 2.0
# What is longer for its records' sake says nothing of a pass.
FEW_RECORDS = 2_000
_WEIGHT = 0.05
# One that took longer was suspended, or waited for whatever else stood still.
_LONGEST_PASS_S = 0.05


class Place(Protocol):
    """A partition, as client libraries name it."""

    @property
    def topic(self) -> str: ...


class PassTime:
    """How long passes over few records take lately: noted by one thread, read by any."""

    def __init__(self) -> None:
        self.average_s = 0.0
        """0 before the first one."""

    def note(self, records: int, took_s: float) -> None:
        """A pass over so many records has ended."""
        if records <= FEW_RECORDS:
            self.average_s += _WEIGHT * (min(took_s, _LONGEST_PASS_S) - self.average_s)


class Pacing:
    """The turns that partitions wait for. Times are monotonic seconds."""

    def __init__(self, pace_s: Mapping[str, float], pass_s: Callable[[], float]) -> None:
        """`pace_s` has by topic the time between two small batches of a partition; none where it is 0.

        `pass_s` says how long a pass takes lately.
        """
        self._pace_s = pace_s
        self._pass_s = pass_s
        self._turns: dict[Place, float] = {}

    def wait(self, place: Place, records: int, now: float) -> bool:
        """Note that a partition has brought so many records; returns whether it is to be paused until its turn.

        It comes after one to two times the pace of its topic, or later where passes take long; sooner or later by up to
        half of that where another one is due.
        """
        pace = self._pace_s[place.topic]
        if pace <= 0:
            return False
        distance = max(pace * (1 + min(1.0, records / FULL_BATCH_RECORDS)), PASSES_APART * self._pass_s())
        wanted = now + distance
        nearest = min(self._turns.values(), key=lambda turn: abs(turn - wanted), default=wanted)
        self._turns[place] = nearest if abs(nearest - wanted) <= distance / 2 else wanted
        return True

    def wait_along(self, place: Place) -> bool:
        """Have a partition that has brought nothing wait for the next turn of one that is as hurried, or more.

        Returns whether there is one, so that it is to be paused until then.
        """
        pace = self._pace_s[place.topic]
        turn = min((turn for other, turn in self._turns.items() if self._pace_s[other.topic] <= pace), default=None)
        if turn is None:
            return False
        self._turns[place] = turn
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
