"""What a step of the worker does with the micro-batches of one topic, beside landing them.

A stage keeps state per partition and owns a partition from `open` to `release`. Everything of it runs on one thread.
What it publishes follows from the records and their order: after a crash, the records since the last checkpoint are
taken again and the same comes out.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from platform_assets.windows.columns import Hashes
from streaming.checkpoints import Checkpoint, SavedIds
from streaming.decoding import DecodedBatch
from streaming.event_columns import EventColumns
from streaming.sink import Admission


@dataclass(frozen=True)
class Outgoing:
    """One record to be appended; `partition` None leaves the choice to the key."""

    topic: str
    partition: int | None
    key: bytes | None
    value: bytes


@dataclass(frozen=True)
class Saved:
    """A checkpoint of one partition that is still to be written; None removes all that the partition has."""

    topic: str
    log: str
    partition: int
    checkpoint: Checkpoint | None
    ids: SavedIds | None = None
    ids_needed_from: int = 0


@dataclass(frozen=True)
class Emission:
    """What a stage has to say, and the state that it may be saved in once all of it is acknowledged."""

    records: Sequence[Outgoing]
    saved: Sequence[Saved]


@dataclass(frozen=True)
class Restored:
    """Where a partition's stage begins: at a checkpoint, or at an offset with nothing."""

    position: int
    checkpoint: Checkpoint | None = None
    ids: Sequence[tuple[int, Hashes]] = ()


@dataclass(frozen=True)
class Tally:
    """What a stage has not counted in windows of an owned partition, since it was opened, and how many are open."""

    late: int = 0
    duplicates: int = 0
    windows_open: int = 0


class Stage(Protocol):
    """One topic's step."""

    topic: str

    def position(self, partition: int, log: str) -> int | None:
        """The offset to fetch next of an owned partition of this incarnation; None where it is not owned."""
        ...

    def open(self, log: str, partition: int, restored: Restored, partitions: int) -> None:
        """Own a partition; `partitions` is how many the topic has."""
        ...

    def release(self, partitions: Collection[int]) -> None:
        """Forget partitions."""
        ...

    def take(self, decoded: DecodedBatch, high_watermark: int | None) -> Admission:
        """Take a batch; where it begins before the position, only what is new of it. The log ends at the watermark."""
        ...

    def tally(self, partition: int) -> Tally:
        """For the metrics."""
        ...

    def collect(self, partitions: Collection[int], save: Collection[int]) -> Emission:
        """What these partitions have to say since the last call, and checkpoints of those in `save` that have moved."""
        ...

    def rest(self, now_s: float) -> list[Saved]:
        """Advance the partitions that have been idle for long enough; these checkpoints come before what follows."""
        ...

    def finish(self, log: str, partition: int, restored: Restored, tail: Iterable[EventColumns]) -> Emission:
        """End the windows of a log that is over: what was saved of it, then what landed after that; all is final."""
        ...
