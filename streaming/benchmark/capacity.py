"""What an engine can do at most: it reads a topic that was filled before, so nothing holds it back but itself.

The events' times cover 150 s, whatever their number, so that windows close on the way.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from platform_assets.contracts.topics import EVENTS
from streaming.benchmark.arguments import Engine
from streaming.benchmark.checking import check_landing, check_windows, measure_raw_consumption
from streaming.benchmark.cluster import GROUP_PREFIX, Cluster, cluster
from streaming.benchmark.cpu import CpuMeter
from streaming.benchmark.generator import SendProgress, Sent, generate
from streaming.benchmark.load import MICROSECONDS, Load, Phase
from streaming.benchmark.oracle import Found
from streaming.benchmark.paced import LOOK_EVERY_S, SPAWN_S, STANDSTILL_S, Say, a_load
from streaming.benchmark.platform_worker import Duties, platform_worker
from streaming.benchmark.processes import ProcessFailed, child_process, reporter
from streaming.benchmark.report import Measurement
from streaming.benchmark.timeline import Timeline
from streaming.benchmark.watching import Processed, Watching, watch
from streaming.benchmark.window_results import newest_windows

EVENT_TIME_S = 150
# A worker reads while it connects to where its results go. What has piled up by then is in its first results at once:
# timed from those it seemed up to half as fast again as it is.
UNTIMED_SHARE = 0.3
FILL_S = 120.0
PEER_S = 300.0
DEFAULT_EVENTS = {Engine.FAUST: 60_000}
"""Stock Faust does about 3,000 events/s; the rates compare all the same."""

DEFAULT_EVENTS_OF_OTHERS = 1_000_000

JOBS = Path(__file__).with_name("peers")


class PeerResult(msgspec.Struct, frozen=True):
    """What a job of another engine writes: its result, and when it took the first event and had the last one in it.

    `untimed` events were in before `first_s`.
    """

    first_s: float
    last_s: float
    untimed: int
    windows: list[Found]
    versions: dict[str, str]


class PeersMissing(RuntimeError):
    """The peers' environment is not there; the message names what installs it."""


@dataclass(frozen=True)
class _Filled:
    """A topic with everything in it that the engine is to read."""

    log: Cluster
    load: Load
    sent: Sent


def default_events(engine: Engine) -> int:
    """How many events an engine is given."""
    return DEFAULT_EVENTS.get(engine, DEFAULT_EVENTS_OF_OTHERS)


def backlog_of(events: int, duplicate_share: float, users: int) -> Load:
    """A load whose last event was due now."""
    eps = max(1, events // EVENT_TIME_S)
    seconds = events / eps
    start_us = time.time_ns() // 1000 - round(seconds * MICROSECONDS)
    return a_load((Phase(eps, seconds),), start_us, duplicate_share, users)


def measure_capacity(
    measurement: Measurement,
    events: int,
    *,
    bootstrap: str | None,
    duplicate_share: float,
    peers_python: Path,
    folder: Path,
    say: Say,
) -> dict[str, str]:
    """Fill the topic, let the engine read it, and fill in the measurement as far as the run gets.

    Returns:
        The versions of a peer's packages; nothing for the platform.

    Raises:
        ProcessFailed: a process of the run ended, or nothing more came out of the engine.
        ClusterUnusable: there is no broker to measure on.
        PeersMissing: the peer's environment is not installed.
    """
    share = duplicate_share if measurement.duties is Duties.ALL else 0.0
    with cluster(bootstrap, folder) as log:
        load = backlog_of(events, share, measurement.users)
        filled = _Filled(log, load, _fill(measurement, load, log, say))
        say("reading with a plain client")
        measure_raw_consumption(measurement, log)
        if measurement.engine is Engine.PLATFORM:
            _run_platform(measurement, filled, folder, say)
            return {}
        python = Path(sys.executable) if measurement.engine is Engine.FAUST else peers_python
        if not python.exists():
            raise PeersMissing(f"{python} is missing: `make bench-peers` installs the peers' environment.")
        return _run_peer(measurement, filled, python, folder, say)


def _fill(measurement: Measurement, load: Load, log: Cluster, say: Say) -> Sent:
    with reporter("producer", generate, load, log.address, False) as producer:
        deadline = time.monotonic() + FILL_S
        while time.monotonic() < deadline:
            for report in producer.received():
                if isinstance(report, Sent):
                    if report.failures:
                        raise ProcessFailed(f"The producer could not send everything: {report.failures[0]}")
                    measurement.sent, measurement.resent = report.events, report.resent
                    measurement.event_bytes = report.event_bytes
                    return report
                if isinstance(report, SendProgress):
                    say(f"filling the topic: {report.sent:,} of {load.total:,}")
            time.sleep(LOOK_EVERY_S)
    raise ProcessFailed(f"The topic was not filled in {FILL_S:.0f} s")


def _run_platform(measurement: Measurement, filled: _Filled, folder: Path, say: Say) -> None:
    load, sent, log = filled.load, filled.sent, filled.log
    timeline = Timeline()
    untimed, counted_from = round(sent.records * UNTIMED_SHARE), 0
    with ExitStack() as stack:
        # Positions only: decoding every change would take its share of the two cores.
        watcher = stack.enter_context(reporter("consumer of the results", watch, load, log.address, False))
        watcher.wait_for(Watching, SPAWN_S)
        started_us = time.time_ns() // 1000
        worker = stack.enter_context(platform_worker(log, folder, measurement.duties))
        cpu = CpuMeter({"worker": worker.process, "broker": log.broker})
        moved = time.monotonic()
        while timeline.processed < sent.records:
            time.sleep(LOOK_EVERY_S)
            worker.process.check()
            for position in watcher.received():
                if isinstance(position, Processed):
                    timeline.add(position.at_us, position.records)
                    moved = time.monotonic()
            if counted_from < untimed:
                # Begun anew until then: what the start costs is not the events' doing.
                cpu.start()
                counted_from = timeline.processed
            if time.monotonic() - moved > STANDSTILL_S:
                raise ProcessFailed(
                    f"Nothing came out of the worker for {STANDSTILL_S:.0f} s; {timeline.processed:,} of "
                    f"{sent.records:,} records are in results:\n{worker.process.last_words()}"
                )
            say(f"{timeline.processed:,} of {sent.records:,} records processed")
        cpu.stop()
        measurement.cpu_cores = cpu.cores()
        measurement.worker_cpu_us_per_event = cpu.us_per_event("worker", timeline.processed - counted_from)
        measurement.worker_peak_rss_mb = worker.process.peak_rss_mb()
    measurement.first_result_s = round((timeline.times_us[0] - started_us) / MICROSECONDS, 2)
    measurement.processed, measurement.backlog_s = timeline.processed, 0.0
    begin = timeline.timed_from(untimed)
    if begin is not None:
        measurement.duration_s = round((timeline.times_us[-1] - timeline.times_us[begin]) / MICROSECONDS, 3)
        measurement.achieved_eps = round(timeline.rate(begin) * sent.events / sent.records)
    say("checking")
    check_windows(measurement, load, sent, newest_windows(log.address))
    check_landing(measurement, load, sent, worker)


def _run_peer(measurement: Measurement, filled: _Filled, python: Path, folder: Path, say: Say) -> dict[str, str]:
    load, sent, log = filled.load, filled.sent, filled.log
    engine, output = measurement.engine, folder / "result.json"
    command = [
        str(python), str(JOBS / f"{engine}_job.py"), "--bootstrap", log.address, "--topic", EVENTS.name,
        "--partitions", str(EVENTS.partitions), "--events", str(sent.records), "--output", str(output),
        "--folder", str(folder), "--group", f"{GROUP_PREFIX}{engine}-{load.run[:8]}",
    ]  # fmt: skip
    peak_mb = 0.0
    cpu: list[tuple[float, float]] = []
    with child_process(f"{engine} job", command, folder / f"{engine}.log", patience_s=5) as job:
        # A result that is there is whole; some engines have no way of ending by themselves.
        for seconds in _until(lambda: job.has_ended() or output.exists(), PEER_S):
            peak_mb = max(peak_mb, job.peak_rss_mb() or 0.0)
            cpu.append((time.time(), job.cpu_s() or 0.0))
            say(f"the {engine} job has run for {seconds:.0f} s")
        if not output.exists():
            how = "ended without" if job.has_ended() else f"did not write in {PEER_S:.0f} s"
            raise ProcessFailed(f"The {engine} job {how} a result:\n{job.last_words()}")
    result = msgspec.json.decode(output.read_bytes(), type=PeerResult)
    took_s = result.last_s - result.first_s
    measurement.duration_s = round(took_s, 3)
    measurement.achieved_eps = round((sent.events - result.untimed) / took_s)
    measurement.worker_peak_rss_mb = peak_mb
    began_s, ended_s = np.interp([result.first_s, result.last_s], *np.array(cpu).T).tolist()
    measurement.cpu_cores["worker"] = round((ended_s - began_s) / took_s, 2)
    measurement.worker_cpu_us_per_event = round((ended_s - began_s) * MICROSECONDS / sent.events, 2)
    check_windows(measurement, load, sent, result.windows)
    measurement.processed = sent.records - (measurement.lost or 0)
    measurement.backlog_s = 0.0
    return result.versions


def _until(is_over: Callable[[], bool], seconds: float) -> Iterator[float]:
    began = time.monotonic()
    while not is_over() and time.monotonic() - began < seconds:
        yield time.monotonic() - began
        time.sleep(0.2)
