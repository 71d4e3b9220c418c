"""From the window changes that arrive to the latency of single events, in an HDR histogram.

A change says how many events a user's minute holds by now. The producer's schedule says which event was a user's k-th
and when it should have been sent; so every event that a change contains first is known without a look at the event.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from hdrh.histogram import HdrHistogram

from streaming.benchmark.load import Load, Numbers, user_index

LONGEST_US = 3_600_000_000
SIGNIFICANT_FIGURES = 3


class Percentiles(msgspec.Struct, frozen=True, kw_only=True):
    """Latency in milliseconds, and of how many events (or updates)."""

    p50: float
    p95: float
    p99: float
    p999: float
    max: float
    events: int


@dataclass(frozen=True)
class Moment:
    """What arrived within a stretch of the run: its end, and the latency of the events in it."""

    at_us: int
    p50_ms: float
    p99_ms: float


def an_empty_histogram() -> Any:
    """A histogram of microseconds up to an hour, to three figures."""
    return HdrHistogram(1, LONGEST_US, SIGNIFICANT_FIGURES)


@dataclass
class LatencyRecorder:
    """Collects the changes of sampled users; the arithmetic is done in bulk, when `flush` is called."""

    load: Load
    sample_every: int
    histogram: Any = field(default_factory=an_empty_histogram)
    moments: list[Moment] = field(default_factory=list)
    _seen: dict[tuple[str, int], int] = field(default_factory=dict)
    _grown: list[tuple[int, int, int, int, int]] = field(default_factory=list)
    _sampled: dict[str, bool] = field(default_factory=dict)

    def add(self, rows: Sequence[Sequence[Any]], arrived_us: int) -> None:
        """Take the rows of one update of the window under test that arrived at a time."""
        seen, is_sampled = self._seen, self._is_sampled
        for row in rows:
            user = row[0]
            if is_sampled(user):
                window, count = (user, row[1]), row[3]
                before = seen.get(window, 0)
                if count > before:
                    seen[window] = count
                    self._grown.append((user_index(user), row[1], before, count, arrived_us))

    def flush(self) -> None:
        """Account for everything that was added since the last flush."""
        if not self._grown:
            return
        users, starts_ms, befores, counts, arrived_us = np.array(self._grown, np.int64).T
        self._grown.clear()
        first_of_window = _by_start(starts_ms, lambda start_ms: self.load.due(start_ms * 1000 - 1))
        turns = self.load.turns
        ordinals = turns.events_of_user_before(users, first_of_window)
        grown = counts - befores
        # Row i stands for grown[i] events: the user's ordinals from befores[i] on, counted within the window.
        within = np.arange(grown.sum()) - np.repeat(np.cumsum(grown) - grown, grown)
        numbers = turns.number_of(np.repeat(users, grown), np.repeat(ordinals + befores, grown) + within)
        latencies = np.repeat(arrived_us, grown) - self.load.intended_us(numbers)
        latencies = latencies[(numbers >= self.load.first_measured) & (numbers < self.load.total)]
        if len(latencies):
            self._record(latencies, int(arrived_us[-1]))

    def _record(self, latencies: Numbers, at_us: int) -> None:
        # Below the histogram's resolution of three figures; far fewer values to hand to Python one by one.
        tens, counts = np.unique(np.clip(latencies, 1, LONGEST_US) // 10 * 10, return_counts=True)
        for value, count in zip(tens.tolist(), counts.tolist(), strict=True):
            self.histogram.record_value(max(1, value), count)
        p50, p99 = np.percentile(latencies, [50, 99]) / 1000
        self.moments.append(Moment(at_us, float(p50), float(p99)))

    def _is_sampled(self, user: str) -> bool:
        known = self._sampled.get(user)
        if known is None:
            known = self._sampled[user] = user_index(user) % self.sample_every == 0
        return known


def percentiles(histogram: Any) -> Percentiles | None:
    """The percentiles of a histogram of microseconds; None where nothing was recorded."""
    if not histogram.get_total_count():
        return None

    def milliseconds(percentile: float) -> float:
        return float(histogram.get_value_at_percentile(percentile)) / 1000

    return Percentiles(
        p50=milliseconds(50),
        p95=milliseconds(95),
        p99=milliseconds(99),
        p999=milliseconds(99.9),
        max=float(histogram.get_max_value()) / 1000,
        events=int(histogram.get_total_count()),
    )


def _by_start(starts_ms: Numbers, compute: Callable[[int], int]) -> Numbers:
    starts, which = np.unique(starts_ms, return_inverse=True)
    return np.array([compute(int(start)) for start in starts], np.int64)[which]
