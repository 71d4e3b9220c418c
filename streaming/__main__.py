"""`python -m streaming [worker]`: the worker process, set up by `ANALYTICS_*` variables."""

import argparse
import sys

from resources.settings import SettingsError, load_settings
from streaming.worker import CannotStart, configure_logging, run


def main() -> int:
    """Run the worker; returns the exit code where it could not start."""
    parser = argparse.ArgumentParser(prog="python -m streaming", description=__doc__)
    parser.add_argument("command", nargs="?", choices=["worker"], default="worker")
    parser.parse_args()
    configure_logging()
    try:
        run(load_settings())
    except (CannotStart, SettingsError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
