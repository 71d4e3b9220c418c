"""Landing files against the ledger, event by event."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from platform_assets.contracts.landing import LandingFile
from platform_assets.contracts.topics import EVENTS
from resources.landing_zone import LandingZone
from streaming.benchmark.landed import count_landed

RUN = "0b0e0000-0000-4000-8000-"


def land(root: Path, *files: list[int], run: str = RUN) -> None:
    zone = LandingZone(root)
    for partition, numbers in enumerate(files):
        table = pa.table({"event_id": [f"{run}{number:012d}" for number in numbers]})
        zone.write(table, LandingFile(EVENTS.name, "log", partition, 0, max(0, len(numbers) - 1)))


@pytest.mark.parametrize(
    ("files", "lost", "doubled"),
    [
        (([0, 1, 2, 0], [3, 4]), 0, 0),
        (([0, 1, 2], [3, 4]), 1, 0),
        (([0, 1, 2, 0], [3]), 1, 0),
        (([0, 1, 2, 0], [3, 4, 4, 4]), 0, 2),
        (([0, 1, 2, 0], [3, 4, 99]), 0, 1),
    ],
)
def test_copies_are_counted_against_those_that_were_sent(
    tmp_path: Path, files: tuple[list[int], ...], lost: int, doubled: int
) -> None:
    """Five events were sent, the first of them twice."""
    land(tmp_path, *files)
    found = count_landed(tmp_path, RUN, 5, np.array([0]))
    assert (found.lost, found.doubled) == (lost, doubled)
    assert found.rows == sum(len(numbers) for numbers in files)


def test_events_of_another_run_are_too_many(tmp_path: Path) -> None:
    land(tmp_path, [0, 1], run="ffffffff-0000-4000-8000-")
    found = count_landed(tmp_path, RUN, 2, np.array([], np.int64))
    assert (found.lost, found.doubled) == (2, 2)


def test_nothing_landed_is_everything_lost(tmp_path: Path) -> None:
    found = count_landed(tmp_path, RUN, 7, np.array([], np.int64))
    assert (found.lost, found.missing.tolist()) == (7, list(range(7)))
