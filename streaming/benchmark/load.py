"""What a run sends: which events, of which users, when. All of it is a function of an event's number.

Events are numbered from 0. So the producer's ledger is a count: user, value and intended time of every event can be
computed again, in bulk, by whoever checks the results, and the number of a user's k-th event can be inverted.
"""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]

USERS = 5_000
MOST_USERS = 100_000
# Every user comes this often in a block of this many events for each user, in an order that looks random.
PER_BLOCK = 8
VALUES = 180
MICROSECONDS = 1_000_000
# A duplicate within the last second could be a partition's last record, which changes no window: nothing would then
# say that it has been read.
NO_DUPLICATES_AT_END_S = 1.0


@dataclass(frozen=True)
class Phase:
    """A stretch of the schedule at one rate. What is sent before the first measured phase is not measured."""

    eps: int
    seconds: float
    measured: bool = True

    @property
    def events(self) -> int:
        """How many events are due in it."""
        return round(self.eps * self.seconds)


@dataclass(frozen=True)
class Load:
    """One run's schedule. `start_us` is the intended time of event 0, in microseconds since the epoch.

    Every `duplicate_every`-th event goes out twice (0: none does). `run` is 24 characters that begin every event id.
    The producer waits `linger_ms` for a batch to fill.
    """

    run: str
    start_us: int
    phases: tuple[Phase, ...]
    duplicate_every: int = 0
    linger_ms: int = 5
    users: int = USERS

    @property
    def turns(self) -> "Turns":
        """Which user each event is of."""
        return turns_of(self.users)

    @cached_property
    def total(self) -> int:
        """Distinct events in the whole schedule."""
        return sum(phase.events for phase in self.phases)

    @cached_property
    def duration_s(self) -> float:
        """Length of the schedule."""
        return sum(phase.seconds for phase in self.phases)

    @cached_property
    def first_measured(self) -> int:
        """The number of the first event that counts in the measurement."""
        unmeasured = 0
        for phase in self.phases:
            if phase.measured:
                break
            unmeasured += phase.events
        return unmeasured

    @cached_property
    def last_repeatable(self) -> int:
        """Events from this number on are never sent twice."""
        end_us = self.start_us + round(self.duration_s * MICROSECONDS)
        return self.due(end_us - round(NO_DUPLICATES_AT_END_S * MICROSECONDS))

    def repeated(self, events: int) -> Numbers:
        """Which of the first `events` events are sent twice."""
        if not self.duplicate_every:
            return np.empty(0, np.int64)
        return np.arange(0, min(events, self.last_repeatable), self.duplicate_every, dtype=np.int64)

    def records(self, events: int) -> int:
        """Records that the first `events` events make, duplicates included."""
        repeated = -(-min(events, self.last_repeatable) // self.duplicate_every) if self.duplicate_every else 0
        return events + repeated

    def intended_us(self, numbers: Numbers) -> Numbers:
        """When events should be sent, in microseconds since the epoch."""
        times = np.empty(len(numbers), np.int64)
        first, begin_us = 0, self.start_us
        for index, phase in enumerate(self.phases):
            last = first + phase.events
            inside = (numbers >= first) & (numbers < last)
            if index == len(self.phases) - 1:
                inside = numbers >= first
            times[inside] = begin_us + (numbers[inside] - first) * MICROSECONDS // phase.eps
            first, begin_us = last, begin_us + round(phase.seconds * MICROSECONDS)
        return times

    def due(self, now_us: int) -> int:
        """How many events should have been sent by a time."""
        first, begin_us = 0, self.start_us
        for phase in self.phases:
            end_us = begin_us + round(phase.seconds * MICROSECONDS)
            if now_us < end_us:
                return first + max(0, min(phase.events, (now_us - begin_us) * phase.eps // MICROSECONDS + 1))
            first, begin_us = first + phase.events, end_us
        return first


class Turns:
    """Which user each event is of: every one of `users` equally often, in an order that looks random."""

    def __init__(self, users: int) -> None:
        self._block = users * PER_BLOCK
        # One shuffle on every machine: numpy keeps the stream of a seeded PCG64 `random`, not that of `permutation`.
        order = np.argsort(np.random.Generator(np.random.PCG64(5)).random(self._block), kind="stable")
        self._user_at: Numbers = order.astype(np.int64) % users
        self._places_of: Numbers = np.sort(np.argsort(self._user_at, kind="stable").reshape(users, PER_BLOCK), axis=1)

    def users_of(self, numbers: Numbers) -> Numbers:
        """The user, counted from 0, of each event."""
        return self._user_at[numbers % self._block]

    def events_of_user_before(self, users: Numbers, numbers: Numbers) -> Numbers:
        """How many of a user's events have a smaller number."""
        blocks, places = np.divmod(numbers, self._block)
        in_block: Numbers = (self._places_of[users] < places[:, np.newaxis]).sum(axis=1)
        return blocks * PER_BLOCK + in_block

    def number_of(self, users: Numbers, ordinals: Numbers) -> Numbers:
        """The number of each user's event of that ordinal, counted from 0."""
        blocks, turns = np.divmod(ordinals, PER_BLOCK)
        return blocks * self._block + self._places_of[users, turns]


@cache
def turns_of(users: int) -> Turns:
    """The turns of that many users, made once in a process."""
    return Turns(users)


def quarters_of(numbers: Numbers) -> Numbers:
    """Four times the sales_value of each event: sums of quarters are exact in binary floating point."""
    return 41 + 2 * value_of(numbers)


def value_of(numbers: Numbers) -> Numbers:
    """Which of the 180 values, 10.25 to 99.75, each event has."""
    return numbers * 7919 % VALUES


def user_name(user: int) -> str:
    """A user's id in the events, which is the window's key too."""
    return f"u{user:05d}"


def user_index(name: str) -> int:
    """The inverse of `user_name`. Raises ValueError."""
    return int(name[1:])
