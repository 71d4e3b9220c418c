"""One SQLite file of the online store: a reader that is never in a writer's way, and short write transactions."""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

Row = tuple[Any, ...]

# Another process may hold the file for one transaction; the longest replaces some thousand rows.
BUSY_TIMEOUT_S = 30.0


class OnlineStoreError(RuntimeError):
    """The store cannot be read or written; the message names the file and the cause."""


class Database:
    """A file in WAL mode. Safe to share between threads; readers and writers may be processes.

    Args:
        path: the file; made with its folder by the first write.
        schema: the statements that make the tables where they are missing.
        synchronous: FULL syncs every transaction to the disk. NORMAL syncs when the WAL is folded into the file: a
            power cut can take the last transactions and never tears one; a killed process loses none.
    """

    def __init__(self, path: Path, schema: str, synchronous: Literal["FULL", "NORMAL"]) -> None:
        self._path = path
        self._schema = schema
        self._synchronous = synchronous
        self._reading = threading.Lock()
        self._writing = threading.Lock()
        self._reader: sqlite3.Connection | None = None
        self._reader_file: tuple[int, int] | None = None
        self._writer: sqlite3.Connection | None = None
        self._writer_file: tuple[int, int] | None = None

    def read(self, query: str, parameters: Sequence[str | int | None]) -> list[Row]:
        """The rows of a query; none while there is no file, or none with its tables.

        Raises:
            OnlineStoreError: the file is there and cannot be read.
        """
        # One connection under a lock: a read holds it for some 20 µs, less than a connection per thread would cost.
        with self._reading:
            try:
                reader = self._open_reader()
                return [] if reader is None else reader.execute(query, parameters).fetchall()
            except (OSError, sqlite3.Error) as error:
                self._close_reader()
                if "no such table" in str(error):  # a writer has made the file and not yet its tables
                    return []
                raise OnlineStoreError(f"The online store {self._path} cannot be read: {error}") from error

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction: it is committed at the end of the block and rolled back where the block raises.

        Raises:
            OnlineStoreError: the file cannot be written; nothing is changed.
        """
        with self._writing:
            try:
                writer = self._open_writer()
                writer.execute("BEGIN IMMEDIATE")
                with writer:
                    yield writer
            except (OSError, sqlite3.Error) as error:
                self._close_writer()
                raise OnlineStoreError(f"The online store {self._path} was not written: {error}") from error

    def close(self) -> None:
        """Close the connections; the next use opens them again."""
        with self._reading:
            self._close_reader()
        with self._writing:
            self._close_writer()

    def _open_reader(self) -> sqlite3.Connection | None:
        found = self._file()
        # A reset puts another file in the place of the one that is open.
        if self._reader is None or self._reader_file != found:
            self._close_reader()
            if found is None:
                return None
            self._reader = sqlite3.connect(
                f"{self._path.resolve().as_uri()}?mode=ro", uri=True, timeout=5, check_same_thread=False
            )
            self._reader_file = found
        return self._reader

    def _open_writer(self) -> sqlite3.Connection:
        if self._writer is None or self._writer_file != self._file():
            self._close_writer()
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = sqlite3.connect(
                self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            self._writer.execute("PRAGMA journal_mode = WAL")
            self._writer.execute(f"PRAGMA synchronous = {self._synchronous}")
            self._writer.executescript(self._schema)
            self._writer_file = self._file()
        return self._writer

    def _file(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _close_writer(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
