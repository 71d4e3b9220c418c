"""Batch features: the newest of each entity, replaced as a whole by a run.

A run replaces all rows of a feature set's version in one transaction while readers go on with those from before it.
"""

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from platform_assets.contracts.features import FeatureSet
from resources.online_store.database import Database

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
_SELECT_MANY = """
SELECT features.entity_id, sets.as_of, features.feature_values
FROM features JOIN feature_sets AS sets USING (name, version)
WHERE features.name = ? AND features.version = ? AND features.entity_id IN (SELECT value FROM json_each(?))
"""
_DESCRIBE = "SELECT as_of, written_at, entity_count FROM feature_sets WHERE name = ? AND version = ?"


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

    def get_many(self, feature_set: FeatureSet, entity_ids: Sequence[str]) -> dict[str, FeatureVector]:
        """The features of several entities by id, all of one state; entities without features are left out."""

    def describe(self, feature_set: FeatureSet) -> StoredFeatures | None:
        """Age and size of what is stored, or None where nothing was stored yet."""


_encoder = msgspec.json.Encoder()
_values_decoder = msgspec.json.Decoder(dict[str, float | None])


class SqliteOnlineStore:
    """The online store of one machine. Safe to share between threads; readers and one writer may be processes."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, _SCHEMA, synchronous="FULL")

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
        with self._database.write() as writer:
            writer.execute("DELETE FROM features WHERE name = ? AND version = ?", key)
            writer.executemany("INSERT INTO features VALUES (?, ?, ?, ?)", encoded)
            writer.execute(
                "INSERT OR REPLACE INTO feature_sets VALUES (?, ?, ?, ?, ?)",
                (*key, as_of.isoformat(), written_at, len(encoded)),
            )
        return len(encoded)

    def get_features(self, feature_set: FeatureSet, entity_id: str) -> FeatureVector | None:
        """The features of one entity; None for an unknown one, and while nothing has been stored.

        Raises:
            OnlineStoreError: the file is there and cannot be read.
        """
        rows = self._database.read(_SELECT, (feature_set.name, feature_set.version, entity_id))
        if not rows:
            return None
        ((as_of, values),) = rows
        return FeatureVector(
            entity_id=entity_id, as_of=dt.date.fromisoformat(as_of), values=_values_decoder.decode(values)
        )

    def get_many(self, feature_set: FeatureSet, entity_ids: Sequence[str]) -> dict[str, FeatureVector]:
        """The features of several entities in one look; unknown entities are left out.

        Raises:
            OnlineStoreError: the file is there and cannot be read.
        """
        wanted = _encoder.encode(entity_ids).decode()
        return {
            entity_id: FeatureVector(
                entity_id=entity_id, as_of=dt.date.fromisoformat(as_of), values=_values_decoder.decode(values)
            )
            for entity_id, as_of, values in self._database.read(
                _SELECT_MANY, (feature_set.name, feature_set.version, wanted)
            )
        }

    def describe(self, feature_set: FeatureSet) -> StoredFeatures | None:
        """Age and size of what is stored; None while nothing has been stored.

        Raises:
            OnlineStoreError: the file is there and cannot be read.
        """
        rows = self._database.read(_DESCRIBE, (feature_set.name, feature_set.version))
        if not rows:
            return None
        ((as_of, written_at, entity_count),) = rows
        return StoredFeatures(
            as_of=dt.date.fromisoformat(as_of),
            written_at=dt.datetime.fromisoformat(written_at),
            entity_count=entity_count,
        )

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        self._database.close()


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
