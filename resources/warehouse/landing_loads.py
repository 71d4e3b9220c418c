"""Loads landed records into the warehouse: each offset once, each id once, and the ranges beside the rows.

A load costs what it brings, not what is held: it reads only files that are not loaded, and looks new keys up by an
eight-byte hash (see `landed_keys`). Every row carries its load's time in `loaded_at`, which grows from load to load:
what is new since a moment is found without reading what was there before.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import duckdb

from platform_assets.contracts.landing import LandingFile
from resources.landing_zone import LandingZone
from resources.warehouse.database import Warehouse
from resources.warehouse.landed_keys import copy_rows, find_surplus, record_ranges, stage_keys
from resources.warehouse.landed_tables import LandedTable, create_landed_table
from resources.warehouse.landing_pieces import in_batches, missing_pieces
from resources.warehouse.loaded_ranges import load_time, loaded_spans, record_listing

BATCH_BYTES = 128 << 20
"""Of landed files in one transaction."""


@dataclass(frozen=True)
class LoadResult:
    """What one load did, and what the table holds after it."""

    file_count: int
    byte_count: int
    row_count: int
    new_row_count: int
    table_row_count: int

    @property
    def duplicate_count(self) -> int:
        """Landed rows whose key the table held already, or that came twice in this load."""
        return self.row_count - self.new_row_count

    def then(self, later: "LoadResult") -> "LoadResult":
        """Both loads as one."""
        return LoadResult(
            file_count=self.file_count + later.file_count,
            byte_count=self.byte_count + later.byte_count,
            row_count=self.row_count + later.row_count,
            new_row_count=self.new_row_count + later.new_row_count,
            table_row_count=later.table_row_count,
        )


def load_in_batches(
    warehouse: Warehouse,
    landing: LandingZone,
    target: LandedTable,
    *,
    purpose: str,
    batch_bytes: int = BATCH_BYTES,
    judge: Callable[[duckdb.DuckDBPyConnection], object] | None = None,
) -> Iterator[LoadResult]:
    """Load what has landed by now, a bounded part in each transaction; yields what each did, at least one result.

    Killed at any point, the batches that were committed stay, and the next load goes on after them. `judge` is called
    in each transaction after its rows: nobody sees a row that it has not seen.

    Raises:
        LockTimeout: the warehouse was not free in time.
        duckdb.Error: a file is damaged or lacks a column; nothing of its batch is loaded.
    """
    waiting: list[list[LandingFile]] | None = None
    listed_at = dt.datetime.now(dt.UTC)
    while waiting is None or waiting:
        with warehouse.write(purpose) as connection:
            create_landed_table(connection, target)
            if waiting is None:
                pieces = missing_pieces(landing.files(target.topic), loaded_spans(connection, target.topic))
                waiting = in_batches(pieces, landing.root, first_by=target.first_by, batch_bytes=batch_bytes) or [[]]
            result = _load_files(connection, landing, target, waiting.pop(0))
            if judge is not None:
                judge(connection)
            if not waiting:
                record_listing(connection, target.topic, listed_at)
        yield result


def load_landed(connection: duckdb.DuckDBPyConnection, landing: LandingZone, target: LandedTable) -> LoadResult:
    """Load what has landed in the caller's transaction. Run it inside `Warehouse.write`: all of it or nothing.

    Raises:
        duckdb.Error: a file is damaged or lacks a column; nothing is loaded.
    """
    create_landed_table(connection, target)
    listed_at = dt.datetime.now(dt.UTC)
    result = _load_files(connection, landing, target, landing.files(target.topic))
    record_listing(connection, target.topic, listed_at)
    return result


def _load_files(
    connection: duckdb.DuckDBPyConnection, landing: LandingZone, target: LandedTable, files: Sequence[LandingFile]
) -> LoadResult:
    # Asked again for every batch: between two of them another process may have loaded.
    pieces = missing_pieces(files, loaded_spans(connection, target.topic))
    row_count = new_row_count = byte_count = 0
    if pieces:
        loaded_at = load_time(connection)
        byte_count = sum((landing.root / path).stat().st_size for path in {piece.file.path for piece in pieces})
        stage_keys(connection, target, pieces, landing.root)
        find_surplus(connection, target)
        copy_rows(connection, target, loaded_at)
        row_count, new_row_count = record_ranges(connection, target.topic, loaded_at)
    held = connection.execute(f"SELECT count(*) FROM {target.table}").fetchone()  # noqa: S608 - our own constant
    return LoadResult(
        file_count=len({piece.file for piece in pieces}),
        byte_count=byte_count,
        row_count=row_count,
        new_row_count=new_row_count,
        table_row_count=int(held[0]) if held else 0,
    )
