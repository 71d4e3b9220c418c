"""Reads published marts without ever meeting the warehouse's writer. Hardened and read-only, for request processes."""

import threading
from dataclasses import dataclass
from pathlib import Path

from platform_assets.quality.sql_text import quoted
from resources.warehouse.hardened import DEFAULT_LIMITS, DatabaseUnreadable, HardenedDatabase, QueryLimits
from resources.warehouse.snapshots import Snapshot, SnapshotUnreadable, read_pointer


class NoSnapshot(LookupError):
    """Nothing has been published yet."""


@dataclass(frozen=True)
class OpenSnapshot:
    """A snapshot and the database that reads it: its marts are the tables marts.<name>."""

    snapshot: Snapshot
    database: HardenedDatabase


class SnapshotReader:
    """Follows the pointer. Safe to share between threads; a query that is under way keeps its snapshot.

    Args:
        folder: where snapshots are published.
        limits: of each open snapshot and its queries.
    """

    def __init__(self, folder: Path, limits: QueryLimits = DEFAULT_LIMITS) -> None:
        self._folder = folder
        self._limits = limits
        self._lock = threading.Lock()
        self._current: OpenSnapshot | None = None

    @property
    def current(self) -> OpenSnapshot | None:
        """What was last opened, without a look at the disk."""
        return self._current

    def look(self) -> OpenSnapshot:
        """The newest snapshot, opened if it was not: 10 ms for ten marts.

        Raises:
            NoSnapshot: nothing has been published yet.
            SnapshotUnreadable: the pointer or a file is damaged.
        """
        with self._lock:
            snapshot = self._newest()
            if self._current is None or self._current.snapshot.version != snapshot.version:
                # The database before this one is closed when the last query on it has ended.
                self._current = self._opened(snapshot)
            elif self._current.snapshot is not snapshot:
                self._current = OpenSnapshot(snapshot, self._current.database)
            return self._current

    def close(self) -> None:
        """Let go of the open snapshot."""
        with self._lock:
            self._current = None

    def _newest(self) -> Snapshot:
        snapshot = read_pointer(self._folder)
        if snapshot is None:
            raise NoSnapshot("No marts have been published yet; run warehouse_job.")
        return snapshot

    def _opened(self, snapshot: Snapshot) -> OpenSnapshot:
        try:
            return OpenSnapshot(snapshot, open_snapshot(self._folder, snapshot, self._limits))
        except DatabaseUnreadable as error:
            newer = self._newest()
            if newer.version == snapshot.version:
                raise SnapshotUnreadable(
                    f"A file of snapshot {snapshot.version} is damaged or gone; run warehouse_job to publish again."
                ) from error
            # Between the two looks so much was published that the files are gone.
            return self._opened(newer)


def open_snapshot(folder: Path, snapshot: Snapshot, limits: QueryLimits = DEFAULT_LIMITS) -> HardenedDatabase:
    """The marts of a snapshot as one database.

    Raises:
        DatabaseUnreadable: a file is damaged or gone.
    """
    return HardenedDatabase(
        {name: folder / table.file for name, table in snapshot.tables.items()},
        views={("marts", name): f"FROM {quoted(name)}.marts.{quoted(name)}" for name in snapshot.tables},
        limits=limits,
    )
