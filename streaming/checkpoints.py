"""Checkpoints: the state of a partition's windows as files of the landing zone.

    state/<app>/log=<incarnation>/part=<partition>/<next offset>.arrow        everything below this offset is in it
    state/<app>/log=<incarnation>/part=<partition>/ids/<first>-<last>.arrow   the ids that these offsets brought

The last two are kept, so that one that cannot be read costs no more than a longer replay. Ids come in as many files
as there were checkpoints within their horizon: all of them at once would be megabytes every two seconds. Files are
written like the sink's: temporary, synced, renamed, the folder synced. All calls block.
"""

import contextlib
import io
import itertools
import logging
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from platform_assets.windows.columns import Hashes
from platform_assets.windows.watermark import BEFORE_ALL
from resources.durable_files import replace

_log = logging.getLogger(__name__)

KEPT = 2
_NAME = re.compile(r"^(\d{20})\.arrow$")
_IDS_NAME = re.compile(r"^(\d{20})-(\d{20})\.arrow$")
_STATE_SCHEMA = pa.schema([("name", pa.string()), ("definition", pa.string()), ("table", pa.binary())])
_IDS_SCHEMA = pa.schema([("bucket", pa.int64()), ("hash", pa.uint64())])
# What a bucket was before files said so.
_FIRST_BUCKET_MS = 40_000


@dataclass(frozen=True)
class SavedIds:
    """Hashes of the ids that the offsets in [first, next_offset) brought, by the number of their bucket of time."""

    first: int
    next_offset: int
    buckets: Sequence[tuple[int, Hashes]]


@dataclass(frozen=True)
class SavedTable:
    """Columns of one row per open window, and the definition that made them, by which a changed one is told."""

    definition: str
    columns: Mapping[str, Any]


@dataclass(frozen=True)
class Checkpoint:
    """What a partition's windows were when every record below `next_offset`, and none after it, had been taken."""

    topic: str
    next_offset: int
    watermark_ms: int
    tables: Mapping[str, SavedTable] = field(default_factory=dict)
    clock_ms: int = int(BEFORE_ALL)

    @classmethod
    def empty(cls, topic: str, next_offset: int) -> "Checkpoint":
        """Nothing has been counted, and counting begins at an offset."""
        return cls(topic, next_offset, int(BEFORE_ALL))


class CheckpointsDamaged(RuntimeError):
    """A partition's checkpoints are there and cannot be read; the message says what to do."""


class Checkpoints:
    """The checkpoints of one app, below the root of the landing zone."""

    def __init__(self, landing_root: Path, app: str, *, ids_horizon: int, bucket_ms: int) -> None:
        """`ids_horizon` is how many buckets of ids before the newest one are needed, each of them `bucket_ms` long."""
        self._root = landing_root / "state" / app
        self._ids_horizon = ids_horizon
        self._bucket_ms = bucket_ms

    def newest(self, log: str, partition: int) -> Checkpoint | None:
        """The newest checkpoint of a partition that can be read with its ids; None where there is none.

        Raises:
            CheckpointsDamaged: there are some, and none can be read.
        """
        folder = self._folder(log, partition)
        unreadable: Exception | None = None
        for next_offset, path in reversed(_numbered(folder)):
            try:
                for ids in itertools.islice(self._ids_files_before(log, partition, next_offset), 1):
                    self._read_ids(ids)
                return _read_state(path)
            except (OSError, pa.ArrowInvalid, KeyError, ValueError) as error:
                _log.error("checkpoint_unreadable path=%s reason=%s", path, error)
                unreadable = error
        if unreadable is None:
            return None
        raise CheckpointsDamaged(
            f"{folder}: no checkpoint can be read, so what the windows held is not known. Restore the folder, or "
            "remove it: windows then begin where the landing files end."
        ) from unreadable

    def ids_until(self, log: str, partition: int, next_offset: int) -> list[tuple[int, Hashes]]:
        """The ids within the horizon that the offsets below `next_offset` brought, by bucket, oldest first."""
        found: dict[int, list[Hashes]] = {}
        newest: int | None = None
        for path in self._ids_files_before(log, partition, next_offset):
            buckets = self._read_ids(path)
            newest = max([number for number, _ in buckets], default=newest) if newest is None else newest
            kept = [(number, ids) for number, ids in buckets if newest is None or newest - number <= self._ids_horizon]
            for number, ids in kept:
                found.setdefault(number, []).append(ids)
            if buckets and not kept:
                break
        return [(number, np.concatenate(found[number])) for number in sorted(found)]

    def write(self, log: str, partition: int, checkpoint: Checkpoint, ids: SavedIds | None) -> Path:
        """Write a checkpoint durably and remove those that are no longer needed; the ids come first.

        Raises:
            OSError: the disk is full or failing; what was there before still is.
        """
        folder = self._folder(log, partition)
        (folder / "ids").mkdir(parents=True, exist_ok=True)
        if ids is not None and ids.next_offset > ids.first:
            replace(
                folder / "ids" / f"{ids.first:020d}-{ids.next_offset - 1:020d}.arrow", _ids_file(ids, self._bucket_ms)
            )
        path = folder / f"{checkpoint.next_offset:020d}.arrow"
        replace(path, _state_file(checkpoint))
        for _, old in _numbered(folder)[:-KEPT]:
            old.unlink()
        return path

    def unfinished(self, topic: str, current_log: str, partition: int) -> list[tuple[str, Checkpoint]]:
        """The newest checkpoint that each other incarnation of a topic left of a partition, by incarnation."""
        found = []
        for folder in sorted(self._root.glob(f"log=*/part={partition}")):
            log = folder.parent.name.removeprefix("log=")
            checkpoint = self.newest(log, partition) if log != current_log else None
            if checkpoint is not None and checkpoint.topic == topic:
                found.append((log, checkpoint))
        return found

    def remove(self, log: str, partition: int) -> None:
        """Remove all that is kept of a partition whose windows have ended for good."""
        folder = self._folder(log, partition)
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # other partitions of the incarnation are still there
            folder.parent.rmdir()

    def prune_ids(self, log: str, partition: int, before: int) -> None:
        """Remove the id files that hold offsets below `before` only, which are past the horizon."""
        for _, last, path in _spans(self._folder(log, partition) / "ids"):
            if last < before:
                path.unlink()

    def _ids_files_before(self, log: str, partition: int, next_offset: int) -> Iterator[Path]:
        """Newest first, each ending where the one before it began; others are left of a life that did not get far."""
        by_end = {last + 1: (first, path) for first, last, path in _spans(self._folder(log, partition) / "ids")}
        while next_offset in by_end:
            next_offset, path = by_end[next_offset]
            yield path

    def _read_ids(self, path: Path) -> list[tuple[int, Hashes]]:
        rows = pa.ipc.open_stream(path.read_bytes()).read_all()
        written_ms = int((rows.schema.metadata or {}).get(b"bucket_ms", _FIRST_BUCKET_MS))
        # Of buckets of another length the end counts, so that no id is forgotten too early.
        numbers = ((rows["bucket"].to_numpy() + 1) * written_ms - 1) // self._bucket_ms
        hashes = rows["hash"].to_numpy()
        return [(int(number), hashes[numbers == number]) for number in np.unique(numbers)]

    def _folder(self, log: str, partition: int) -> Path:
        return self._root / f"log={log}" / f"part={partition}"


def _numbered(folder: Path) -> list[tuple[int, Path]]:
    if not folder.is_dir():
        return []
    return sorted((int(found[1]), path) for path in folder.iterdir() if (found := _NAME.match(path.name)))


def _spans(folder: Path) -> list[tuple[int, int, Path]]:
    if not folder.is_dir():
        return []
    matches = ((_IDS_NAME.match(path.name), path) for path in folder.iterdir())
    return sorted((int(found[1]), int(found[2]), path) for found, path in matches if found)


def _state_file(checkpoint: Checkpoint) -> bytes:
    tables = checkpoint.tables
    rows = pa.table(
        {
            "name": list(tables),
            "definition": [saved.definition for saved in tables.values()],
            "table": [_as_stream(pa.table(_arrays(saved.columns))) for saved in tables.values()],
        },
        schema=_STATE_SCHEMA.with_metadata(
            {
                "topic": checkpoint.topic,
                "next_offset": str(checkpoint.next_offset),
                "watermark_ms": str(checkpoint.watermark_ms),
                "clock_ms": str(checkpoint.clock_ms),
            }
        ),
    )
    return _as_stream(rows)


def _read_state(path: Path) -> Checkpoint:
    rows = pa.ipc.open_stream(path.read_bytes()).read_all()
    metadata = rows.schema.metadata
    tables = {
        row["name"]: SavedTable(row["definition"], _columns(pa.ipc.open_stream(row["table"]).read_all()))
        for row in rows.to_pylist()
    }
    return Checkpoint(
        metadata[b"topic"].decode(),
        int(metadata[b"next_offset"]),
        int(metadata[b"watermark_ms"]),
        tables,
        int(metadata[b"clock_ms"]),
    )


def _ids_file(ids: SavedIds, bucket_ms: int) -> bytes:
    empty = np.empty(0)
    numbers = np.concatenate([empty, *(np.full(len(hashes), number) for number, hashes in ids.buckets)])
    hashes = np.concatenate([empty.astype(np.uint64), *(hashes for _, hashes in ids.buckets)])
    schema = _IDS_SCHEMA.with_metadata({"bucket_ms": str(bucket_ms)})
    return _as_stream(pa.table({"bucket": numbers.astype(np.int64), "hash": hashes}, schema=schema))


def _as_stream(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _arrays(columns: Mapping[str, Any]) -> dict[str, pa.Array]:
    return {name: _array(values) for name, values in columns.items()}


def _array(values: Any) -> pa.Array:
    if isinstance(values, np.ndarray):
        return pa.array(values)
    # Keys are text, sketches are bytes; either may be absent in every row.
    binary = any(isinstance(value, bytes) for value in values)
    return pa.array(values, pa.binary() if binary else pa.string())


def _columns(table: pa.Table) -> dict[str, Any]:
    return {
        name: column.to_numpy()
        if pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
        else column.to_pylist()
        for name, column in zip(table.column_names, table.columns, strict=True)
    }
