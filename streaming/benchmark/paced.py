"""A paced measurement: load on a schedule, the worker under it, and a consumer of its results."""

import math
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from streaming.benchmark.arguments import TestType
from streaming.benchmark.checking import check_landing, check_windows, measure_raw_consumption
from streaming.benchmark.cluster import Cluster, cluster
from streaming.benchmark.core_speed import CoreSpeedometer
from streaming.benchmark.cpu import CpuMeter
from streaming.benchmark.generator import SendProgress, Sent, generate
from streaming.benchmark.latency import Moment
from streaming.benchmark.load import MICROSECONDS, Load, Phase
from streaming.benchmark.platform_worker import Duties, PlatformWorker, platform_worker
from streaming.benchmark.processes import ProcessFailed, Reporter, reporter
from streaming.benchmark.report import Measurement
from streaming.benchmark.timeline import Progress, Timeline
from streaming.benchmark.watching import Processed, Watched, Watching, watch
from streaming.benchmark.window_results import newest_windows

# Both processes of ours are up by then; one that is not has the warm-up to catch up in.
START_IN_S = 3.0
SPAWN_S = 30.0
STANDSTILL_S = 20.0
LOOK_EVERY_S = 0.05
MEMORY_SAMPLES = 10
PEAK_EVERY_S = 1.0
# Where results are waited for, and where only their number counts: what a fetch costs the embedded broker grows with
# the batches that it holds, and after a minute of 5 ms at 100,000 events/s took 0.45 of a core instead of 0.2.
PROMPT_LINGER_MS = 5
PATIENT_LINGER_MS = 20

Say = Callable[[str], None]
"""Shows what a measurement is doing now."""


@dataclass(frozen=True)
class PacedRun:
    """What the plots and the derived figures need of a run beside its measurement."""

    progress: Progress
    moments: list[Moment] = field(default_factory=list)


def steady(eps: int, duration_s: float, warmup_s: float) -> tuple[Phase, ...]:
    """One rate, after a warm-up at the same."""
    return (Phase(eps, warmup_s, measured=False), Phase(eps, duration_s))


def to_the_peak(peak_eps: int, duration_s: float, warmup_s: float) -> tuple[Phase, ...]:
    """Five rising steps from a third of the peak to the peak, then a third again, in 60 and 40 % of the time."""
    base = max(1, peak_eps // 3)
    steps = [round(peak_eps * share / 6) for share in (2, 3, 4, 5, 6)]
    rising = tuple(Phase(max(1, eps), duration_s * 0.6 / len(steps)) for eps in steps)
    return (Phase(base, warmup_s, measured=False), *rising, Phase(base, duration_s * 0.4))


def a_load(
    phases: tuple[Phase, ...], start_us: int, duplicate_share: float, users: int, linger_ms: int = PROMPT_LINGER_MS
) -> Load:
    """A load with a run id of its own, as the first 24 characters of a UUID."""
    every = round(1 / duplicate_share) if duplicate_share else 0
    return Load(str(uuid.uuid4())[:24], start_us, phases, every, linger_ms, users)


def measure_paced(
    measurement: Measurement,
    phases: tuple[Phase, ...],
    *,
    bootstrap: str | None,
    duplicate_share: float,
    folder: Path,
    say: Say,
) -> PacedRun:
    """Run the load and fill in the measurement as far as the run gets.

    Raises:
        ProcessFailed: a process of the run ended, or nothing more came out of the worker.
        ClusterUnusable: there is no broker to measure on.
    """
    prompt = measurement.test_type is TestType.LATENCY
    measurement.linger_ms = PROMPT_LINGER_MS if prompt else PATIENT_LINGER_MS
    # Where nothing deduplicates, a second copy would count.
    share = duplicate_share if measurement.duties is Duties.ALL else 0.0
    with cluster(bootstrap, folder) as log:
        say("starting the worker")
        with platform_worker(log, folder, measurement.duties) as worker:
            worker.wait_until_ready()
            start_us = time.time_ns() // 1000 + round(START_IN_S * MICROSECONDS)
            load = a_load(phases, start_us, share, measurement.users, measurement.linger_ms)
            run, sent = _Run(measurement, load, log, worker, say).follow()
        say("checking")
        check_windows(measurement, load, sent, newest_windows(log.address))
        check_landing(measurement, load, sent, worker)
        measure_raw_consumption(measurement, log)
    return run


class _Run:
    def __init__(self, measurement: Measurement, load: Load, log: Cluster, worker: PlatformWorker, say: Say) -> None:
        self._measurement = measurement
        self._load = load
        self._log = log
        self._worker = worker
        self._say = say
        self._timeline = Timeline()
        self._progress = Progress(load, self._timeline)
        self._sent: Sent | None = None
        self._at = SendProgress(0, 0, 0)
        self._cpu = CpuMeter({"worker": worker.process, "broker": log.broker})
        self._speedometer = CoreSpeedometer()
        is_to_be_killed = measurement.test_type is TestType.RECOVERY
        self._kill_at_us = load.start_us + load.duration_s / 2 * MICROSECONDS if is_to_be_killed else math.inf
        self._killed_us: int | None = None
        self._peak_taken_us = 0

    def follow(self) -> tuple[PacedRun, Sent]:
        """From the first event to the last result."""
        load, address = self._load, self._log.address
        with ExitStack() as stack:
            watcher = stack.enter_context(reporter("consumer of the results", watch, load, address, True))
            producer = stack.enter_context(reporter("producer", generate, load, address, True))
            watcher.wait_for(Watching, SPAWN_S)
            try:
                self._until_processed(producer, watcher)
            finally:
                self._fill_in()
            watcher.stop()
            watched: Watched = watcher.wait_for(Watched, SPAWN_S)
            self._measurement.latency_ms = watched.latency
            self._measurement.delivery_ms = watched.delivery
            self._measurement.cpu_cores["consumer"] = round(watched.cpu_s / load.duration_s, 2)
            sent = self._sent
        if sent is None:
            raise ProcessFailed("The producer did not report what it sent")
        return PacedRun(self._progress, watched.moments), sent

    def _until_processed(self, producer: Reporter, watcher: Reporter) -> None:
        end_us = self._load.start_us + round(self._load.duration_s * MICROSECONDS)
        moved = time.monotonic()
        while self._sent is None or self._timeline.processed < self._sent.records:
            time.sleep(LOOK_EVERY_S)
            now_us = time.time_ns() // 1000
            if self._take(producer, watcher) or now_us < self._load.start_us:
                moved = time.monotonic()
            self._worker.process.check()
            if self._sent is not None and self._sent.failures:
                raise ProcessFailed(f"The producer could not send everything: {self._sent.failures[0]}")
            if time.monotonic() - moved > STANDSTILL_S:
                raise ProcessFailed(
                    f"Nothing came out of the worker for {STANDSTILL_S:.0f} s; {self._timeline.processed:,} of "
                    f"{self._at.sent:,} events are in results:\n{self._worker.process.last_words()}"
                )
            if now_us >= self._load.start_us and not self._cpu.is_running:
                self._cpu.start()
            if self._load.start_us <= now_us < end_us:
                self._speedometer.sample()
            if now_us >= end_us:
                self._cpu.stop()
            if self._killed_us is None and now_us >= self._kill_at_us:
                self._kill_worker()
            self._sample_memory(now_us)
            self._show(now_us)

    def _take(self, producer: Reporter, watcher: Reporter) -> bool:
        """Whether results have arrived."""
        if self._sent is None:
            for report in producer.received():
                if isinstance(report, Sent):
                    self._sent = report
                else:
                    self._at = report
        arrived = [report for report in watcher.received() if isinstance(report, Processed)]
        for position in arrived:
            self._timeline.add(position.at_us, position.records)
        return bool(arrived)

    def _kill_worker(self) -> None:
        # What a core did belongs to one process: the meter stops with the first.
        self._cpu.stop()
        self._measurement.worker_peak_rss_mb = self._worker.process.peak_rss_mb()
        self._killed_us = time.time_ns() // 1000
        self._worker.kill_and_start_again()

    def _sample_memory(self, now_us: int) -> None:
        samples = self._measurement.worker_rss_mb
        due_us = self._load.start_us + (len(samples) + 1) * self._load.duration_s * MICROSECONDS / MEMORY_SAMPLES
        if len(samples) < MEMORY_SAMPLES and now_us >= due_us:
            samples += filter(None, [self._worker.process.rss_mb()])
        # Its children, which decode while it is behind, come and go.
        if now_us - self._peak_taken_us >= PEAK_EVERY_S * MICROSECONDS:
            self._peak_taken_us = now_us
            self._worker.process.peak_rss_mb()

    def _show(self, now_us: int) -> None:
        left_s = self._load.duration_s - (now_us - self._load.start_us) / MICROSECONDS
        backlog = self._progress.backlog(now_us)
        self._say(f"{self._at.sent:,} sent, {backlog:,} of them unprocessed, {max(0.0, left_s):.0f} s to go")

    def _fill_in(self) -> None:
        found, load, progress = self._measurement, self._load, self._progress
        self._cpu.stop()
        found.cpu_cores |= self._cpu.cores()
        found.core_speed = self._speedometer.speed()
        end_us = load.start_us + round(load.duration_s * MICROSECONDS)
        found.duration_s = sum(phase.seconds for phase in load.phases if phase.measured)
        found.sent = self._sent.events if self._sent else self._at.sent
        found.resent = self._sent.resent if self._sent else None
        found.processed = self._timeline.processed
        metered_until_us = self._killed_us or end_us
        found.worker_cpu_us_per_event = self._cpu.us_per_event("worker", self._timeline.processed_at(metered_until_us))
        peaks_mb = (found.worker_peak_rss_mb, self._worker.process.peak_rss_mb())
        found.worker_peak_rss_mb = max(filter(None, peaks_mb), default=None)
        if self._sent:
            found.event_bytes = self._sent.event_bytes
            found.producer_behind_s = self._sent.behind_us / MICROSECONDS
            found.cpu_cores["producer"] = round(self._sent.cpu_s / load.duration_s, 2)
        # A run that was ended before its schedule did has no rates.
        if time.time_ns() // 1000 >= end_us:
            achieved = progress.achieved_eps()
            found.achieved_eps = None if achieved is None else round(achieved)
            found.backlog_s = round(progress.backlog(end_us) / load.phases[-1].eps, 3)
            if found.test_type is TestType.STRESS:
                found.knee_eps = progress.knee_eps()
                found.recovery_s = _rounded(progress.recovery_s())
            elif self._killed_us is not None:
                found.resumed_s = _rounded(progress.resumed_after_s(self._killed_us))
                found.recovery_s = _rounded(progress.recovered_after_s(self._killed_us))


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
