"""The record of an in-stream prediction: what a reader gets is what was written, and an id names one place."""

import datetime as dt

import msgspec
import pytest

from platform_assets.contracts.landing import LOG_COLUMNS, PREDICTION_COLUMNS
from platform_assets.contracts.predictions import (
    StreamPrediction,
    decode_prediction,
    encode_prediction,
    prediction_id,
)

PREDICTION = StreamPrediction(
    prediction_id=prediction_id("churn", "3", "a/b", "L/2/41"),
    model="churn",
    model_version="3",
    entity_id="a/b",
    probability=0.1 + 0.2,
    features_as_of=dt.date(2017, 12, 1),
    predicted_ms=1_700_000_000_123,
    source_topic="windows.v1",
    source_log="L",
    source_partition=2,
    source_offset=41,
)


def test_prediction_comes_back_as_it_was_to_the_last_bit() -> None:
    assert decode_prediction(encode_prediction(PREDICTION)) == PREDICTION


def test_prediction_id_says_model_version_place_and_entity() -> None:
    assert PREDICTION.prediction_id == "churn/3/L/2/41/a/b"


def test_prediction_holds_every_column_of_its_landing_files() -> None:
    """Times are called after their unit in the record, and are times in the files."""
    fields = {name.replace("predicted_ms", "predicted_at") for name in StreamPrediction.__struct_fields__}
    assert fields == set(PREDICTION_COLUMNS) - set(LOG_COLUMNS)


@pytest.mark.parametrize("value", [b"", b"{}", b"nope"])
def test_what_is_no_prediction_is_an_error(value: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode_prediction(value)
