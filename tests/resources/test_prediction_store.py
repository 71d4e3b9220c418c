"""The store of in-stream predictions: the newest wins, and positions never run ahead of what was kept."""

import datetime as dt
import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest

from platform_assets.contracts.predictions import StreamPrediction, prediction_id
from resources.online_store import OnlineStoreError, SqlitePredictionStore

TOPIC = "windows.v1"


@pytest.fixture
def store(tmp_path: Path) -> SqlitePredictionStore:
    """A store whose file does not exist yet."""
    return SqlitePredictionStore(tmp_path / "predictions.sqlite")


def a_prediction(entity_id: str = "1228", **changes: Any) -> StreamPrediction:
    """A prediction after record 5 of partition 0 of log L."""
    made = StreamPrediction(
        prediction_id=prediction_id("churn", "1", entity_id, "L/0/5"),
        model="churn",
        model_version="1",
        entity_id=entity_id,
        probability=0.25,
        features_as_of=dt.date(2017, 12, 1),
        predicted_ms=1_000,
        source_topic=TOPIC,
        source_log="L",
        source_partition=0,
        source_offset=5,
    )
    return msgspec.structs.replace(made, **changes)


def test_store_gives_back_what_was_put_and_none_for_others(store: SqlitePredictionStore) -> None:
    assert store.get_prediction("churn", "1228") is None
    made = a_prediction()
    store.put_predictions("scorer", [made, a_prediction("17")], {})
    assert store.get_prediction("churn", "1228") == made
    assert store.get_prediction("other", "1228") is None


@pytest.mark.parametrize(
    ("change", "wins"),
    [
        ({"source_offset": 6, "predicted_ms": 900}, True),
        ({"source_offset": 4, "predicted_ms": 2_000}, False),
        ({"source_offset": 5, "predicted_ms": 1_100}, True),
        ({"source_log": "M", "source_offset": 0, "predicted_ms": 1_100}, True),
        ({"source_log": "M", "source_offset": 9, "predicted_ms": 900}, False),
    ],
    ids=["further", "behind", "again", "a new log", "an old log"],
)
def test_newest_is_the_higher_offset_of_a_partition_else_the_later_time(
    store: SqlitePredictionStore, change: dict[str, Any], wins: bool
) -> None:
    first, second = a_prediction(), a_prediction(probability=0.75, **change)
    store.put_predictions("scorer", [first], {})
    store.put_predictions("scorer", [second], {})
    assert store.get_prediction("churn", "1228") == (second if wins else first)


def test_positions_belong_to_reader_and_log_and_only_grow(store: SqlitePredictionStore) -> None:
    assert store.positions("scorer", TOPIC, "L") == {}
    store.put_predictions("scorer", [], {(TOPIC, "L", 0): 10, (TOPIC, "L", 3): 4})
    store.put_predictions("scorer", [], {(TOPIC, "L", 0): 7, (TOPIC, "M", 0): 1})
    assert store.positions("scorer", TOPIC, "L") == {0: 10, 3: 4}
    assert store.positions("scorer", TOPIC, "M") == {0: 1}
    assert store.positions("another", TOPIC, "L") == {}


def test_position_does_not_move_without_its_predictions(store: SqlitePredictionStore, tmp_path: Path) -> None:
    """A trigger fails the last statement, as a full disk would."""
    store.put_predictions("scorer", [a_prediction()], {(TOPIC, "L", 0): 6})
    with sqlite3.connect(tmp_path / "predictions.sqlite") as connection:
        connection.execute("CREATE TRIGGER fail BEFORE UPDATE ON positions BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    connection.close()
    with pytest.raises(OnlineStoreError, match="disk full"):
        store.put_predictions("scorer", [a_prediction("17", source_offset=8)], {(TOPIC, "L", 0): 9})
    assert store.get_prediction("churn", "17") is None
    assert store.positions("scorer", TOPIC, "L") == {0: 6}
