"""What the broker has acknowledged, kept where a killed process cannot forget it.

One small memory-mapped file per topic, incarnation and process holds the next offset of each partition. The pages
belong to the kernel, so they outlive `kill -9` of the process; a store costs nothing on the hot path. Beside the
landing zone they tell what was acknowledged and has not landed, which an in-memory broker loses when it dies.
"""

import mmap
import os
import struct
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

_SLOT = struct.Struct("<q")
_SUFFIX = ".offsets"


@dataclass(frozen=True)
class Acknowledged:
    """The next offset per partition of one incarnation of a topic, as far as any door has been told."""

    topic: str
    log: str
    next_offsets: tuple[int, ...]


class AcknowledgedOffsets:
    """This process's marks for one incarnation of one topic."""

    def __init__(self, folder: Path, topic: str, log: str, partitions: int) -> None:
        """Raises OSError where the disk is full."""
        path = folder / topic / log / f"{os.getpid()}{_SUFFIX}"
        path.parent.mkdir(parents=True, exist_ok=True)
        size = partitions * _SLOT.size
        with path.open("a+b") as file:
            # Written, not only made longer: a page that a full disk has no room for would end the process with SIGBUS.
            file.write(bytes(max(0, size - file.seek(0, os.SEEK_END))))
            file.flush()
            self._marks = mmap.mmap(file.fileno(), size)
        self._advancing = threading.Lock()

    def advance(self, partition: int, next_offset: int) -> None:
        """Everything below `next_offset` on this partition is acknowledged."""
        if next_offset > self._at(partition):
            _SLOT.pack_into(self._marks, partition * _SLOT.size, next_offset)

    def advance_all(self, next_offsets: Mapping[int, int]) -> None:
        """`advance` on several partitions; from any thread."""
        with self._advancing:
            for partition, next_offset in next_offsets.items():
                self.advance(partition, next_offset)

    def _at(self, partition: int) -> int:
        return int(_SLOT.unpack_from(self._marks, partition * _SLOT.size)[0])

    def close(self) -> None:
        """Give the mapping back; the file stays."""
        self._marks.close()

    def __enter__(self) -> "AcknowledgedOffsets":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_acknowledged(folder: Path) -> list[Acknowledged]:
    """The marks of every incarnation that a door has written to, the highest of all processes."""
    return sorted(_read(folder), key=lambda found: (found.topic, found.log))


def forget_acknowledged(folder: Path, topic: str, log: str) -> None:
    """Remove the marks of an incarnation that is over and accounted for."""
    place = folder / topic / log
    for path in place.glob(f"*{_SUFFIX}"):
        path.unlink()
    place.rmdir()


def _read(folder: Path) -> Iterator[Acknowledged]:
    for place in folder.glob("*/*"):
        highest: list[int] = []
        for path in place.glob(f"*{_SUFFIX}"):
            marks = [value for (value,) in _SLOT.iter_unpack(path.read_bytes())]
            highest = [max(pair) for pair in zip(highest, marks, strict=True)] if highest else marks
        if highest:
            yield Acknowledged(place.parent.name, place.name, tuple(highest))
