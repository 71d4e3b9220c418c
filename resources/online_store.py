"""The online store: the newest features of each entity, read in well under a millisecond.

SQLite in WAL mode: a run replaces all rows of a feature set's version in one transaction while readers go on with the
rows from before it. Nothing beyond the standard library and msgspec, since the request process imports this.
"""

import contextlib
import datetime as dt
import math
import sqlite3
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec

from platform_assets.contracts.features import FeatureSet

_SCHEMA = """
CREATE TABLE IF NOT EXISTS feature_sets (
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    as_of TEXT NOT NULL,
    written_at TEXT NOT NULL,
    entity_count INTEGER NOT NULL,
    PRIMARY KEY (name, version)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS features (
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    entity_id TEXT NOT NULL,
    feature_values TEXT NOT NULL,
    PRIMARY KEY (name, version, entity_id)
) WITHOUT ROWID;
"""
# One statement reads date and values, so both come from one transaction's state.
_SELECT = """
SELECT sets.as_of, features.feature_values
FROM features JOIN feature_sets AS sets USING (name, version)
WHERE features.name = ? AND features.version = ? AND features.entity_id = ?
"""
_DESCRIBE = "SELECT as_of, written_at, entity_count FROM feature_sets WHERE name = ? AND version = ?"


class OnlineStoreError(RuntimeError):
    """The store cannot be read or written; the message names the file and the cause."""


class FeatureVector(msgspec.Struct, frozen=True, kw_only=True):
    """The features of one entity. `values` holds every feature of the set by name; null where undefined."""

    entity_id: str
    as_of: dt.date
    values: dict[str, float | None]


class StoredFeatures(msgspec.Struct, frozen=True, kw_only=True):
    """What the store holds of a feature set's version."""

    as_of: dt.date
    written_at: dt.datetime
    entity_count: int


class OnlineStore(Protocol):
    """What a deployment's online store does; entity ids are unique within a feature set."""

    def put_features(
        self, feature_set: FeatureSet, as_of: dt.date, rows: Iterable[tuple[str, Mapping[str, float | None]]]
    ) -> int:
        """Replace all rows of this version of the feature set at once; returns how many entities it now holds."""

    def get_features(self, feature_set: FeatureSet, entity_id: str) -> FeatureVector | None:
        """The features of one entity, or None where there are none."""

    def describe(self, feature_set: FeatureSet) -> StoredFeatures | None:
        """Age and size of what is stored, or None where nothing was stored yet."""


_encoder = msgspec.json.Encoder()
_values_decoder = msgspec.json.Decoder(dict[str, float | None])


class SqliteOnlineStore:
    """The online store of one machine. Safe to share between threads; readers and one writer may be processes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._reader: sqlite3.Connection | None = None
        self._reader_file: tuple[int, int] | None = None

    def put_features(
        self, feature_set: FeatureSet, as_of: dt.date, rows: Iterable[tuple[str, Mapping[str, float | None]]]
    ) -> int:
        """Replace all rows of this version of the feature set in one transaction; returns the number of entities.

        Raises:
            ValueError: a row lacks a feature, has an unknown one, or an entity comes twice; nothing is changed.
            OnlineStoreError: the file cannot be written; nothing is changed.
        """
        encoded = [
            (feature_set.name, feature_set.version, entity_id, _encode(feature_set, entity_id, values))
            for entity_id, values in rows
        ]
        if len({row[2] for row in encoded}) != len(encoded):
            raise ValueError(
                f"Features {feature_set.name} name an entity twice; give one row per {feature_set.entity}."
            )
        key = (feature_set.name, feature_set.version)
        written_at = dt.datetime.now(dt.UTC).isoformat()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.closing(sqlite3.connect(self._path, timeout=30, isolation_level=None)) as writer:
                writer.execute("PRAGMA journal_mode = WAL")
                writer.execute("PRAGMA synchronous = FULL")
                writer.executescript(_SCHEMA)
                writer.execute("BEGIN IMMEDIATE")
                with writer:  # commits, or rolls back on an exception
                    writer.execute("DELETE FROM features WHERE name = ? AND version = ?", key)
                    writer.executemany("INSERT INTO features VALUES (?, ?, ?, ?)", encoded)
                    writer.execute(
                        "INSERT OR REPLACE INTO feature_sets VALUES (?, ?, ?, ?, ?)",
                        (*key, as_of.isoformat(), written_at, len(encoded)),
                    )
        except (OSError, sqlite3.Error) as error:
            raise OnlineStoreError(f"The online store {self._path} was not written: {error}") from error
        return len(encoded)

    def get_features(self, feature_set: FeatureSet, entity_id: str) -> FeatureVector | None:
        """The features of one entity; None for an unknown one, and while nothing has been stored.

        Raises:
            OnlineStoreError: the file is there and cannot be read.
        """
        row = self._fetch(_SELECT, (feature_set.name, feature_set.version, entity_id))
        if row is None:
            return None
        return FeatureVector(
            entity_id=entity_id, as_of=dt.date.fromisoformat(row[0]), values=_values_decoder.decode(row[1])
        )

    def describe(self, feature_set: FeatureSet) -> StoredFeatures | None:
        """Age and size of what is stored; None while nothing has been stored.

        Raises:
            OnlineStoreError: the file is there and cannot be read.
        """
        row = self._fetch(_DESCRIBE, (feature_set.name, feature_set.version))
        if row is None:
            return None
        return StoredFeatures(
            as_of=dt.date.fromisoformat(row[0]), written_at=dt.datetime.fromisoformat(row[1]), entity_count=row[2]
        )

    def close(self) -> None:
        """Close the reader; the next read opens it again."""
        with self._lock:
            self._close_reader()

    def _fetch(self, query: str, parameters: tuple[str | int, ...]) -> tuple[Any, ...] | None:
        # One connection under a lock: a read holds it for some 20 µs, less than a connection per thread would cost.
        with self._lock:
            try:
                reader = self._open_reader()
                if reader is None:
                    return None
                row: tuple[Any, ...] | None = reader.execute(query, parameters).fetchone()
            except (OSError, sqlite3.Error) as error:
                self._close_reader()
                if "no such table" in str(error):  # a writer has made the file and not yet its tables
                    return None
                raise OnlineStoreError(f"The online store {self._path} cannot be read: {error}") from error
            return row

    def _open_reader(self) -> sqlite3.Connection | None:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._close_reader()
            return None
        # A reset puts another file in the place of the one that is open.
        if self._reader is None or self._reader_file != (status.st_dev, status.st_ino):
            self._close_reader()
            self._reader = sqlite3.connect(
                f"{self._path.resolve().as_uri()}?mode=ro", uri=True, timeout=5, check_same_thread=False
            )
            self._reader_file = (status.st_dev, status.st_ino)
        return self._reader

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None


def _encode(feature_set: FeatureSet, entity_id: str, values: Mapping[str, float | None]) -> str:
    if values.keys() != set(feature_set.feature_names):
        odd = ", ".join(sorted(values.keys() ^ set(feature_set.feature_names)))
        raise ValueError(f"Features {feature_set.name} of {entity_id} lack or have beyond the contract: {odd}")
    plain = {name: _plain(values[name]) for name in feature_set.feature_names}
    return _encoder.encode(plain).decode()


def _plain(value: float | None) -> float | None:
    if value is None or math.isnan(value):
        return None
    if math.isinf(value):
        raise ValueError("A feature is infinite; a ratio with a zero denominator is null.")
    return float(value)
