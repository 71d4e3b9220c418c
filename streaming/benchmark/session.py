"""A whole run of the benchmark: its measurements one after another, and a report that is written whatever happens."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from resources.settings.console import err, out
from streaming.benchmark.arguments import Engine, Options, TestType
from streaming.benchmark.capacity import PeersMissing, default_events, measure_capacity
from streaming.benchmark.cluster import ClusterUnusable, describe_broker
from streaming.benchmark.load import USERS
from streaming.benchmark.log_reading import LogNotReadable
from streaming.benchmark.machine import describe_machine, describe_versions
from streaming.benchmark.paced import Say, measure_paced, steady, to_the_peak
from streaming.benchmark.platform_worker import Duties
from streaming.benchmark.plot import plot_run, table_of
from streaming.benchmark.processes import ProcessFailed
from streaming.benchmark.report import Measurement, Report, encode_report
from streaming.benchmark.targets import missed_side_by_side, missed_targets

THROUGHPUT_EPS = 100_000
LATENCY_EPS = (20_000, 50_000, 100_000)
DURATION_S = 60.0
REPORT_THROUGHPUT_S, REPORT_LATENCY_S, REPORT_STRESS_S, REPORT_RECOVERY_S = 30.0, 20.0, 60.0, 60.0
RECOVERY_USERS = 50_000
INTERRUPTED = 130


@dataclass(frozen=True)
class Planned:
    """One measurement to make. `eps` is the rate to send, for capacity the one to reach."""

    engine: Engine
    test_type: TestType
    duties: Duties
    eps: int | None
    duration_s: float = 0.0
    users: int = USERS


def plan(options: Options) -> list[Planned]:
    """The measurements that the arguments ask for, in order."""
    if options.test_type is not None:
        return list(_of_type(options, options.test_type, options.duration_s or DURATION_S))
    durations = {
        TestType.THROUGHPUT: REPORT_THROUGHPUT_S,
        TestType.LATENCY: REPORT_LATENCY_S,
        TestType.STRESS: REPORT_STRESS_S,
        TestType.RECOVERY: REPORT_RECOVERY_S,
        TestType.CAPACITY: 0.0,
    }
    return [
        planned
        for test_type, duration_s in durations.items()
        for planned in _of_type(options, test_type, options.duration_s or duration_s)
    ]


def _of_type(options: Options, test_type: TestType, duration_s: float) -> Iterator[Planned]:
    users = options.users or (RECOVERY_USERS if test_type is TestType.RECOVERY else USERS)

    def planned(eps: int | None, engine: Engine = Engine.PLATFORM, duties: Duties = options.duties) -> Planned:
        return Planned(engine, test_type, duties, eps, duration_s, users)

    if test_type in (TestType.THROUGHPUT, TestType.RECOVERY):
        yield planned(options.target_eps or THROUGHPUT_EPS)
    elif test_type is TestType.LATENCY:
        for eps in (options.target_eps,) if options.target_eps else LATENCY_EPS:
            yield planned(eps)
    elif test_type is TestType.STRESS:
        yield planned(options.peak_load)
    elif options.test_type is None:
        for every in Duties:
            yield planned(None, duties=every)
    else:
        for engine in options.engines:
            yield planned(options.target_eps, engine)


def run(options: Options) -> int:
    """Make every measurement, show and write the report; returns the exit code.

    A measurement that fails does not keep the others from being made, unless there is no broker to make them on.
    """
    versions = describe_versions() | {"broker": describe_broker(options.bootstrap)}
    report = Report(machine=describe_machine(), versions=versions)
    planned = plan(options)
    try:
        for number, each in enumerate(planned, start=1):
            _measure(report, each, options, f"[{number}/{len(planned)}] ")
        report.missed = missed_side_by_side(report.measurements)
    except ClusterUnusable as error:
        report.error = str(error)
    except KeyboardInterrupt:
        report.interrupted = True
        err.print("Interrupted; everything that was started has ended.")
    finally:
        if options.json is not None:
            options.json.parent.mkdir(parents=True, exist_ok=True)
            options.json.write_bytes(encode_report(report))
    out.print(table_of(report.measurements), markup=False)
    for text in [*_misses(report), *(f"side by side: {text}" for text in report.missed)]:
        out.print(f"MISSED {text}", markup=False)
    if report.interrupted:
        return INTERRUPTED
    return 0 if report.passed else 1


def _misses(report: Report) -> Iterator[str]:
    for found in report.measurements:
        name = f"{found.engine} {found.test_type} {found.target_eps or ''}".strip()
        yield from (f"{name}: {text}" for text in found.missed)


def _measure(report: Report, planned: Planned, options: Options, prefix: str) -> None:
    found = Measurement(
        engine=planned.engine,
        test_type=planned.test_type,
        duties=planned.duties,
        target_eps=planned.eps,
        users=planned.users,
    )
    if planned.test_type is TestType.STRESS:
        found.knee_eps = found.recovery_s = None
    elif planned.test_type is TestType.RECOVERY:
        found.resumed_s = found.recovery_s = None
    report.measurements.append(found)
    name = f"{prefix}{planned.engine} {planned.test_type}" + (f" {planned.eps:,}/s" if planned.eps else "")
    try:
        with _progress(name) as say, tempfile.TemporaryDirectory(prefix="streaming-benchmark-") as folder:
            plots = _run(report, planned, options, Path(folder), say)
        found.missed = missed_targets(found)
    except (ProcessFailed, ClusterUnusable, LogNotReadable, PeersMissing) as error:
        found.error = str(error)
        err.print(f"{name} failed: {error}", markup=False)
        if isinstance(error, ClusterUnusable):
            raise
    except BaseException as error:
        found.error = "interrupted" if isinstance(error, KeyboardInterrupt) else repr(error)
        raise
    else:
        out.print(f"{name}: {'passed' if found.passed else 'MISSED ' + '; '.join(found.missed)}", markup=False)
        if options.plot and plots:
            out.print(plots, markup=False)


def _run(report: Report, planned: Planned, options: Options, folder: Path, say: Say) -> str:
    found = report.measurements[-1]
    if planned.test_type is TestType.CAPACITY:
        report.versions |= measure_capacity(
            found,
            options.events or default_events(planned.engine),
            bootstrap=options.bootstrap,
            duplicate_share=options.duplicate_share,
            peers_python=options.peers_python,
            folder=folder,
            say=say,
        )
        return ""
    eps = planned.eps or THROUGHPUT_EPS
    shape = to_the_peak if planned.test_type is TestType.STRESS else steady
    paced = measure_paced(
        found,
        shape(eps, planned.duration_s, options.warmup_s),
        bootstrap=options.bootstrap,
        duplicate_share=options.duplicate_share,
        folder=folder,
        say=say,
    )
    return plot_run(found, paced)


@contextmanager
def _progress(name: str) -> Iterator[Say]:
    """A line that is overwritten on a terminal; anywhere else it is written once, at the start."""
    if not err.is_terminal:
        err.print(name, markup=False)
        yield lambda _: None
        return
    with err.status(name) as status:
        yield lambda text: status.update(f"{name}: {text}")
