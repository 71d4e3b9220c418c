"""Which landed files cannot be read: asked after a load has failed, since the engine does not always name the file."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from platform_assets.contracts.landing import LandingFile
from resources.landing_zone import LandingZone


class LandingDamaged(RuntimeError):
    """Landed files cannot be read; the message names each, what is wrong with it, and the remedy."""


@dataclass(frozen=True)
class DamagedFile:
    """A file and what its reader said."""

    file: LandingFile
    reason: str


def damaged_files(landing: LandingZone, topic: str) -> list[DamagedFile]:
    """Read every file of a topic to its last page; those that cannot be read."""
    found = []
    for file in landing.files(topic):
        try:
            reader = pq.ParquetFile(landing.root / file.path)
            for _ in reader.iter_batches():
                pass
        except (pa.ArrowException, OSError) as error:
            found.append(DamagedFile(file, " ".join(str(error).split())[:200]))
    return found


def explain(landing: LandingZone, damaged: list[DamagedFile]) -> str:
    """What is damaged, and what a person does about it."""
    named = "\n".join(
        f"  {landing.root / one.file.path}: offsets {one.file.first} to {one.file.last} of partition "
        f"{one.file.partition}; {one.reason}"
        for one in damaged
    )
    return (
        f"{len(damaged)} landed files cannot be read:\n{named}\n"
        "Restore them from a backup. Where there is none and the log still has these offsets, rename each one and all "
        "later files of its partition to .torn-<name> and start the stream worker again: it lands them anew. A worker "
        "that starts does so by itself with a file that was cut short. Then run this again."
    )
