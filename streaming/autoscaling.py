"""How many workers the stream needs: a pure function of what their metrics said, and of what was decided before.

    decision = decide(current, signal, limits, memory)

Quick up, slow down: more workers as soon as the lag would take too long or grows at full load, fewer only after fewer
would have done for a while. Every change makes the group rebalance, which costs seconds without work, so each one is
followed by a rest.

Partitions are taken to be equally loaded. A worker has whole partitions: of four, three workers are no faster than
two, so that only 1, 2 and 4 are chosen.
"""

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class Signal:
    """What the workers' metrics said at one time, over all of them; rates and shares are those of about ten seconds.

    `busy_share` is the busiest worker's. `at_s` is of any clock that does not go back.
    """

    at_s: float
    lag_events: float
    processed_per_s: float
    busy_share: float
    is_paused: bool = False

    @property
    def drain_s(self) -> float:
        """How long the lag would take at this rate."""
        if self.lag_events <= 0:
            return 0.0
        return self.lag_events / self.processed_per_s if self.processed_per_s > 0 else math.inf


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The bounds and the temper of the policy. Times in seconds, shares from 0 to 1.

    Workers are added where the lag would take longer than `target_drain_s`, or grows while the busy share is at least
    `full_share`: as many as are busy for `wanted_share` of their time and work off the lag within `catch_up_s`.
    One step down is taken where fewer would be busy for no more than `wanted_share` for `quiet_s` on end.
    """

    partitions: int
    minimum: int = 1
    maximum: int | None = None
    target_drain_s: float = 10.0
    catch_up_s: float = 60.0
    full_share: float = 0.9
    wanted_share: float = 0.7
    rest_before_up_s: float = 45.0
    rest_before_down_s: float = 300.0
    quiet_s: float = 300.0

    def __post_init__(self) -> None:
        if self.partitions < 1:
            raise ValueError(f"There must be a partition, not {self.partitions}.")
        if not 1 <= self.minimum <= self.highest:
            raise ValueError(
                f"The minimum of {self.minimum} workers is not between 1 and {self.highest}, the lesser of the maximum "
                "and the number of partitions."
            )
        if not 0 < self.wanted_share < self.full_share <= 1:
            raise ValueError(
                f"The wanted share {self.wanted_share} must be below the full share {self.full_share}, both within "
                "(0, 1]; else a step down is followed by one up."
            )
        for name in ("target_drain_s", "catch_up_s"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}.")

    @property
    def highest(self) -> int:
        """A worker more than there are partitions would have nothing to do."""
        return self.partitions if self.maximum is None else min(self.partitions, self.maximum)

    @property
    def counts(self) -> tuple[int, ...]:
        """The numbers of workers worth choosing, ascending: the minimum, and each that is faster than one fewer."""
        numbers = range(self.minimum, self.highest + 1)
        return tuple(n for n in numbers if n == self.minimum or self.power(n) > self.power(n - 1))

    def power(self, workers: int) -> float:
        """How many times faster than one worker: the busiest one has its partitions rounded up."""
        return self.partitions / math.ceil(self.partitions / workers)


@dataclass(frozen=True)
class Memory:
    """What a decision must know of those before it."""

    changed_at_s: float | None = None
    fewer_since_s: float | None = None
    last: Signal | None = None


@dataclass(frozen=True)
class Decision:
    """How many workers there shall be, why, and the memory for the next decision."""

    replicas: int
    reason: str
    memory: Memory


def decide(current: int, signal: Signal, limits: Limits, memory: Memory) -> Decision:
    """Decide once; to be called every ten seconds or so with the memory that the last call returned.

    Args:
        current: the workers that there are.
    """
    remembered = replace(memory, last=signal)
    if not limits.minimum <= current <= limits.highest:
        replicas = min(max(current, limits.minimum), limits.highest)
        return _change(replicas, f"between {limits.minimum} and {limits.highest}", signal, remembered)
    if signal.is_paused:
        return Decision(
            current, "paused: more workers write to the same place", replace(remembered, fewer_since_s=None)
        )
    growth_per_s = _growth_per_s(signal, memory.last)
    is_slow = signal.drain_s > limits.target_drain_s
    if is_slow or (growth_per_s > 0 and signal.busy_share >= limits.full_share):
        remembered = replace(remembered, fewer_since_s=None)
        return _more(current, signal, growth_per_s, limits, remembered)
    return _fewer(current, signal, growth_per_s, limits, remembered)


def _more(current: int, signal: Signal, growth_per_s: float, limits: Limits, memory: Memory) -> Decision:
    if signal.processed_per_s <= 0:
        return Decision(current, "nothing is processed: that is a fault or a rebalance, and no want of workers", memory)
    rest_s = _since(memory.changed_at_s, signal)
    if rest_s < limits.rest_before_up_s:
        return Decision(current, f"rests after a change {rest_s:.0f} s ago", memory)
    higher = [count for count in limits.counts if limits.power(count) > limits.power(current)]
    if not higher:
        return Decision(current, "as many workers as there may be", memory)
    load = limits.power(current) * signal.busy_share
    wanted_per_s = signal.processed_per_s + growth_per_s + signal.lag_events / limits.catch_up_s
    wanted = load * wanted_per_s / signal.processed_per_s / limits.wanted_share
    replicas = next((count for count in higher if limits.power(count) >= wanted), higher[-1])
    reason = f"{signal.lag_events:,.0f} events behind, {signal.drain_s:.0f} s, {signal.busy_share:.0%} busy"
    return _change(replicas, reason, signal, memory)


def _fewer(current: int, signal: Signal, growth_per_s: float, limits: Limits, memory: Memory) -> Decision:
    lower = [count for count in limits.counts if count < current]
    if not lower:
        return Decision(current, "as few workers as there may be", replace(memory, fewer_since_s=None))
    load = limits.power(current) * signal.busy_share
    # What is worked off of a backlog is not load that stays.
    share_that_stays = 1 + growth_per_s / signal.processed_per_s if signal.processed_per_s > 0 else 1.0
    if load * max(0.0, share_that_stays) > limits.power(lower[-1]) * limits.wanted_share:
        return Decision(current, f"{signal.busy_share:.0%} busy", replace(memory, fewer_since_s=None))
    if memory.fewer_since_s is None:
        memory = replace(memory, fewer_since_s=signal.at_s)
    quiet_s = _since(memory.fewer_since_s, signal)
    if quiet_s < limits.quiet_s or _since(memory.changed_at_s, signal) < limits.rest_before_down_s:
        return Decision(current, f"fewer would do, for {quiet_s:.0f} s so far", memory)
    return _change(lower[-1], f"fewer would have done for {quiet_s:.0f} s", signal, memory)


def _change(replicas: int, reason: str, signal: Signal, memory: Memory) -> Decision:
    return Decision(replicas, reason, replace(memory, changed_at_s=signal.at_s, fewer_since_s=None))


def _growth_per_s(signal: Signal, last: Signal | None) -> float:
    if last is None or signal.at_s <= last.at_s:
        return 0.0
    return (signal.lag_events - last.lag_events) / (signal.at_s - last.at_s)


def _since(moment_s: float | None, signal: Signal) -> float:
    return math.inf if moment_s is None else signal.at_s - moment_s
