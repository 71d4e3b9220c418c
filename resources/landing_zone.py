"""The landing zone: immutable Parquet files whose names say which offsets of which log they cover.

A file is written under a temporary name, synced, renamed and its folder synced, so that a name that is there is whole
and survives a power cut. The finished names are the sink's commit log; nothing else remembers a position.
"""

import os
from collections.abc import Iterator, Mapping
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


def arrow_schema(columns: Mapping[str, str]) -> pa.Schema:
    """The Arrow schema of landing columns (see `contracts.landing`); every column nullable."""
    return pa.schema([(name, _ARROW_TYPES[kind]) for name, kind in columns.items()])


class LandingZone:
    """Files below one root. Reading is safe beside one live writer per partition."""

    def __init__(self, root: Path) -> None:
        self.root = root

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
        """Remove what a killed writer left half done and return the offset to go on from.

        Raises:
            LandingZoneDamaged: a gap or an overlap between two files.
        """
        folder = self._folder(topic, log, partition)
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(".*.tmp"):
            leftover.unlink()
        position = 0
        files = [LandingFile(topic, log, partition, *span) for span in self._spans(topic, log, partition)]
        # Superseded files stay: a load may be reading them. Compaction removes them, under the lock of the loads.
        for file in without_superseded(files):
            if file.first != position:
                raise LandingZoneDamaged(
                    f"{folder}: offset {position} should come next, but the next file starts at {file.first}. "
                    "Restore the missing file, or move the later files away to have them landed again from the log."
                )
            position = file.last + 1
        return position

    def write(self, table: pa.Table, file: LandingFile) -> Path:
        """Write one file durably. One that is there already covers the same range; only its folder is synced again."""
        path = self.root / file.path
        if path.exists():
            sync(path.parent)
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.parent / f".{path.name}.{os.getpid()}.tmp"
        try:
            pq.write_table(table, temporary, compression="zstd")
            sync(temporary)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
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
