"""What an agent receives: the records of one partition that one fetch brought, as one object."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Header = tuple[str, bytes | None]


class LogRecord(Protocol):
    """One record as the client library parsed it; nothing is copied or converted before it is asked for."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[Header]: ...


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """The records of one partition with offsets in [start, next_offset), in order.

    A batch covers its whole range: offsets in it that have no record were skipped by the log (compaction, transaction
    markers) and will never come. `start` is where the batch before it ended, so a consumer that finds
    `start != position` knows that a batch was dropped or delivered twice on the way to it. There may be no records.
    """

    topic: str
    partition: int
    start: int
    next_offset: int
    records: Sequence[LogRecord] = field(repr=False)
    high_watermark: int | None = None

    @property
    def values(self) -> list[bytes | None]:
        """The records' values; None is a tombstone."""
        return [record.value for record in self.records]

    @property
    def offsets(self) -> NDArray[np.int64]:
        """The records' offsets, ascending, not necessarily dense."""
        # As many as the range has can only be all of it; to ask each record takes 0.02 µs.
        if len(self.records) == self.next_offset - self.start:
            return np.arange(self.start, self.next_offset)
        return np.array([record.offset for record in self.records], np.int64)

    @property
    def keys(self) -> list[bytes | None]:
        """The records' keys."""
        return [record.key for record in self.records]

    @property
    def headers(self) -> list[Sequence[Header]]:
        """The records' headers."""
        return [record.headers for record in self.records]

    @property
    def timestamps_ms(self) -> list[int]:
        """The records' broker or producer times in milliseconds since the epoch."""
        return [record.timestamp for record in self.records]


def joined(batches: Sequence[RecordBatch], max_records: int) -> list[RecordBatch]:
    """The same batches, as far as they follow on each other as one, in the order in which the first of each came."""
    found: list[RecordBatch] = []
    last: dict[tuple[str, int], int] = {}
    for batch in batches:
        place = (batch.topic, batch.partition)
        index = last.get(place)
        before = None if index is None else found[index]
        if (
            index is None
            or before is None
            or before.next_offset != batch.start
            or len(before.records) + len(batch.records) > max_records
        ):
            last[place] = len(found)
            found.append(batch)
            continue
        records = [*before.records, *batch.records]
        found[index] = RecordBatch(*place, before.start, batch.next_offset, records, batch.high_watermark)
    return found


def packs(batches: Sequence[RecordBatch], max_records: int) -> Iterator[list[RecordBatch]]:
    """The batches in their order, as many together as have no more records than this; one alone may have more."""
    pack: list[RecordBatch] = []
    size = 0
    for batch in batches:
        if pack and size + len(batch.records) > max_records:
            yield pack
            pack, size = [], 0
        pack.append(batch)
        size += len(batch.records)
    if pack:
        yield pack
