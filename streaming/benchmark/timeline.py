"""How far the engine was, when: what throughput, backlog, the knee and the recovery are read from."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from itertools import pairwise

from streaming.benchmark.load import MICROSECONDS, Load, Phase

# A second of backlog would hide 14 % too much load in a step of seven seconds; results on their way are 0.1 s at most.
KEPT_UP_BACKLOG_S = 0.25


@dataclass
class Timeline:
    """Records contained in the results that had arrived, at rising times; both only grow."""

    times_us: list[int] = field(default_factory=list)
    records: list[int] = field(default_factory=list)

    def add(self, at_us: int, records: int) -> None:
        """Note a position."""
        self.times_us.append(at_us)
        self.records.append(records)

    @property
    def processed(self) -> int:
        """Records processed so far."""
        return self.records[-1] if self.records else 0

    def processed_at(self, at_us: int) -> int:
        """Records processed by a time."""
        index = bisect_right(self.times_us, at_us)
        return self.records[index - 1] if index else 0

    def reached_us(self, records: int) -> int | None:
        """When that many records were processed; None if they never were."""
        index = bisect_left(self.records, records)
        return self.times_us[index] if index < len(self.records) else None

    def timed_from(self, records: int) -> int | None:
        """The place of the first arrival with at least so many records; None where it is the last one, or missing."""
        index = bisect_left(self.records, max(1, records))
        return index if index < len(self.records) - 1 else None

    def rate(self, timed_from: int) -> float:
        """Records a second after the arrival at a place; what was in results by then is not counted."""
        took_us = max(1, self.times_us[-1] - self.times_us[timed_from])
        return (self.records[-1] - self.records[timed_from]) * MICROSECONDS / took_us


@dataclass(frozen=True)
class Progress:
    """A timeline beside the schedule that it belongs to."""

    load: Load
    timeline: Timeline

    def records_due(self, at_us: int) -> int:
        """Records that should have been sent by a time, duplicates included."""
        return self.load.records(self.load.due(at_us))

    def backlog(self, at_us: int) -> int:
        """Records that were due and in no result yet; results on their way count."""
        return max(0, self.records_due(at_us) - self.timeline.processed_at(at_us))

    def achieved_eps(self) -> float | None:
        """Measured events a second at the output; None where not even the first came out."""
        timeline, load = self.timeline, self.load
        before = load.records(load.first_measured)
        began_us = timeline.reached_us(before + 1)
        if began_us is None:
            return None
        measured_s = sum(phase.seconds for phase in load.phases if phase.measured)
        took_s = max(measured_s, (timeline.times_us[-1] - began_us) / MICROSECONDS)
        share_of_events = load.total / load.records(load.total)
        return (timeline.processed - before) * share_of_events / took_s

    def knee_eps(self) -> int | None:
        """The highest of the rising rates that each ended with less than a quarter second of load to do."""
        knee: int | None = None
        for phase, end_us in self._ends():
            if not phase.measured:
                continue
            kept_up = self.backlog(end_us) < KEPT_UP_BACKLOG_S * phase.eps
            if not kept_up or (knee is not None and phase.eps < knee):
                break
            knee = phase.eps
        return knee

    def recovery_s(self) -> float | None:
        """Seconds from the end of the peak until the backlog is below a quarter second of load; None if it never is."""
        peak = max(phase.eps for phase in self.load.phases)
        return self.kept_up_after_s(next(end_us for phase, end_us in reversed(self._ends()) if phase.eps == peak))

    def kept_up_after_s(self, begin_us: int) -> float | None:
        """Seconds from a time until the backlog is below a quarter second of the last load; None if it never is."""
        last_eps = self.load.phases[-1].eps
        for at_us in [begin_us, *(time_us for time_us in self.timeline.times_us if time_us > begin_us)]:
            if self.backlog(at_us) <= KEPT_UP_BACKLOG_S * last_eps:
                return (at_us - begin_us) / MICROSECONDS
        return None

    def resumed_after_s(self, kill_us: int) -> float | None:
        """Seconds from a kill to the end of the longest silence after it; None where nothing came any more.

        What had been written before the kill still arrives, so the first result after it says nothing.
        """
        index = bisect_right(self.timeline.times_us, kill_us)
        times_us = [kill_us, *self.timeline.times_us[index:]]
        silences = [(after - before, after) for before, after in pairwise(times_us)]
        return (max(silences)[1] - kill_us) / MICROSECONDS if silences else None

    def recovered_after_s(self, kill_us: int) -> float | None:
        """Seconds from a kill until results are there again and the backlog is small; None if that never is."""
        resumed_s = self.resumed_after_s(kill_us)
        if resumed_s is None:
            return None
        # From there on: at the moment of the kill nothing was behind yet.
        kept_up_s = self.kept_up_after_s(kill_us + round(resumed_s * MICROSECONDS))
        return None if kept_up_s is None else resumed_s + kept_up_s

    def _ends(self) -> list[tuple[Phase, int]]:
        ends, end_us = [], self.load.start_us
        for phase in self.load.phases:
            end_us += round(phase.seconds * MICROSECONDS)
            ends.append((phase, end_us))
        return ends
