"""Merges the small files of the landing zone into large ones, without a moment in which an offset is in none or in two.

A file over the whole range of its inputs is written beside them and gets its name at once; from then on the inputs are
superseded, and `LandingZone.files` leaves them out. They are removed by a later run: readers without a lock, and a
worker that recovers its position, may have listed them just before. Killed at any point, what is left is the inputs, or
the merged file and some of them. The last file of a partition is never touched: its name is the position of the sink.
1,800 files of 60 rows take 2 s and become one twentieth as large.

Run it under the writer's lock of the warehouse: a load reads the files that it has listed, and two runs at once would
do the same work twice.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from platform_assets.contracts.landing import LandingFile
from resources.durable_files import sync
from resources.landing_encoding import parquet_options
from resources.landing_zone import LandingZone
from resources.warehouse.spans import Span, subtract

UNFINISHED = ".compacting"
"""Not the sink's ending: a worker that recovers a partition removes what it left half done, and only that."""

ROW_GROUP_BYTES = 64 << 20
"""In memory. DuckDB's unit of parallel reading is the row group; those of the small files are far below its 122,880."""


@dataclass(frozen=True)
class CompactionLimits:
    """What is merged. Files are merged up to a size; one that is half as large stays as it is."""

    file_bytes: int = 128 << 20
    settled_s: float = 60.0
    superseded_s: float = 600.0


@dataclass(frozen=True)
class Compacted:
    """What one run did to a topic. `rows` and bytes are those of the files that were merged."""

    files_before: int = 0
    files_after: int = 0
    merged_files: int = 0
    rows: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    removed_files: int = 0


def compact(
    zone: LandingZone,
    topic: str,
    loaded: Mapping[tuple[str, int], Sequence[Span]],
    limits: CompactionLimits = CompactionLimits(),
) -> Compacted:
    """Remove what has been superseded for long enough, then merge what is loaded; `loaded` is by log and partition.

    Raises:
        OSError: the disk is full or failing; what was merged before stays.
        ArrowInvalid: a file is damaged; nothing of its partition is lost.
    """
    removed = _remove_superseded(zone, topic, limits)
    before = zone.files(topic)
    merged = [
        (group, _merge(zone, group))
        for _, partition in groupby(before, key=lambda file: (file.log, file.partition))
        for group in _groups(zone, list(partition), loaded, limits)
    ]
    return Compacted(
        files_before=len(before),
        files_after=len(before) - sum(len(group) - 1 for group, _ in merged),
        merged_files=sum(len(group) for group, _ in merged),
        rows=sum(pq.read_metadata(path).num_rows for _, path in merged),
        bytes_before=sum(_size(zone, file) for group, _ in merged for file in group),
        bytes_after=sum(path.stat().st_size for _, path in merged),
        removed_files=removed,
    )


def _groups(
    zone: LandingZone,
    files: Sequence[LandingFile],
    loaded: Mapping[tuple[str, int], Sequence[Span]],
    limits: CompactionLimits,
) -> Iterator[list[LandingFile]]:
    """Neighbours of one partition that become one file each; the last file is in none."""
    settled_before = time.time() - limits.settled_s
    group: list[LandingFile] = []
    size = 0
    for file, following in pairwise(files):
        file_size = _size(zone, file)
        is_fit = (
            file_size < limits.file_bytes / 2
            and file.last + 1 == following.first
            and (zone.root / file.path).stat().st_mtime <= settled_before
            and not subtract((file.first, file.last), loaded.get((file.log, file.partition), ()))
        )
        if not is_fit or size + file_size > limits.file_bytes:
            if len(group) > 1:
                yield group
            group, size = [], 0
        if is_fit:
            group.append(file)
            size += file_size
    if len(group) > 1:
        yield group


def _merge(zone: LandingZone, group: Sequence[LandingFile]) -> Path:
    """Write one file over the range of several, in order, durably; the inputs stay."""
    first, last = group[0], group[-1]
    target = zone.root / LandingFile(first.topic, first.log, first.partition, first.first, last.last).path
    unfinished = target.with_name(f".{target.name}.{os.getpid()}{UNFINISHED}")
    inputs = [zone.root / file.path for file in group]
    # Files of before and after a change of the contract: a column that one lacks is null there.
    schema = pa.unify_schemas([pq.read_schema(path) for path in inputs], promote_options="permissive")
    try:
        with pq.ParquetWriter(unfinished, schema, **parquet_options(schema)) as writer:
            for table in _row_groups(inputs, schema):
                writer.write_table(table)
        expected = sum(pq.read_metadata(path).num_rows for path in inputs)
        written = pq.read_metadata(unfinished).num_rows
        if written != expected:
            raise OSError(f"{unfinished} holds {written} rows instead of {expected}; the disk lost what was written.")
        sync(unfinished)
        unfinished.replace(target)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    sync(target.parent)
    return target


def _row_groups(inputs: Sequence[Path], schema: pa.Schema) -> Iterator[pa.Table]:
    waiting: list[pa.Table] = []
    waiting_bytes = 0
    for path in inputs:
        # Not read_table: it would read `log=` in the path as a column.
        table = pq.ParquetFile(path).read()
        waiting.append(pa.concat_tables([schema.empty_table(), table], promote_options="permissive").cast(schema))
        waiting_bytes += table.nbytes
        if waiting_bytes >= ROW_GROUP_BYTES:
            yield pa.concat_tables(waiting)
            waiting, waiting_bytes = [], 0
    if waiting:
        yield pa.concat_tables(waiting)


def _remove_superseded(zone: LandingZone, topic: str, limits: CompactionLimits) -> int:
    """Remove inputs whose merged file has been there for a while, and what a killed run left half done."""
    for leftover in (zone.root / topic).glob(f"log=*/part=*/.*{UNFINISHED}"):
        leftover.unlink()
    left_alone_after = time.time() - limits.superseded_s
    removed = 0
    covering: LandingFile | None = None
    # A file that covers others comes before them.
    for file in sorted(zone.finished_files(topic), key=lambda one: (one.log, one.partition, one.first, -one.last)):
        place = (file.log, file.partition)
        if covering is None or (covering.log, covering.partition) != place or file.last > covering.last:
            covering = file
        elif (zone.root / covering.path).stat().st_mtime <= left_alone_after:
            (zone.root / file.path).unlink()
            removed += 1
    return removed


def _size(zone: LandingZone, file: LandingFile) -> int:
    return (zone.root / file.path).stat().st_size
