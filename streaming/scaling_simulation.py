"""Plays traffic against the scaling policy: `python -m streaming.scaling_simulation --help`.

A model of a second's grain: events come evenly to all partitions, a worker works off its own up to its capacity, a
change of the number of workers takes effect after a start-up time and stops all work for a rebalance. The policy sees
what the metrics would have shown it.
"""

import argparse
import collections
import math
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from streaming.autoscaling import Limits, Memory, Signal, decide
from streaming.metrics import RECENT_S

Traffic = Callable[[int], float]
"""Events a second, by the second."""


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """A shape of traffic between a base and a peak, and how long it takes to show itself."""

    description: str
    duration_s: int
    shape: Callable[[float], float]
    """From the part of the duration that has passed to the part of the way from base to peak."""

    def traffic(self, base_per_s: float, peak_per_s: float) -> Traffic:
        """The pattern between two rates."""
        return lambda second: base_per_s + (peak_per_s - base_per_s) * self.shape(second / self.duration_s)


PATTERNS = {
    "step": Pattern(
        description="base, then peak",
        duration_s=3600,
        shape=lambda part: float(part >= 0.25),
    ),
    "spike": Pattern(
        description="a peak of three minutes",
        duration_s=3600,
        shape=lambda part: float(0.2 <= part < 0.25),
    ),
    "ramp": Pattern(
        description="slowly up, slowly down",
        duration_s=7200,
        shape=lambda part: 1 - abs(2 * part - 1),
    ),
    "daily": Pattern(
        description="two days with a quiet night and a busy evening",
        duration_s=2 * 86_400,
        shape=lambda part: (0.5 - 0.5 * math.cos(4 * math.pi * (part - 0.08))) ** 1.5,
    ),
}


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """What workers can do. `capacity_per_s` is one worker's, in events."""

    capacity_per_s: float = 60_000.0
    start_s: int = 10
    rebalance_s: int = 6
    decide_every_s: int = 15
    noise: float = 0.1
    """Standard deviation of the traffic of a second, as a part of it."""


@dataclass(frozen=True)
class Moment:
    """One second. `delay_s` is the age of the oldest event that was not processed at its end."""

    second: int
    arrived: float
    processed: float
    lag: float
    replicas: int
    busy_share: float
    delay_s: int


@dataclass(frozen=True)
class Outcome:
    """A simulated run."""

    moments: Sequence[Moment]
    changes: Sequence[tuple[int, int, str]]
    """Second, workers from then on, and the reason."""

    @property
    def worker_hours(self) -> float:
        """What there is to pay for."""
        return sum(moment.replicas for moment in self.moments) / 3600

    def slow_seconds(self, objective_s: float) -> int:
        """Seconds in which some event had waited for longer than the objective."""
        return sum(moment.delay_s > objective_s for moment in self.moments)


def simulate(traffic: Traffic, duration_s: int, cluster: Cluster, limits: Limits, seed: int = 1) -> Outcome:
    """Play traffic against the policy, beginning with the fewest workers and no lag."""
    rng = random.Random(seed)  # noqa: S311
    lags = [0.0] * limits.partitions
    replicas = wanted = limits.minimum
    memory = Memory()
    ready_at = resting_until = -1
    waiting: collections.deque[tuple[int, float]] = collections.deque()
    moments: list[Moment] = []
    changes: list[tuple[int, int, str]] = []
    for second in range(duration_s):
        arrived = max(0.0, traffic(second) * rng.gauss(1.0, cluster.noise))
        lags = [lag + arrived / limits.partitions for lag in lags]
        waiting.append((second, arrived))
        if wanted != replicas and second >= ready_at:
            replicas, resting_until = wanted, second + cluster.rebalance_s
        processed = busy = 0.0
        if second >= resting_until:
            lags, processed, busy = _work(lags, replicas, cluster.capacity_per_s)
        _forget(waiting, processed)
        delay = second - waiting[0][0] if waiting else 0
        moments.append(Moment(second, arrived, processed, sum(lags), replicas, busy, delay))
        if second % cluster.decide_every_s == cluster.decide_every_s - 1:
            decision = decide(wanted, _signal(moments), limits, memory)
            memory = decision.memory
            if decision.replicas != wanted:
                changes.append((second, decision.replicas, decision.reason))
                ready_at = second + (cluster.start_s if decision.replicas > wanted else 1)
                wanted = decision.replicas
    return Outcome(moments, changes)


def _work(lags: list[float], replicas: int, capacity: float) -> tuple[list[float], float, float]:
    """One second's work; returns the lags left, the events processed and the share of time the busiest worked."""
    left = list(lags)
    busiest = 0.0
    for worker in range(replicas):
        own = range(worker, len(lags), replicas)
        held = sum(lags[partition] for partition in own)
        share = min(1.0, capacity / held) if held else 0.0
        for partition in own:
            left[partition] = lags[partition] * (1 - share)
        busiest = max(busiest, held * share / capacity)
    return left, sum(lags) - sum(left), busiest


def _forget(waiting: collections.deque[tuple[int, float]], processed: float) -> None:
    """Take processed events off the oldest seconds."""
    while waiting:
        second, events = waiting[0]
        # A thousandth of an event is what floats leave behind.
        if events > processed + 1e-3:
            waiting[0] = (second, events - processed)
            return
        processed -= events
        waiting.popleft()


def _signal(moments: Sequence[Moment]) -> Signal:
    recent = moments[-RECENT_S:]
    return Signal(
        at_s=moments[-1].second,
        lag_events=moments[-1].lag,
        processed_per_s=sum(moment.processed for moment in recent) / len(recent),
        busy_share=sum(moment.busy_share for moment in recent) / len(recent),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate what the command line says, and show it."""
    parser = argparse.ArgumentParser(
        prog="python -m streaming.scaling_simulation", description="Plays traffic against the scaling policy."
    )
    parser.add_argument("patterns", nargs="*", metavar="pattern", help=f"of {', '.join(PATTERNS)} (default: all)")
    parser.add_argument("--base", type=float, default=10_000, metavar="N", help="events/s in quiet times (10,000)")
    parser.add_argument("--peak", type=float, default=150_000, metavar="N", help="events/s in busy times (150,000)")
    parser.add_argument("--capacity", type=float, default=60_000, metavar="N", help="events/s of one worker (60,000)")
    parser.add_argument("--partitions", type=int, default=4, metavar="N", help="the most workers there can be (4)")
    parser.add_argument("--minimum", type=int, default=1, metavar="N", help="the fewest workers (1)")
    parser.add_argument("--rebalance", type=int, default=6, metavar="S", help="seconds without work at a change (6)")
    parser.add_argument("--objective", type=float, default=30, metavar="S", help="no event waits for longer (30)")
    parser.add_argument("--worker-hour", type=float, metavar="PRICE", help="also print the cost at this price")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the noise (1)")
    parser.add_argument("--no-plot", dest="plot", action="store_false", help="leave the plots out")
    chosen = parser.parse_args(arguments)
    unknown = sorted(set(chosen.patterns) - PATTERNS.keys())
    if unknown:
        parser.error(f"there is no pattern {', '.join(unknown)}; choose of {', '.join(PATTERNS)}")
    try:
        limits = Limits(partitions=chosen.partitions, minimum=chosen.minimum)
    except ValueError as error:
        parser.error(str(error))
    cluster = Cluster(capacity_per_s=chosen.capacity, rebalance_s=chosen.rebalance)
    for name in chosen.patterns or PATTERNS:
        pattern = PATTERNS[name]
        outcome = simulate(pattern.traffic(chosen.base, chosen.peak), pattern.duration_s, cluster, limits, chosen.seed)
        sys.stdout.write(f"\n{name}: {pattern.description}, {chosen.base:,.0f} to {chosen.peak:,.0f} events/s\n")
        if chosen.plot:
            sys.stdout.write(plot(outcome) + "\n")
        sys.stdout.write(summary(outcome, limits, chosen.objective, chosen.worker_hour))
    return 0


def summary(outcome: Outcome, limits: Limits, objective_s: float, worker_hour: float | None = None) -> str:
    """Changes, cost and misses, as lines."""
    most = limits.highest * len(outcome.moments) / 3600
    slow = outcome.slow_seconds(objective_s)
    lines = [f"  {second:>7,d} s  {count} workers: {reason}" for second, count, reason in outcome.changes[:20]]
    if len(outcome.changes) > 20:
        lines.append(f"  … and {len(outcome.changes) - 20} more changes")
    cost = ""
    if worker_hour is not None:
        cost = f", {outcome.worker_hours * worker_hour:,.2f} against {most * worker_hour:,.2f}"
    lines += [
        f"  cost      {outcome.worker_hours:,.1f} worker-hours, {outcome.worker_hours / most:.0%} of "
        f"{limits.highest} workers all the time{cost}",
        f"  objective {slow:,d} of {len(outcome.moments):,d} s with an event that waited for over {objective_s:g} s",
        f"  worst     {max(moment.delay_s for moment in outcome.moments)} s late, "
        f"{max(moment.lag for moment in outcome.moments):,.0f} events behind",
    ]
    return "\n".join(lines) + "\n"


def plot(outcome: Outcome, width: int = 100, height: int = 12) -> str:
    """Load, workers and lag over time, as text without colours."""
    import plotext

    step = max(1, len(outcome.moments) // width)
    cut = [outcome.moments[begin : begin + step] for begin in range(0, len(outcome.moments), step)]
    hours = [moments[0].second / 3600 for moments in cut]
    panels: list[tuple[str, list[float]]] = [
        ("thousand events/s", [sum(moment.arrived for moment in moments) / len(moments) / 1000 for moments in cut]),
        ("workers", [float(max(moment.replicas for moment in moments)) for moments in cut]),
        ("lag, thousand events", [max(moment.lag for moment in moments) / 1000 for moments in cut]),
    ]
    drawn = []
    for title, values in panels:
        figure: Any = plotext.figure
        figure.clear()
        figure.plot_size(width, height)
        figure.title(f"{title} over hours")
        figure.draw(figure.signal(hours, values, marker="*"))
        drawn.append(str(plotext.uncolorize(figure.build().string())))
    return "\n".join(drawn)


if __name__ == "__main__":
    sys.exit(main())
