"""In-stream predictions: the newest of each model and entity, and how far the stream was scored.

Both change in one transaction, so the position never claims a prediction that a crash has taken.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from platform_assets.contracts.predictions import StreamPrediction, decode_prediction, encode_prediction
from resources.online_store.database import Database

_SCHEMA = """
CREATE TABLE IF NOT EXISTS predictions (
    model TEXT NOT NULL,
    entity_id TEXT NOT NULL,
    source_log TEXT NOT NULL,
    source_partition INTEGER NOT NULL,
    source_offset INTEGER NOT NULL,
    predicted_ms INTEGER NOT NULL,
    record BLOB NOT NULL,
    PRIMARY KEY (model, entity_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS positions (
    reader TEXT NOT NULL,
    topic TEXT NOT NULL,
    log TEXT NOT NULL,
    partition INTEGER NOT NULL,
    next_offset INTEGER NOT NULL,
    PRIMARY KEY (reader, topic, log, partition)
) WITHOUT ROWID;
"""
# Along one partition the log decides, not the clock: a worker that slept through the loss of its partition is behind.
_PUT = """
INSERT INTO predictions VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET source_log = excluded.source_log, source_partition = excluded.source_partition,
    source_offset = excluded.source_offset, predicted_ms = excluded.predicted_ms, record = excluded.record
WHERE CASE
    WHEN (excluded.source_log, excluded.source_partition) = (source_log, source_partition)
    THEN excluded.source_offset >= source_offset
    ELSE excluded.predicted_ms >= predicted_ms
END
"""
_MOVE = """
INSERT INTO positions VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET next_offset = max(next_offset, excluded.next_offset)
"""
_GET = "SELECT record FROM predictions WHERE model = ? AND entity_id = ?"
_POSITIONS = "SELECT partition, next_offset FROM positions WHERE reader = ? AND topic = ? AND log = ?"

Place = tuple[str, str, int]
"""Topic, log and partition."""


class PredictionStore(Protocol):
    """What a deployment's store of in-stream predictions does."""

    def put_predictions(
        self, reader: str, predictions: Sequence[StreamPrediction], positions: Mapping[Place, int]
    ) -> None:
        """Keep the newest prediction of each model and entity, and move the reader's positions, all at once."""

    def get_prediction(self, model: str, entity_id: str) -> StreamPrediction | None:
        """The newest prediction, or None where the stream made none."""

    def positions(self, reader: str, topic: str, log: str) -> dict[int, int]:
        """The next offset to score by partition; a partition that was never scored is not in it."""


class SqlitePredictionStore:
    """The in-stream predictions of one machine. Safe to share between threads; readers may be processes."""

    def __init__(self, path: Path) -> None:
        # Not synced per call: a power cut takes predictions and positions together, and the scorer makes them again.
        self._database = Database(path, _SCHEMA, synchronous="NORMAL")

    def put_predictions(
        self, reader: str, predictions: Sequence[StreamPrediction], positions: Mapping[Place, int]
    ) -> None:
        """One transaction. Newest is the higher offset of one partition, else the later time; positions only grow.

        Raises:
            OnlineStoreError: the file cannot be written; nothing is changed.
        """
        rows = [
            (
                made.model,
                made.entity_id,
                made.source_log,
                made.source_partition,
                made.source_offset,
                made.predicted_ms,
                encode_prediction(made),
            )
            for made in predictions
        ]
        with self._database.write() as writer:
            writer.executemany(_PUT, rows)
            writer.executemany(_MOVE, [(reader, *place, offset) for place, offset in positions.items()])

    def get_prediction(self, model: str, entity_id: str) -> StreamPrediction | None:
        """The newest prediction of an entity; None where the stream made none.

        Raises:
            OnlineStoreError: the file is there and cannot be read.
        """
        rows = self._database.read(_GET, (model, entity_id))
        return decode_prediction(rows[0][0]) if rows else None

    def positions(self, reader: str, topic: str, log: str) -> dict[int, int]:
        """How far a reader has scored a log, by partition; empty for a log that is new to it.

        Raises:
            OnlineStoreError: the file is there and cannot be read.
        """
        return dict(self._database.read(_POSITIONS, (reader, topic, log)))

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        self._database.close()
