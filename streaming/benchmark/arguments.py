"""The command line: what is measured, of which engine, under which load."""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from streaming.benchmark.load import MOST_USERS
from streaming.benchmark.platform_worker import Duties

EXAMPLES = """\
examples:
  python -m streaming.benchmark
      the full report: throughput, latency at three rates, stress, a kill, and what the worker can do at most
  python -m streaming.benchmark --test-type throughput --target-eps 100000 --duration 60
  python -m streaming.benchmark --test-type latency --duration 60 --json latency.json
  python -m streaming.benchmark --test-type stress --peak-load 150000
  python -m streaming.benchmark --test-type recovery
  python -m streaming.benchmark --test-type capacity --duties windows
  python -m streaming.benchmark --engine platform faust quix bytewax pathway
      the same job on each, over the same events (`make bench-peers` installs the peers first)

exit code: 0 all targets met; 1 a target missed, an event lost or doubled, a window wrong, or the run failed;
2 a wrong argument; 130 after Ctrl-C. The JSON file is written in every case but a wrong argument.
"""


class TestType(StrEnum):
    """One kind of measurement."""

    __test__ = False  # not a test of ours, whatever its name says to pytest

    THROUGHPUT = "throughput"
    LATENCY = "latency"
    STRESS = "stress"
    RECOVERY = "recovery"
    CAPACITY = "capacity"


class Engine(StrEnum):
    """Who runs the job."""

    PLATFORM = "platform"
    FAUST = "faust"
    QUIX = "quix"
    BYTEWAX = "bytewax"
    PATHWAY = "pathway"


@dataclass(frozen=True, kw_only=True)
class Options:
    """The arguments. `test_type` None is the full report; None elsewhere is that measurement's own default."""

    test_type: TestType | None = None
    engines: tuple[Engine, ...] = (Engine.PLATFORM,)
    duties: Duties = Duties.ALL
    target_eps: int | None = None
    duration_s: float | None = None
    warmup_s: float = 2.0
    peak_load: int = 150_000
    events: int | None = None
    users: int | None = None
    duplicate_share: float = 0.001
    bootstrap: str | None = None
    json: Path | None = None
    peers_python: Path = Path(".venv-peers/bin/python")
    plot: bool = True


def parse_arguments(arguments: Sequence[str]) -> Options:
    """Read the command line. Exits with 2 and a usage line where it is wrong."""
    parser = _parser()
    found = parser.parse_args(arguments)
    options = Options(
        test_type=found.test_type,
        engines=tuple(dict.fromkeys(found.engine)),
        duties=found.duties,
        target_eps=found.target_eps,
        duration_s=found.duration,
        warmup_s=found.warmup,
        peak_load=found.peak_load,
        events=found.events,
        users=found.users,
        duplicate_share=found.duplicate_share,
        bootstrap=found.bootstrap,
        json=found.json,
        peers_python=found.peers_python,
        plot=found.plot,
    )
    if options.engines != (Engine.PLATFORM,):
        if options.test_type not in (None, TestType.CAPACITY):
            parser.error(
                f"--engine {' '.join(options.engines)} goes with --test-type capacity only: the peers are compared "
                "over a topic that was filled before."
            )
        options = Options(**{**vars(options), "test_type": TestType.CAPACITY, "duties": Duties.WINDOWS})
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m streaming.benchmark",
        description="Measures the streaming tier, and checks every result against what was sent.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--test-type",
        type=TestType,
        choices=list(TestType),
        metavar="{" + ",".join(TestType) + "}",
        help="throughput, latency, stress and recovery are paced, open loop; half-way through recovery the worker is "
        "killed and started again; capacity reads a topic that was filled before; without it all of them run",
    )
    parser.add_argument(
        "--target-eps",
        type=_positive(int),
        metavar="N",
        help="events a second to send (throughput and recovery: 100,000; latency: 20,000, 50,000 and 100,000 in turn); "
        "for capacity the rate to reach",
    )
    parser.add_argument(
        "--duration",
        type=_positive(float),
        metavar="S",
        help="seconds of load per measurement, warm-up excluded (60; in the full report 30, 3 x 20, 60 and 60)",
    )
    parser.add_argument("--peak-load", type=_positive(int), default=150_000, metavar="N", help="stress: highest rate")
    parser.add_argument(
        "--engine",
        type=Engine,
        choices=list(Engine),
        nargs="+",
        default=[Engine.PLATFORM],
        metavar="{" + ",".join(Engine) + "}",
        help="one engine or several to compare; any but the platform alone is a capacity test of windows only",
    )
    parser.add_argument(
        "--duties",
        type=Duties,
        choices=list(Duties),
        default=Duties.ALL,
        metavar="{windows,all}",
        help="windows: neither deduplication nor landing, as the peers (default: all)",
    )
    parser.add_argument(
        "--events", type=_positive(int), metavar="N", help="capacity: events to fill in (1,000,000; stock Faust 60,000)"
    )
    parser.add_argument(
        "--users",
        type=_positive(int, MOST_USERS),
        metavar="N",
        help="different users, each with a window of its own in every minute (5,000; recovery 50,000)",
    )
    parser.add_argument(
        "--warmup", type=_positive(float), default=2.0, metavar="S", help="seconds of load before measuring (2)"
    )
    parser.add_argument(
        "--duplicate-share",
        type=_share,
        default=0.001,
        metavar="F",
        help="events that are sent twice; 0 where nothing deduplicates (0.001)",
    )
    parser.add_argument(
        "--bootstrap",
        metavar="HOST:PORT",
        help="a Kafka to use instead of an own broker; its topics must be empty, and are removed afterwards",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report here, also when something failed")
    parser.add_argument(
        "--peers-python",
        type=Path,
        default=Options.peers_python,
        metavar="FILE",
        help="the interpreter of the peers' environment (.venv-peers/bin/python)",
    )
    parser.add_argument("--no-plot", dest="plot", action="store_false", help="leave the plots out")
    return parser


def _positive(kind: type[int] | type[float], most: float = math.inf) -> "type[int] | type[float]":
    def read(text: str) -> float:
        value = kind(text)
        if value <= 0:
            raise argparse.ArgumentTypeError(f"{text} is not more than 0")
        if value > most:
            raise argparse.ArgumentTypeError(f"{text} is more than {most:,}")
        return value

    read.__name__ = kind.__name__  # argparse names it in "invalid int value"
    return read  # type: ignore[return-value]


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 0.5:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 0.5")
    return value
