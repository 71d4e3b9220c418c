"""What landed, event by event, against the ledger."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from platform_assets.contracts.topics import EVENTS
from resources.landing_zone import LandingZone
from streaming.benchmark.load import Numbers

_COUNTER_DIGITS = 12


@dataclass(frozen=True)
class LandedCount:
    """Rows of the landing zone: distinct events that are missing, and copies beyond those that were sent."""

    rows: int
    lost: int
    doubled: int
    missing: Numbers
    """The numbers of the events that are lost, ascending."""


def count_landed(landing_dir: Path, run: str, events: int, resent: Numbers) -> LandedCount:
    """Count the copies of every event of a run in the landing files. Ids of another run count as doubled."""
    copies = np.zeros(events, np.int64)
    rows = strangers = 0
    zone = LandingZone(landing_dir)
    for file in zone.files(EVENTS.name):
        ids = pq.read_table(zone.root / file.path, columns=["event_id"])["event_id"]
        rows += len(ids)
        ours = ids.filter(pc.starts_with(ids, run))
        digits = pc.utf8_slice_codeunits(ours, len(run), len(run) + _COUNTER_DIGITS)
        numbers = pc.cast(digits, pa.int64()).to_numpy()
        inside = numbers[numbers < events]
        strangers += len(ids) - len(inside)
        copies += np.bincount(inside, minlength=events)
    expected = np.ones(events, np.int64)
    expected[resent] += 1
    return LandedCount(
        rows=rows,
        # A second copy that is missing was acknowledged too, and is lost as well.
        lost=int(np.maximum(expected - copies, 0).sum()),
        doubled=int(np.maximum(copies - expected, 0).sum()) + strangers,
        missing=np.flatnonzero(copies < expected),
    )
