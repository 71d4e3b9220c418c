"""`python -m streaming.benchmark`: see `--help`."""

import signal
import sys
from types import FrameType

from streaming.benchmark.arguments import parse_arguments
from streaming.benchmark.session import run


def main() -> int:
    """Measure, and return the exit code."""
    options = parse_arguments(sys.argv[1:])
    # A supervisor's SIGTERM ends the run as Ctrl-C does: in order, and with a report.
    signal.signal(signal.SIGTERM, _interrupt)
    return run(options)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
