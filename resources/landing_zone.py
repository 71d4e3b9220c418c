"""The landing zone: immutable Parquet files whose names say which offsets of which log they cover.

A file is written under a temporary name, synced, renamed and its folder synced, so that a name that is there is whole
and survives a power cut. The finished names are the sink's commit log; nothing else remembers a position.
"""

import logging
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from platform_assets.contracts.landing import (
    DATE,
    FILE_NAME,
    FLOAT64,
    INT32,
    INT64,
    TEXT,
    TIMESTAMP,
    LandingFile,
    parse_path,
    partition_folder,
    without_superseded,
)
from resources.durable_files import sync
from resources.landing_encoding import parquet_options

_log = logging.getLogger(__name__)

_MAGIC = b"PAR1"
_WRITING = ".writing-"
_FENCED = ".fenced-"
_SET_ASIDE = ".torn-"

_ARROW_TYPES: dict[str, pa.DataType] = {
    TEXT: pa.string(),
    TIMESTAMP: pa.timestamp("us", tz="UTC"),
    INT32: pa.int32(),
    INT64: pa.int64(),
    DATE: pa.date32(),
    FLOAT64: pa.float64(),
}


class LandingZoneDamaged(RuntimeError):
    """The files of a partition do not follow on each other; the message names the two neighbours and the remedy."""


class PartitionTakenOver(RuntimeError):
    """Another writer has taken over a partition that this one believed its own."""


def arrow_schema(columns: Mapping[str, str]) -> pa.Schema:
    """The Arrow schema of landing columns (see `contracts.landing`); every column nullable."""
    return pa.schema([(name, _ARROW_TYPES[kind]) for name, kind in columns.items()])


class LandingZone:
    """Files below one root. Reading is safe beside a writer; of several writers of a partition the last one wins."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._own_folders: dict[Path, Path] = {}

    def files(self, topic: str, log: str | None = None) -> list[LandingFile]:
        """The files of a topic, or of one incarnation of it, ordered by log, partition and offset.

        Each landed offset is in one of them: a file that compaction has merged into a larger one is left out.
        """
        return without_superseded(self._scan(topic, log))

    def finished_files(self, topic: str) -> list[LandingFile]:
        """Those and the superseded ones, in the same order."""
        return sorted(self._scan(topic, None))

    def logs(self, topic: str) -> list[str]:
        """The incarnations of a topic that have landed anything, in no particular order of time."""
        folder = self.root / topic
        if not folder.is_dir():
            return []
        return sorted(entry.name.removeprefix("log=") for entry in folder.iterdir() if entry.name.startswith("log="))

    def next_offset(self, topic: str, log: str, partition: int) -> int:
        """The first offset that has not landed; 0 where nothing has."""
        return max((span[1] + 1 for span in self._spans(topic, log, partition)), default=0)

    def recover(self, topic: str, log: str, partition: int) -> int:
        """Become the only writer of a partition, tidy up after the last one and return the offset to go on from.

        Torn files under finished names, which only a disk can make, are set aside with everything after them, to be
        landed again from the log. Each file costs 30 µs (measured), 0.3 s for 10,000.

        Raises:
            LandingZoneDamaged: a gap or an overlap between two files.
        """
        folder = self._folder(topic, log, partition)
        folder.mkdir(parents=True, exist_ok=True)
        self._take_over(folder)
        for leftover in folder.glob(".*.tmp"):
            leftover.unlink()
        files = [LandingFile(topic, log, partition, *span) for span in self._spans(topic, log, partition)]
        torn = [file for file in files if not _is_whole(self.root / file.path)]
        for file in torn:
            self._set_aside(file, "file_torn")
        try:
            return self.check(topic, log, partition)
        except LandingZoneDamaged:
            if not torn:
                raise
        first = min(file.first for file in torn)
        for file in files:
            if file.last >= first and file not in torn:
                self._set_aside(file, "file_after_torn")
        return self.check(topic, log, partition)

    def check(self, topic: str, log: str, partition: int) -> int:
        """The first offset that has not landed, after a look at all names; changes nothing.

        Raises:
            LandingZoneDamaged: a gap or an overlap between two files.
        """
        position = 0
        files = [LandingFile(topic, log, partition, *span) for span in self._spans(topic, log, partition)]
        # Superseded files stay: a load may be reading them. Compaction removes them, under the lock of the loads.
        for file in without_superseded(files):
            if file.first != position:
                raise LandingZoneDamaged(
                    f"{self._folder(topic, log, partition)}: offset {position} should come next, but the next file "
                    f"starts at {file.first}. Restore the missing file, or move the later files away to have them "
                    "landed again from the log."
                )
            position = file.last + 1
        return position

    def _take_over(self, folder: Path) -> None:
        """Fence whoever wrote this partition before, dead or only stopped.

        A writer's unfinished files are in a folder of its own; once that is renamed none of them can get a finished
        name. So a process that slept through the loss of its partition cannot overlap what its successor writes,
        wherever it was stopped. Of two that do this at once at most one is left: each makes its folder first.
        """
        own = folder / f"{_WRITING}{uuid.uuid4().hex}"
        own.mkdir()
        for other in folder.glob(f"{_WRITING}*"):
            if other != own:
                with suppress(FileNotFoundError):
                    other.rename(folder / f"{_FENCED}{uuid.uuid4().hex}")
        for fenced in folder.glob(f"{_FENCED}*"):
            shutil.rmtree(fenced, ignore_errors=True)
        self._own_folders[folder] = own

    def _set_aside(self, file: LandingFile, event: str) -> None:
        path = self.root / file.path
        path.rename(path.with_name(f"{_SET_ASIDE}{path.name}"))
        _log.error("%s path=%s; set aside, its offsets are landed again from the log", event, file.path)

    def write(self, table: pa.Table, file: LandingFile) -> Path:
        """Write one file durably. One that is there already covers the same range; only its folder is synced again.

        Raises:
            PartitionTakenOver: somebody else has recovered the partition since this zone did.
        """
        path = self.root / file.path
        if path.exists():
            sync(path.parent)
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._own_folders.get(path.parent, path.parent) / f".{path.name}.{os.getpid()}.tmp"
        try:
            pq.write_table(table, temporary, **parquet_options(table.schema))
            sync(temporary)
            temporary.replace(path)
        except BaseException as error:
            temporary.unlink(missing_ok=True)
            if not temporary.parent.exists():
                raise PartitionTakenOver(
                    f"{file.topic}[{file.partition}]: another worker has taken over this partition of the same data "
                    f"folder before offsets {file.first} to {file.last} were landed; they are its to land."
                ) from error
            raise
        sync(path.parent)
        return path

    def _folder(self, topic: str, log: str, partition: int) -> Path:
        return self.root / partition_folder(topic, log, partition)

    def _spans(self, topic: str, log: str, partition: int) -> Iterator[tuple[int, int]]:
        try:
            entries = list(os.scandir(self._folder(topic, log, partition)))
        except FileNotFoundError:
            return
        for entry in entries:
            if found := FILE_NAME.match(entry.name):
                yield int(found["first"]), int(found["last"])

    def _scan(self, topic: str, log: str | None) -> Iterator[LandingFile]:
        folder = self.root / topic
        pattern = f"log={log}/part=*/*.parquet" if log else "log=*/part=*/*.parquet"
        for path in folder.glob(pattern):
            file = parse_path(str(path.relative_to(self.root)))
            if file is not None and not path.name.startswith("."):
                yield file


def _is_whole(path: Path) -> bool:
    """Whether a Parquet file begins and ends as one: a file that was cut short does not."""
    size = path.stat().st_size
    if size < 3 * len(_MAGIC):
        return False
    with path.open("rb") as file:
        begins = file.read(len(_MAGIC))
        file.seek(-8, os.SEEK_END)
        footer_bytes, ends = int.from_bytes(file.read(4), "little"), file.read(4)
    return begins == ends == _MAGIC and footer_bytes + 12 <= size
