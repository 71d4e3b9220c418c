"""What every job shares: its arguments, and the form of its result. Needs the standard library only."""

import argparse
import datetime as dt
import importlib.metadata
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

WINDOW = dt.timedelta(minutes=1)
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Arguments:
    """Where the events are and how many; a group of its own, a scratch folder, and the file for the result."""

    bootstrap: str
    topic: str
    partitions: int
    events: int
    group: str
    output: Path
    folder: Path


@dataclass
class Clock:
    """When the first event reached the job's own code, and when the last one was in its result."""

    first_s: float = field(default=0.0)
    last_s: float = field(default=0.0)

    def tick(self) -> None:
        """Note that an event is here now."""
        self.last_s = time.time()
        if not self.first_s:
            self.first_s = self.last_s


def parse_arguments() -> Arguments:
    """Read the command line that the benchmark gives a job."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--partitions", type=int, required=True)
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    return Arguments(**vars(parser.parse_args()))


def occurred_ms(text: str) -> int:
    """An event's time in milliseconds since the epoch."""
    return int(dt.datetime.fromisoformat(text).timestamp() * 1000)


def write_result(
    output: Path,
    clock: Clock,
    windows: Mapping[tuple[str, int], tuple[int, float]],
    packages: list[str],
    untimed: int = 0,
) -> None:
    """Write count and sum by (user, start of the minute in ms); the file is there when it is whole.

    `untimed` events were in a result already when the clock was started.
    """
    document = {
        "first_s": clock.first_s,
        "last_s": clock.last_s,
        "untimed": untimed,
        "windows": [[user, start_ms, count, total] for (user, start_ms), (count, total) in windows.items()],
        "versions": {package: importlib.metadata.version(package) for package in packages},
    }
    temporary = output.with_suffix(".tmp")
    temporary.write_text(json.dumps(document))
    temporary.replace(output)
