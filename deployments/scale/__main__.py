"""`python -m deployments.scale`: 100 million events, and whether a day costs at the end what it did at first."""

import argparse
import datetime as dt
import signal
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import FrameType

import duckdb

from deployments.scale.platform_step import StepFailed
from deployments.scale.plots import as_picture, on_terminal
from deployments.scale.report import Report, encode_report, summarise
from deployments.scale.sales import Shop
from deployments.scale.session import Run, execute
from resources.settings.console import err, out
from resources.warehouse.reference_loads import SourceMissing
from streaming.benchmark.machine import describe_machine, describe_versions

EXAMPLES = """examples:
  python -m deployments.scale
      100 million events of 100 days in 20 steps, beside bare DuckDB; half an hour on two cores, 60 GB of disk
  python -m deployments.scale --events 5000000 --days 50 --step-days 5
      a small one: three minutes
  python -m deployments.scale --folder /tmp/scale --keep --no-bare
      keeps the landing files and the warehouse; a second run makes no files anew

exit code: 0 all targets met; 1 a target missed, an event lost or doubled, or the run failed; 2 a wrong argument."""

SHOWN = (
    "made_events_per_s", "events_per_s", "loaded_per_s", "peak_rss_mb",
    "ratio", "work_ratio", "cpu_ratio", "load_growth", "build_growth", "growth",
)  # fmt: skip


def main() -> int:
    """Make, load, build and compare; returns the exit code."""
    # A supervisor's SIGTERM ends the run as Ctrl-C does: with a report, and without files that nobody keeps.
    signal.signal(signal.SIGTERM, _interrupt)
    parser = _parser()
    options = parser.parse_args()
    if options.keep and options.folder is None:
        parser.error("--keep needs --folder: a temporary folder is gone with the run")
    shop = Shop(events=options.events, days=options.days, households=options.households, first_day=options.first_day)
    report = Report(
        shop=shop, machine=describe_machine(), versions=describe_versions() | {"duckdb": duckdb.__version__}
    )
    try:
        execute(report, Run(options.step_days, not options.no_bare, options.folder, options.keep))
    except (StepFailed, SourceMissing, BrokenProcessPool, duckdb.Error, OSError) as error:
        report.error = f"{type(error).__name__}: {error}"
    except KeyboardInterrupt:
        report.error = "interrupted"
    finally:
        summarise(report)
        if options.json is not None:
            options.json.write_bytes(encode_report(report))
    if options.plot is not None and report.steps:
        as_picture(report.steps, options.plot)
    _print(report)
    return int(not report.passed)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m deployments.scale",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--events", type=_positive, default=100_000_000, metavar="N", help="distinct events (100M)")
    parser.add_argument("--days", type=_positive, default=100, metavar="N", help="days that they arrive on (100)")
    parser.add_argument("--step-days", type=_positive, default=5, metavar="N", help="days of a load and a build (5)")
    parser.add_argument("--households", type=_positive, default=500_000, metavar="N", help="who buys (500,000)")
    parser.add_argument("--first-day", type=dt.date.fromisoformat, default=dt.date(2026, 1, 1), metavar="DATE")
    parser.add_argument("--no-bare", action="store_true", help="leave out the comparison with bare DuckDB")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="where the files are made (a temporary folder)")
    parser.add_argument("--keep", action="store_true", help="keep what was made; the next run with --folder uses it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report here, also when something failed")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="write the plot here")
    return parser


def _positive(text: str) -> int:
    number = int(text.replace("_", ""))
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number


def _print(report: Report) -> None:
    if report.steps:
        out.print(on_terminal(report.steps), markup=False)
    for name in SHOWN:
        value = getattr(report, name)
        out.print(f"{name:<19}{'-' if value is None else format(value, ',.2f')}", markup=False)
    if report.counting is not None:
        out.print(f"{'counting':<19}{'right' if report.counting.is_right else 'WRONG'}", markup=False)
    for text in report.missed:
        err.print(f"MISSED {text}", markup=False)
    if report.error is not None:
        err.print(report.error, markup=False)


if __name__ == "__main__":
    sys.exit(main())
