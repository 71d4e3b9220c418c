"""Readers on a quiet API, then while builds and publications go on, and whether each answer was right."""

import asyncio
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from deployments.local.demo.state import Mode
from deployments.readers.builds import Answers, Build, DemoWarehouse, Finished, LaterBuilds, build_the_rest
from deployments.readers.questions import Question, questions
from deployments.readers.reading import Readings, read
from resources.settings import Settings
from streaming.benchmark.cluster import free_port
from streaming.benchmark.latency import Percentiles, percentiles
from streaming.benchmark.processes import (
    ChildProcess,
    Reporter,
    answers_ok,
    child_process,
    own_environment,
    reporter,
)

P99_MS = 20.0
HEALTH_P99_MS = 50.0
READY_S = 60.0
_LAST_LOOK_S = 2.0


class Reading(msgspec.Struct, kw_only=True):
    """What readers met in one phase. Latency is from the time at which a question should have been asked."""

    phase: str
    statuses: dict[str, int]
    latency_ms: Percentiles | None
    health_ms: Percentiles | None
    versions: int
    wrong: int
    unknown_version: int
    lost_connections: int


class BuildTimes(msgspec.Struct, kw_only=True):
    """One build beside the readers."""

    load_s: float
    dbt_s: float
    publish_s: float
    copied_mb: float
    rows: int


class ReadersReport(msgspec.Struct, kw_only=True):
    """What a run showed. `lock_errors` are the lines of the API's log that speak of a lock; a build that
    met one would fail."""

    readers: int
    a_second: float
    cache_mb: int
    niceness: int
    questions: int = 0
    readings: list[Reading] = []
    builds: list[BuildTimes] = []
    lock_errors: list[str] = []
    api_peak_rss_mb: float | None = None
    missed: list[str] = []
    error: str | None = None


def measure(
    report: ReadersReport,
    *,
    mode: Mode,
    builds: int,
    quiet_s: float,
    say: Callable[[str], None],
) -> None:
    """Run everything and fill in the report.

    Raises:
        ProcessFailed: the API ended or did not get ready.
        BuildFailed: dbt failed.
    """
    asked = questions()
    report.questions = len(asked)
    with tempfile.TemporaryDirectory(prefix="readers-") as name:
        folder = Path(name)
        settings = Settings(data_dir=folder / "data")
        say("building the demo's warehouse")
        built = [DemoWarehouse(settings, mode, later_days=builds).build(asked, say)]
        with _api(settings, folder / "api.log", report.cache_mb) as (api, port):
            say("reading while nothing is built")
            quiet = asyncio.run(_read_quietly(port, asked, report, quiet_s))
            with reporter(
                "builds", build_the_rest, settings, LaterBuilds(mode, builds, report.niceness), asked
            ) as builder:
                beside, later = asyncio.run(_read_beside(builder, port, asked, report, say))
            report.api_peak_rss_mb = api.peak_rss_mb()
        built += later
        report.builds = [_times(build) for build in built]
        truths = {build.snapshot.version: build.answers for build in built}
        report.readings = [_judged("quiet", quiet, truths), _judged("beside builds", beside, truths)]
        log = (folder / "api.log").read_text().splitlines()
        report.lock_errors = [line for line in log if "lock" in line.lower()]
    report.missed = _missed(report)


@contextmanager
def _api(settings: Settings, log: Path, cache_mb: int) -> Iterator[tuple[ChildProcess, int]]:
    port = free_port()
    # No broker: /health and metrics need none, and it would take part in the result.
    environment = own_environment(
        DATA_DIR=str(settings.root),
        API__PORT=str(port),
        METRICS__CACHE_MB=str(cache_mb),
        KAFKA__BOOTSTRAP_SERVERS="127.0.0.1:1",
    )
    with child_process("API", [sys.executable, "-m", "api"], log, environment) as api:
        api.wait_until(lambda: answers_ok(f"http://127.0.0.1:{port}/health"), READY_S, "ready")
        yield api, port


async def _read_quietly(port: int, asked: list[Question], report: ReadersReport, seconds: float) -> Readings:
    # The first question imports DuckDB, which is of a start and not of the readers.
    await _read_for(2, port, asked, Readings(), readers=1, a_second=20)
    readings = Readings()
    await _read_for(seconds, port, asked, readings, readers=report.readers, a_second=report.a_second)
    return readings


async def _read_for(
    seconds: float, port: int, asked: list[Question], readings: Readings, *, readers: int, a_second: float
) -> None:
    until = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, until.set)
    await read(port, asked, readers=readers, a_second=a_second, until=until, readings=readings)


async def _read_beside(
    builder: Reporter, port: int, asked: list[Question], report: ReadersReport, say: Callable[[str], None]
) -> tuple[Readings, list[Build]]:
    readings, until, builds = Readings(), asyncio.Event(), list[Build]()

    async def follow() -> None:
        try:
            while not until.is_set():
                for told in builder.received():
                    if isinstance(told, Build):
                        builds.append(told)
                        say(
                            f"reading beside builds: {len(builds)} done, {readings.latency.get_total_count():,} answers"
                        )
                    elif isinstance(told, Finished):
                        await asyncio.sleep(_LAST_LOOK_S)
                        until.set()
                await asyncio.sleep(0.2)
        finally:
            until.set()

    following = asyncio.create_task(follow())
    await read(port, asked, readers=report.readers, a_second=report.a_second, until=until, readings=readings)
    await following
    return readings, builds


def _judged(phase: str, readings: Readings, truths: dict[str, Answers]) -> Reading:
    wrong = unknown = 0
    for (version, path, rows), count in readings.answers.items():
        if version not in truths:
            unknown += count
        elif truths[version][path] != rows:
            wrong += count
    return Reading(
        phase=phase,
        statuses={str(status): count for status, count in sorted(readings.statuses.items())},
        latency_ms=percentiles(readings.latency),
        health_ms=percentiles(readings.health),
        versions=len({version for version, _, _ in readings.answers}),
        wrong=wrong,
        unknown_version=unknown,
        lost_connections=readings.lost,
    )


def _times(build: Build) -> BuildTimes:
    return BuildTimes(
        load_s=round(build.load_s, 2),
        dbt_s=round(build.dbt_s, 2),
        publish_s=round(build.publish_s, 3),
        copied_mb=round(build.copied_bytes / 1e6, 1),
        rows=sum(table.rows for table in build.snapshot.tables.values()),
    )


def _missed(report: ReadersReport) -> list[str]:
    missed = [f"lock errors: {len(report.lock_errors)}"] if report.lock_errors else []
    for reading in report.readings:
        others = {status: count for status, count in reading.statuses.items() if status != "200"}
        wrong = reading.wrong + reading.unknown_version
        for holds, text in (
            (not others, f"answers other than 200: {others}"),
            (not wrong, f"wrong answers: {wrong}"),
            (not reading.lost_connections, f"lost connections: {reading.lost_connections}"),
            (_p99(reading.latency_ms) < P99_MS, f"p99: {_p99(reading.latency_ms):.1f} ms, wanted below {P99_MS:.0f}"),
            (_p99(reading.health_ms) < HEALTH_P99_MS, f"/health p99: {_p99(reading.health_ms):.1f} ms"),
        ):
            if not holds:
                missed.append(f"{reading.phase}: {text}")
    return missed


def _p99(found: Percentiles | None) -> float:
    return found.p99 if found is not None else float("inf")
