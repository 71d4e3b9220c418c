"""Live features: the newest window of each definition and entity, written by the stream about once a second.

Windows are kept rather than finished features: after a restart the worker knows some of an entity's windows again and
not the others, and one that it does not know must not empty what another wrote.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from platform_assets.contracts.features import LiveFeatureSet
from platform_assets.contracts.windows import WindowDefinition
from platform_assets.features.live import LIVE_WINDOWS, NewestWindow, live_features
from resources.online_store.database import Database

_SCHEMA = """
CREATE TABLE IF NOT EXISTS live_windows (
    entity_id TEXT NOT NULL,
    window_name TEXT NOT NULL,
    version INTEGER NOT NULL,
    start_ms INTEGER NOT NULL,
    end_ms INTEGER NOT NULL,
    window_values TEXT NOT NULL,
    PRIMARY KEY (entity_id, window_name, version)
) WITHOUT ROWID;
"""
# A replay after a crash passes through older windows again; equal ends are later states of one window.
_PUT = """
INSERT INTO live_windows
SELECT value ->> 0, :name, :version, value ->> 1, value ->> 2, value -> 3 FROM json_each(:windows) WHERE TRUE
ON CONFLICT DO UPDATE SET start_ms = excluded.start_ms, end_ms = excluded.end_ms, window_values = excluded.window_values
WHERE excluded.end_ms >= end_ms
"""
_GET = """
SELECT entity_id, window_name, version, start_ms, end_ms, window_values
FROM live_windows WHERE entity_id IN (SELECT value FROM json_each(?))
"""

WindowRow = Sequence[Any]
"""[key, start_ms, end_ms, count, *values], as in a record of `windows.v1`."""


class LiveVector(msgspec.Struct, frozen=True, kw_only=True):
    """The live features of one entity. `as_of` is event time: the last thing that is known to have happened."""

    entity_id: str
    as_of: dt.datetime
    values: dict[str, float | None]


class LiveStore(Protocol):
    """What a deployment's store of live features does."""

    def put_live(self, definition: WindowDefinition, rows: Iterable[WindowRow]) -> None:
        """Keep these windows where they are at least as new as the ones that are there."""

    def get_live(self, feature_set: LiveFeatureSet, entity_ids: Sequence[str]) -> dict[str, LiveVector]:
        """The live features of entities by id; those of which nothing is known are left out."""


_encoder = msgspec.json.Encoder()
_values_decoder = msgspec.json.Decoder(list[float | None])


class SqliteLiveStore:
    """The live features of one machine. Safe to share between threads; readers may be processes."""

    def __init__(self, path: Path) -> None:
        # Not synced per call: what a power cut takes, the worker makes again from its checkpoint and the log.
        self._database = Database(path, _SCHEMA, synchronous="NORMAL")

    def put_live(self, definition: WindowDefinition, rows: Iterable[WindowRow]) -> None:
        """One transaction; 5,000 rows take 7 to 10 ms. Of two windows of a key the one that ends later is kept.

        Raises:
            OnlineStoreError: the file cannot be written; nothing is changed.
        """
        # One statement: SQLite gives the interpreter back once, not at every row, while the stream's threads want it.
        windows = _encoder.encode([(row[0], row[1], row[2], row[3:]) for row in rows]).decode()
        with self._database.write() as writer:
            writer.execute(_PUT, {"name": definition.name, "version": definition.version, "windows": windows})

    def get_live(self, feature_set: LiveFeatureSet, entity_ids: Sequence[str]) -> dict[str, LiveVector]:
        """Every entity's windows are of one state; see `platform_assets.features.live` for what becomes of them.

        Raises:
            OnlineStoreError: the file is there and cannot be read.
        """
        wanted = {(name, LIVE_WINDOWS[name].version) for name in feature_set.windows}
        found: dict[str, dict[str, NewestWindow]] = {}
        for entity_id, name, version, start_ms, end_ms, values in self._database.read(
            _GET, (_encoder.encode(entity_ids).decode(),)
        ):
            if (name, version) in wanted:
                window = NewestWindow(start_ms, end_ms, _values_decoder.decode(values))
                found.setdefault(entity_id, {})[name] = window
        return {entity_id: _vector(feature_set, entity_id, newest) for entity_id, newest in found.items()}

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        self._database.close()


def _vector(feature_set: LiveFeatureSet, entity_id: str, newest: dict[str, NewestWindow]) -> LiveVector:
    as_of_ms, values = live_features(feature_set, newest)
    return LiveVector(entity_id=entity_id, as_of=dt.datetime.fromtimestamp(as_of_ms / 1000, dt.UTC), values=values)
