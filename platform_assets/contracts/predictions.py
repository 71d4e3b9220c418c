"""What is asked of a model over HTTP, and what it answers."""

import datetime as dt
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

CHURN = "churn"


class PredictionRequest(BaseModel):
    """Ask for the prediction of one entity."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"entity_id": "1228"}]})

    entity_id: Annotated[str, Field(min_length=1, max_length=128, description="For churn: the household's id.")]


class Prediction(BaseModel):
    """The champion's answer for one entity."""

    # pydantic reserves the prefix model_, which here is the field's right name.
    model_config = ConfigDict(protected_namespaces=())

    entity_id: str
    probability: Annotated[float, Field(ge=0, le=1, description="For churn: of no purchase in the next 28 days.")]
    model: str
    model_version: str
    features_as_of: Annotated[dt.date, Field(description="The features know what happened before this day.")]
