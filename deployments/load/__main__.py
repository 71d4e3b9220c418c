"""`python -m deployments.load`: how many events the front door acknowledges, and how soon."""

import argparse
import sys
from pathlib import Path

import msgspec

from deployments.load.measurement import DoorMeasurement, DoorReport, measure
from deployments.load.servers import Server
from resources.settings.console import err, out
from streaming.benchmark.cluster import ClusterUnusable
from streaming.benchmark.machine import describe_machine, describe_versions
from streaming.benchmark.processes import ProcessFailed

SATURATING = 16
PACED = 64
"""With 16 a schedule of 500 requests a second slips as soon as they take 32 ms: the load measured itself."""

EXAMPLES = """examples:
  python -m deployments.load
      saturated, at half the target, with the worker behind it, and plain FastAPI for comparison: three minutes
  python -m deployments.load --eps 50000 --duration 60 --worker
      the whole way to the landing files, every event counted
  python -m deployments.load --server platform fastapi --eps 0
      as many as each takes

exit code: 0 all targets met; 1 a target missed, an event lost or doubled, or the run failed; 2 a wrong argument."""


def main() -> int:
    """Run the measurements that the arguments ask for; returns the exit code."""
    options = _parser().parse_args()
    report = DoorReport(measurements=[], machine=describe_machine(), versions=describe_versions())
    try:
        for found, with_worker in _planned(options):
            report.measurements.append(found)
            rate = f"{found.target_eps:,}/s" if found.target_eps else "saturated"
            name = f"{found.server} {rate}{' with worker' if with_worker else ''}"
            _measure(found, name, options, with_worker=with_worker)
            out.print(f"{name}: {'MISSED ' + '; '.join(found.missed) if found.missed else 'done'}", markup=False)
    except (ProcessFailed, ClusterUnusable) as error:
        report.error = str(error)
        err.print(str(error), markup=False)
    finally:
        if options.json is not None:
            options.json.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    _print(report)
    return int(report.error is not None or any(found.missed for found in report.measurements))


def _measure(found: DoorMeasurement, name: str, options: argparse.Namespace, *, with_worker: bool) -> None:
    with err.status(name) as status:
        measure(
            found,
            bootstrap=options.bootstrap,
            with_worker=with_worker,
            warmup_s=options.warmup,
            say=lambda text: status.update(f"{name}: {text}"),
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m deployments.load",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--server", type=Server, nargs="+", choices=list(Server), help="default: both, for comparison")
    parser.add_argument("--eps", type=int, metavar="N", help="events a second to send; 0 is as many as are answered")
    parser.add_argument(
        "--duration", type=float, default=20, metavar="S", help="seconds of load after the warm-up (20)"
    )
    parser.add_argument("--warmup", type=float, default=3, metavar="S", help="seconds of load before measuring (3)")
    parser.add_argument("--batch", type=int, default=100, metavar="N", help="events in a request (100)")
    parser.add_argument(
        "--connections", type=int, metavar="N",
        help=f"requests under way at most ({SATURATING}, and {PACED} where --eps sets the pace)",
    )  # fmt: skip
    parser.add_argument("--worker", action="store_true", help="run the stream worker too and count what landed")
    parser.add_argument("--bootstrap", metavar="HOST:PORT", help="a Kafka to use instead of an own broker")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report here, also when something failed")
    return parser


def _planned(options: argparse.Namespace) -> list[tuple[DoorMeasurement, bool]]:
    def one(server: Server, eps: int | None) -> DoorMeasurement:
        return DoorMeasurement(
            server=server,
            target_eps=eps or None,
            batch=options.batch,
            duration_s=options.duration,
            connections=options.connections or (PACED if eps else SATURATING),
        )

    if options.eps is not None or options.worker:
        servers = options.server or [Server.PLATFORM]
        return [(one(server, options.eps), options.worker) for server in servers]
    plan = [(one(server, None), False) for server in options.server or list(Server)]
    if options.server in (None, [Server.PLATFORM]):
        plan += [(one(Server.PLATFORM, 50_000), False), (one(Server.PLATFORM, 50_000), True)]
    return plan


def _print(report: DoorReport) -> None:
    heading = ("target/s", "acked/s", "p50 ms", "p99 ms", "health ms", "µs CPU", "peak MB", "landed", "lost", "twice")
    lines = [f"{'server':<9}" + "".join(f"{name:>11}" for name in heading)]
    for found in report.measurements:
        cells = (
            f"{found.target_eps:,}" if found.target_eps else "all",
            _text(found.acknowledged_eps, ",.0f"),
            _text(found.latency_ms.p50 if found.latency_ms else None, ".1f"),
            _text(found.latency_ms.p99 if found.latency_ms else None, ".1f"),
            _text(found.health_ms.p99 if found.health_ms else None, ".1f"),
            _text(found.api_cpu_us_per_event, ".1f"),
            _text(found.api_peak_rss_mb, ".0f"),
            _text(found.landed_rows, ","),
            _text(found.lost, ","),
            _text(found.doubled, ","),
        )
        lines.append(f"{found.server:<9}" + "".join(f"{cell:>11}" for cell in cells))
    out.print("\n".join(lines), markup=False)
    for found in report.measurements:
        for text in found.missed:
            err.print(f"MISSED {found.server} {found.target_eps or 'saturated'}: {text}", markup=False)


def _text(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


if __name__ == "__main__":
    sys.exit(main())
