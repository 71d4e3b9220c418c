"""One measurement of a door, its targets, and the report that they are written to."""

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from deployments.load.bodies import Bodies, a_run
from deployments.load.generator import Generator, Ledger
from deployments.load.servers import Scene, Server, scene
from streaming.benchmark.cpu import CpuMeter
from streaming.benchmark.landed import count_landed
from streaming.benchmark.latency import Percentiles, percentiles
from streaming.benchmark.machine import Machine

SATURATED_EPS = 100_000
P99_AT_HALF_MS = 50.0
HEALTH_P99_MS = 50.0
REACHED = 0.99


class DoorMeasurement(msgspec.Struct, kw_only=True):
    """What one run showed.

    `acknowledged_eps` counts events whose 202 arrived after the warm-up. `latency_ms` is a request's, from the time
    at which it should have been sent. `unknown` requests were sent and not answered. `lost` are acknowledged events
    that did not land and `doubled` rows beyond one an event; both null without a worker. `trace_batches` is how often
    spans came, one request in a hundred being traced. `cpu_cores` says how many cores each process kept busy.
    """

    server: Server
    target_eps: int | None
    batch: int
    duration_s: float
    connections: int
    acknowledged_eps: float | None = None
    requests: int | None = None
    acknowledged: int | None = None
    unknown: int | None = None
    statuses: dict[str, int] = msgspec.field(default_factory=dict)
    latency_ms: Percentiles | None = None
    health_ms: Percentiles | None = None
    api_cpu_us_per_event: float | None = None
    api_peak_rss_mb: float | None = None
    cpu_cores: dict[str, float] = msgspec.field(default_factory=dict)
    trace_batches: int | None = None
    landed_rows: int | None = None
    lost: int | None = None
    doubled: int | None = None
    missed: list[str] = msgspec.field(default_factory=list)


class DoorReport(msgspec.Struct, kw_only=True):
    """All measurements of a run and where they were made."""

    measurements: list[DoorMeasurement]
    machine: Machine
    versions: dict[str, str]
    error: str | None = None


def measure(
    found: DoorMeasurement, *, bootstrap: str | None, with_worker: bool, warmup_s: float, say: Callable[[str], None]
) -> None:
    """Run the load and fill in the measurement.

    Raises:
        ProcessFailed: a process of the run ended or did not get ready.
        ClusterUnusable: there is no broker to use.
    """
    with tempfile.TemporaryDirectory(prefix="front-door-") as name:
        folder, run, ledger = Path(name), a_run(), Ledger(found.batch)
        say("starting")
        with scene(found.server, folder, bootstrap=bootstrap, with_worker=with_worker) as running:
            bodies = Bodies(run, found.batch, running.media_type)
            generator = Generator(running.target, bodies, found.connections, warmup_s, ledger)
            _load(found, generator, running, say)
        if with_worker:
            say("counting what landed")
            _check_landed(found, folder, run, bodies.made, ledger)
    found.missed = _missed(found)


def _load(found: DoorMeasurement, generator: Generator, running: Scene, say: Callable[[str], None]) -> None:
    ledger = generator.ledger
    meter = CpuMeter(
        {
            "api": running.api,
            "broker": running.broker,
            "worker": None if running.worker is None else running.worker.process,
        }
    )

    async def load() -> None:
        telling = asyncio.create_task(tell())
        if found.target_eps is None:
            await generator.saturated(found.duration_s)
        else:
            await generator.paced(found.target_eps, found.duration_s)
        telling.cancel()

    async def tell() -> None:
        while True:
            await asyncio.sleep(1)
            if generator.began and not meter.is_running:
                meter.start()
            say(f"{ledger.acknowledged * found.batch:,} events acknowledged")

    took_s = asyncio.run(generator.run(load))
    meter.stop()
    events = (ledger.acknowledged - generator.acknowledged_at_begin) * found.batch
    found.acknowledged_eps = round(events / took_s)
    found.requests, found.acknowledged, found.unknown = ledger.sent, ledger.acknowledged, ledger.unknown
    found.statuses = {str(status): count for status, count in sorted(ledger.statuses.items())}
    found.latency_ms, found.health_ms = percentiles(ledger.latency), percentiles(generator.health)
    found.cpu_cores = meter.cores()
    found.api_cpu_us_per_event = meter.us_per_event("api", events)
    found.api_peak_rss_mb = running.api.peak_rss_mb()
    found.trace_batches = None if running.traces is None else running.traces.batches
    if ledger.first_failure is not None:
        say(f"first answer that was not 202: {ledger.first_failure}")


def _check_landed(found: DoorMeasurement, folder: Path, run: str, made: int, ledger: Ledger) -> None:
    landed = count_landed(folder / "data" / "landing", run, made, np.empty(0, np.int64))
    # A request without an acknowledgement may have been taken or not: its events are neither lost nor expected.
    firsts = np.array(ledger.unacknowledged, np.int64)
    unacknowledged = (firsts[:, None] + np.arange(found.batch)).ravel()
    found.landed_rows, found.doubled = landed.rows, landed.doubled
    found.lost = len(np.setdiff1d(landed.missing, unacknowledged))


def _missed(found: DoorMeasurement) -> list[str]:
    if found.server is not Server.PLATFORM:
        return []
    missed = []

    def expect(holds: bool, text: str) -> None:
        if not holds:
            missed.append(text)

    reached, wanted = found.acknowledged_eps or 0, found.target_eps or SATURATED_EPS
    least = wanted * REACHED if found.target_eps else wanted
    expect(reached >= least, f"acknowledged_eps: {reached:,.0f}, wanted at least {least:,.0f}")
    alone = found.landed_rows is None
    if alone and found.target_eps is not None and found.latency_ms and found.target_eps <= SATURATED_EPS // 2:
        p99 = found.latency_ms.p99
        expect(p99 < P99_AT_HALF_MS, f"latency_ms.p99: {p99:.1f}, wanted below {P99_AT_HALF_MS:.0f}")
    if found.target_eps is not None and found.health_ms is not None:
        p99 = found.health_ms.p99
        expect(p99 < HEALTH_P99_MS, f"health_ms.p99: {p99:.1f}, wanted below {HEALTH_P99_MS:.0f}")
    expect(bool(found.trace_batches), "no trace came, so the door was measured without")
    expect(not found.lost, f"lost: {found.lost}")
    expect(not found.doubled, f"doubled: {found.doubled}")
    refused = {status: count for status, count in found.statuses.items() if status != "202"}
    expect(not refused, f"answers other than 202: {refused}")
    return missed
