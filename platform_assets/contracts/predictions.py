"""What is asked of a model over HTTP, what it answers, and what it says in the stream."""

import datetime as dt
from typing import Annotated

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from platform_assets.contracts.features import CUSTOMER_ACTIVITY, FeatureSet

CHURN = "churn"

SERVED: dict[str, FeatureSet] = {CHURN: CUSTOMER_ACTIVITY}
"""The models whose champions answer over HTTP and in the stream, and the features each reads over HTTP."""


class PredictionRequest(BaseModel):
    """Ask for the prediction of one entity."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"entity_id": "1228"}]})

    entity_id: Annotated[str, Field(min_length=1, max_length=128, description="For churn: the household's id.")]


class Prediction(BaseModel):
    """The champion's answer for one entity."""

    # pydantic reserves the prefix model_, which here is the field's right name.
    model_config = ConfigDict(
        protected_namespaces=(),
        json_schema_extra={
            "examples": [
                {
                    "entity_id": "1228",
                    "probability": 0.083,
                    "model": "churn",
                    "model_version": "3",
                    "features_as_of": "2017-12-01",
                }
            ]
        },
    )

    entity_id: str
    probability: Annotated[float, Field(ge=0, le=1, description="For churn: of no purchase in the next 28 days.")]
    model: str
    model_version: str
    features_as_of: Annotated[dt.date, Field(description="The features know what happened before this day.")]


class InStreamPrediction(Prediction):
    """The newest prediction that the stream made of an entity, after one of its events."""

    model_config = ConfigDict(
        protected_namespaces=(),
        json_schema_extra={
            "examples": [
                {
                    "entity_id": "1228",
                    "probability": 0.083,
                    "model": "churn",
                    "model_version": "3",
                    "features_as_of": "2017-12-01",
                    "prediction_id": "churn/3/nPkqoW2ZQbqk3m1Kd4CqXQ/2/41873/1228",
                    "predicted_at": "2026-11-23T12:00:00.120000Z",
                }
            ]
        },
    )

    features_as_of: Annotated[
        dt.date, Field(description="Batch features know what happened before this day, live ones what did on it.")
    ]
    prediction_id: Annotated[str, Field(description="The same in the record of predictions.v1.")]
    predicted_at: Annotated[dt.datetime, Field(description="When the model was asked, UTC.")]


class StreamPrediction(msgspec.Struct, frozen=True, kw_only=True):
    """One record of `predictions.v1`: the score of one entity, asked for by a change of its windows.

    The source is the record of the change. After a crash the records behind the last kept position are read again:
    the same (model, version, entity, source) then comes again under the same id, perhaps from newer features, and
    the newest by `predicted_ms` counts. Times in milliseconds since the epoch.
    """

    prediction_id: str
    model: str
    model_version: str
    entity_id: str
    probability: float
    features_as_of: dt.date
    predicted_ms: int
    source_topic: str
    source_log: str
    source_partition: int
    source_offset: int


def prediction_id(model: str, version: str, entity_id: str, source: str) -> str:
    """Identifies what a model's version says of an entity after one record; `source` is its log/partition/offset.

    The entity comes last, since it may hold slashes.
    """
    return f"{model}/{version}/{source}/{entity_id}"


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(StreamPrediction)


def encode_prediction(prediction: StreamPrediction) -> bytes:
    """The bytes of a record of `predictions.v1`."""
    return _encoder.encode(prediction)


def decode_prediction(value: bytes) -> StreamPrediction:
    """The inverse of `encode_prediction`. Raises msgspec.MsgspecError."""
    return _decoder.decode(value)
