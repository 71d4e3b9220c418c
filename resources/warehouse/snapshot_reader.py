"""Reads published marts without ever meeting the warehouse's writer. For request processes: hardened and read-only."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb

from resources.warehouse.snapshots import Snapshot, SnapshotUnreadable, read_pointer


class NoSnapshot(LookupError):
    """Nothing has been published yet."""


class SnapshotReader:
    """Follows the pointer. Safe to share between threads; a query that is under way keeps its snapshot.

    Args:
        folder: where snapshots are published.
        memory_limit: of each open snapshot, as DuckDB writes it.
        threads: of each open snapshot.
    """

    def __init__(self, folder: Path, *, memory_limit: str = "256MB", threads: int = 1) -> None:
        self._folder = folder
        self._config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": memory_limit,
            "threads": str(threads),
            "enable_external_access": "false",
            "lock_configuration": "true",
        }
        self._lock = threading.Lock()
        self._open: tuple[str, duckdb.DuckDBPyConnection] | None = None

    @contextlib.contextmanager
    def cursor(self) -> Iterator[tuple[Snapshot, duckdb.DuckDBPyConnection]]:
        """The newest snapshot and a cursor on it.

        Raises:
            NoSnapshot: nothing has been published yet.
            SnapshotUnreadable: the pointer or its file is damaged.
        """
        with self._lock:
            snapshot = read_pointer(self._folder)
            if snapshot is None:
                raise NoSnapshot("No marts have been published yet; run warehouse_job.")
            # The connection before this one is closed when its last cursor is.
            if self._open is None or self._open[0] != snapshot.file:
                self._open = (snapshot.file, self._connect(snapshot))
            cursor = self._open[1].cursor()
        with contextlib.closing(cursor):
            yield snapshot, cursor

    def close(self) -> None:
        """Let go of the open snapshot."""
        with self._lock:
            if self._open is not None:
                self._open[1].close()
                self._open = None

    def _connect(self, snapshot: Snapshot) -> duckdb.DuckDBPyConnection:
        path = self._folder / snapshot.file
        try:
            return duckdb.connect(path, read_only=True, config=self._config)
        except duckdb.Error as error:
            raise SnapshotUnreadable(f"{path}: {error}; run warehouse_job to publish again.") from error
