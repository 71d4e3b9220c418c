"""Buffers rows per partition and closes files that cover contiguous ranges of offsets.

Plain and synchronous. Everything but `write` belongs to one thread; `write` belongs to the thread that touches the
landing zone, so that decoding goes on while a file is compressed and synced (see `lander`). The sink keeps, for each
partition it owns, the position that the next batch has to start at. That check alone makes it exact: whatever the
consumer drops, repeats or reorders on a rebalance or restart, a range is landed once, in order, or not at all.
"""

import enum
import logging
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from platform_assets.contracts.landing import LandingFile
from resources.landing_zone import LandingZone, PartitionTakenOver
from streaming.decoding import DecodedBatch

_log = logging.getLogger(__name__)

# A batch's rows are a slice of what all partitions brought together, and keep all of that. Copied together they hold
# what `buffered_bytes` counts, in a few large pieces.
LOOSE_BYTES = 1 << 20

Partition = tuple[str, int]
"""Topic and partition."""


class Admission(enum.Enum):
    """What the sink says to a batch."""

    TAKE = "take"
    REPEATED = "repeated"  # all of it is here already
    GAP = "gap"  # something before it is missing: fetch again from the position
    NOT_OWNED = "not owned"


@dataclass(frozen=True)
class Limits:
    """When a file is closed: the first batch that reaches a limit is the last one in the file."""

    file_rows: int
    file_age_s: float
    buffer_bytes: int


@dataclass(frozen=True)
class FullFile:
    """Rows on their way to a file. They stay where they are until the file is durable."""

    file: LandingFile
    rows: tuple[pa.RecordBatch, ...] = field(repr=False)
    row_count: int
    byte_count: int


@dataclass
class OwnedPartition:
    """One partition of one incarnation. Offsets below `landed` are in files, those below `position` are buffered."""

    topic: str
    log: str
    partition: int
    landed: int
    position: int
    landed_rows: int = 0
    buffered_bytes: int = 0
    buffered_rows: int = 0
    opened_at: float | None = None
    high_watermark: int | None = None
    rows: list[pa.RecordBatch] = field(default_factory=list, repr=False)
    loose: list[pa.RecordBatch] = field(default_factory=list, repr=False)
    loose_bytes: int = 0
    full: FullFile | None = None

    def buffer(self, rows: pa.RecordBatch) -> None:
        """Keep rows for the next file."""
        # 0.05 ms to ask, whatever their number.
        byte_count = rows.nbytes
        self.loose.append(rows)
        self.buffered_rows += rows.num_rows
        self.buffered_bytes += byte_count
        self.loose_bytes += byte_count
        if self.loose_bytes >= LOOSE_BYTES:
            self._pack()

    def take_rows(self) -> tuple[pa.RecordBatch, ...]:
        """All rows kept, which are forgotten here."""
        if self.loose:
            self._pack()
        taken, self.rows = tuple(self.rows), []
        self.buffered_rows = self.buffered_bytes = 0
        self.opened_at = None
        return taken

    def _pack(self) -> None:
        self.rows.append(pa.concat_batches(self.loose))
        self.loose, self.loose_bytes = [], 0


class LandingSink:
    """Owns partitions from `open` to `release`."""

    def __init__(
        self,
        zone: LandingZone,
        limits: Limits,
        schemas: dict[str, pa.Schema],
        *,
        verify: Callable[[Collection[tuple[str, str]]], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`verify` gets (topic, incarnation) pairs before their rows become files and raises where one is over."""
        self._zone = zone
        self._limits = limits
        self._schemas = schemas
        self._verify = verify
        self._clock = clock
        self._owned: dict[Partition, OwnedPartition] = {}

    @property
    def owned(self) -> tuple[OwnedPartition, ...]:
        """What the sink owns now, for reports."""
        return tuple(self._owned.values())

    def find(self, topic: str, partition: int) -> OwnedPartition | None:
        """One owned partition."""
        return self._owned.get((topic, partition))

    def position(self, topic: str, partition: int, log: str) -> int | None:
        """The offset to fetch next of an owned partition of this incarnation; None where it is not owned."""
        owned = self._owned.get((topic, partition))
        return owned.position if owned is not None and owned.log == log else None

    def open(self, topic: str, log: str, partition: int, landed: int) -> None:
        """Own a partition of which everything below `landed` is in files."""
        known = self._owned.get((topic, partition))
        if known is not None:
            _log.error("incarnation_replaced topic=%s partition=%d old=%s new=%s unlanded=%d",
                       topic, partition, known.log, log, known.position - known.landed)  # fmt: skip
        self._owned[topic, partition] = OwnedPartition(topic, log, partition, landed=landed, position=landed)

    def release(self, partitions: Iterable[Partition]) -> int:
        """Forget partitions and return how many offsets of them were not landed; the log still has those."""
        unlanded = 0
        for key in partitions:
            gone = self._owned.pop(key, None)
            if gone is not None:
                unlanded += gone.position - gone.landed
        return unlanded

    def admission(self, topic: str, partition: int, start: int, next_offset: int) -> Admission:
        """Whether a batch that covers [start, next_offset) follows on what is here."""
        owned = self._owned.get((topic, partition))
        if owned is None:
            return Admission.NOT_OWNED
        if next_offset <= owned.position:
            return Admission.REPEATED
        return Admission.GAP if start > owned.position else Admission.TAKE

    def take(self, batch: DecodedBatch) -> Admission:
        """Buffer a batch; where it begins before the position, only what is new of it."""
        admission = self.admission(batch.topic, batch.partition, batch.start, batch.next_offset)
        if admission is not Admission.TAKE:
            return admission
        owned = self._owned[batch.topic, batch.partition]
        if batch.log != owned.log:
            return Admission.NOT_OWNED
        rows = batch.rows
        if rows is None:
            raise TypeError(f"Batches of {batch.topic} are decoded without rows, and the topic lands")
        if batch.start < owned.position:
            rows = rows.filter(pc.greater_equal(rows["kafka_offset"], owned.position))
        if owned.opened_at is None:
            owned.opened_at = self._clock()
        if rows.num_rows:
            owned.buffer(rows)
        owned.position = batch.next_offset
        return Admission.TAKE

    @property
    def buffered_bytes(self) -> int:
        """Rows in memory, those on their way to a file included."""
        return sum(
            owned.buffered_bytes + (owned.full.byte_count if owned.full is not None else 0)
            for owned in self._owned.values()
        )

    @property
    def is_half_full(self) -> bool:
        """Whether a file should be closed soon."""
        return self.buffered_bytes >= self._limits.buffer_bytes // 2

    @property
    def has_room(self) -> bool:
        """Whether another batch may be taken before a file is closed."""
        return self.buffered_bytes < self._limits.buffer_bytes

    def due(self) -> list[Partition]:
        """The partitions whose file is to be closed now: too many rows, too old, or the largest of too many bytes.

        Half of the bytes are for what is being written meanwhile.
        """
        now = self._clock()
        due = [
            key
            for key, owned in self._owned.items()
            if owned.full is not None
            or (
                owned.opened_at is not None
                and (owned.buffered_rows >= self._limits.file_rows or now - owned.opened_at >= self._limits.file_age_s)
            )
        ]
        remaining = sorted(
            (owned.buffered_bytes, key) for key, owned in self._owned.items() if key not in due and owned.buffered_bytes
        )
        total = sum(size for size, _ in remaining)
        while remaining and total > self._limits.buffer_bytes // 2:
            size, key = remaining.pop()
            total -= size
            due.append(key)
        return due

    def fill(self, partitions: Collection[Partition]) -> list[FullFile]:
        """What is buffered of these partitions, one file each; a partition whose last file is not written goes on
        with that one."""
        return [
            full
            for key in partitions
            if (owned := self._owned.get(key)) is not None and (full := self._fill(owned)) is not None
        ]

    @staticmethod
    def _fill(owned: OwnedPartition) -> FullFile | None:
        if owned.full is None and owned.position > owned.landed:
            file = LandingFile(owned.topic, owned.log, owned.partition, owned.landed, owned.position - 1)
            row_count, byte_count = owned.buffered_rows, owned.buffered_bytes
            owned.full = FullFile(file, owned.take_rows(), row_count, byte_count)
        return owned.full

    def write(self, files: Collection[FullFile]) -> None:
        """Write files durably; those of an attempt that failed half-way may come again.

        Raises:
            OSError: the disk is full or failing; call again later.
            PartitionTakenOver: see there.
        """
        if files:
            self._verify({(full.file.topic, full.file.log) for full in files})
        for full in files:
            self._write(full)

    def _write(self, full: FullFile) -> None:
        file = full.file
        # Found already: our own, renamed by an attempt that failed to sync its folder.
        found = (self._zone.root / file.path).exists()
        next_offset = self._zone.next_offset(file.topic, file.log, file.partition)
        if not found and next_offset != file.first:
            raise PartitionTakenOver(
                f"{file.topic}[{file.partition}]: this worker goes on from offset {file.first}, but the landing "
                f"zone is at {next_offset}. Another worker writes the same partition of the same data folder."
            )
        self._zone.write(pa.Table.from_batches(full.rows, schema=self._schemas[file.topic]), file)
        _log.info("file_landed topic=%s partition=%d first=%d last=%d rows=%d",
                  file.topic, file.partition, file.first, file.last, full.row_count)  # fmt: skip

    def landed(self, files: Collection[FullFile]) -> None:
        """These have been written: forget their rows."""
        for full in files:
            owned = self._owned.get((full.file.topic, full.file.partition))
            if owned is not None and owned.full is full:
                owned.landed = full.file.last + 1
                owned.landed_rows += full.row_count
                owned.full = None
