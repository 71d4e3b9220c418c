"""`python -m streaming [worker|scorer]`: one process of the streaming tier, set up by `ANALYTICS_*` variables."""

import argparse
import sys

from resources.settings import SettingsError, load_settings
from streaming.worker import CannotStart, configure_logging, run


def main() -> int:
    """Run the process; returns the exit code where it could not start."""
    parser = argparse.ArgumentParser(prog="python -m streaming", description=__doc__)
    parser.add_argument("command", nargs="?", choices=["worker", "scorer"], default="worker")
    command = parser.parse_args().command
    configure_logging()
    try:
        if command == "scorer":
            from streaming.scoring.process import run_scorer  # the worker has nothing to do with it

            run_scorer(load_settings())
        else:
            run(load_settings())
    except (CannotStart, SettingsError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
