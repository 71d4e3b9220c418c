"""`python -m deployments.readers`: how soon metrics are answered while the warehouse is built and published."""

import argparse
import sys
from pathlib import Path

import msgspec

from deployments.readers.measurement import ReadersReport, measure
from resources.settings.console import err, out
from resources.warehouse.dbt_build import BuildFailed
from streaming.benchmark.processes import ProcessFailed

EXAMPLES = """examples:
  python -m deployments.readers
      the demo's 1.47 million lines, 8 readers with 100 questions a second, beside 4 builds: some minutes
  python -m deployments.readers --cache-mb 0
      every question is a query

exit code: 0 no lock error, no wrong answer, p99 below 20 ms; 1 a target missed, or it failed; 2 a wrong argument."""


def main() -> int:
    """Run the measurement that the arguments ask for; returns the exit code."""
    options = _parser().parse_args()
    report = ReadersReport(
        readers=options.readers, a_second=options.rate, cache_mb=options.cache_mb, niceness=options.nice
    )
    try:
        with err.status("starting") as status:
            measure(report, mode=options.data, builds=options.builds, quiet_s=options.quiet, say=status.update)
    except (ProcessFailed, BuildFailed, OSError) as error:
        report.error = f"{type(error).__name__}: {error}"
        err.print(report.error, markup=False)
    finally:
        if options.json is not None:
            options.json.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    _print(report)
    return int(report.error is not None or bool(report.missed))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m deployments.readers",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", choices=("full", "sample"), default="full", help="all households, or the first 100")
    parser.add_argument("--readers", type=int, default=8, metavar="N", help="connections that ask (8)")
    parser.add_argument("--rate", type=float, default=100, metavar="N", help="questions a second, all together (100)")
    parser.add_argument("--builds", type=int, default=4, metavar="N", help="builds beside the readers (4)")
    parser.add_argument("--quiet", type=float, default=20, metavar="S", help="seconds without builds, before (20)")
    parser.add_argument("--cache-mb", type=int, default=32, metavar="N", help="the API's cache; 0 is none (32)")
    parser.add_argument("--nice", type=int, default=0, metavar="N", help="niceness of the builds (0)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report here, also when something failed")
    return parser


def _print(report: ReadersReport) -> None:
    heading = ("answers", "p50 ms", "p99 ms", "max ms", "health ms", "versions", "wrong")
    lines = [f"{'phase':<14}" + "".join(f"{name:>11}" for name in heading)]
    for found in report.readings:
        latency, health = found.latency_ms, found.health_ms
        cells = (
            f"{sum(found.statuses.values()):,}",
            *(["-"] * 3 if latency is None else [f"{value:.1f}" for value in (latency.p50, latency.p99, latency.max)]),
            "-" if health is None else f"{health.p99:.1f}",
            str(found.versions),
            str(found.wrong + found.unknown_version),
        )
        lines.append(f"{found.phase:<14}" + "".join(f"{cell:>11}" for cell in cells))
    lines += [
        f"build: load {build.load_s:.1f} s, dbt {build.dbt_s:.1f} s, publish {build.publish_s:.2f} s "
        f"({build.copied_mb:.1f} MB of {build.rows:,} rows copied)"
        for build in report.builds
    ]
    lines.append(f"lock errors {len(report.lock_errors)}, API at most {report.api_peak_rss_mb or 0:.0f} MB")
    out.print("\n".join(lines), markup=False)
    for text in report.missed:
        err.print(f"MISSED {text}", markup=False)


if __name__ == "__main__":
    sys.exit(main())
