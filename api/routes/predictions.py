"""POST /v1/predictions/{model}: a promoted model's answer for one entity.

GET /v1/predictions/{model}/{entity}: what the stream last predicted of it, after one of its events.
"""

import asyncio
import logging
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Request

from api.dependencies import Metadata, ThePredictions
from api.envelope import StandardResponse
from api.problems import ProblemError, unavailable
from api.services.predictions import NotPredicted, NotServable, UnknownEntity, UnknownModel
from api.strict_json import StrictJsonRoute
from platform_assets.contracts.predictions import InStreamPrediction, Prediction, PredictionRequest
from resources.online_store import OnlineStoreError

router = APIRouter(prefix="/predictions", tags=["predictions"], route_class=StrictJsonRoute)
logger = logging.getLogger(__name__)

ModelName = Annotated[str, Path(max_length=128, description="The model's name.", examples=["churn"])]
EntityId = Annotated[str, Path(max_length=128, description="For churn: the household's id.", examples=["1228"])]


@router.post(
    "/{model}",
    summary="Ask a model about an entity",
    response_description="The champion's answer.",
    responses={
        404: {"description": "No such model, or no features of this entity."},
        503: {"description": "No model has been promoted yet, or it does not fit the stored features."},
    },
)
async def post_prediction(
    request: Request, model: ModelName, asked: PredictionRequest, predictions: ThePredictions, metadata: Metadata
) -> StandardResponse[Prediction]:
    """The champion's probability on the newest features; `features_as_of` says how new those are."""
    try:
        prediction = await predictions.predict(model, asked.entity_id)
    except UnknownModel as error:
        raise ProblemError(HTTPStatus.NOT_FOUND, "unknown-model", str(error)) from None
    except UnknownEntity as error:
        raise ProblemError(HTTPStatus.NOT_FOUND, "unknown-entity", str(error)) from None
    except NotServable as error:
        raise unavailable("model-not-servable", str(error), retry_after_s=5) from None
    except OnlineStoreError as error:
        raise _unreadable(request, error) from error
    return StandardResponse(success=True, data=prediction, message="Prediction made", metadata=metadata)


@router.get(
    "/{model}/{entity}",
    summary="The newest in-stream prediction of an entity",
    response_description="What the stream last predicted.",
    responses={
        404: {"description": "The stream has made no such prediction."},
        503: {"description": "The online store cannot be read."},
    },
)
async def get_prediction(
    request: Request, model: ModelName, entity: EntityId, predictions: ThePredictions, metadata: Metadata
) -> StandardResponse[InStreamPrediction]:
    """Made by the scorer within about a second of the entity's newest event; no model is asked for this answer."""
    try:
        prediction = await asyncio.to_thread(predictions.newest_in_stream, model, entity)
    except NotPredicted as error:
        raise ProblemError(HTTPStatus.NOT_FOUND, "not-predicted", str(error)) from None
    except OnlineStoreError as error:
        raise _unreadable(request, error) from error
    return StandardResponse(success=True, data=prediction, message="Prediction found", metadata=metadata)


def _unreadable(request: Request, error: OnlineStoreError) -> ProblemError:
    logger.error("The online store cannot be read", exc_info=error, extra={"request_id": request.state.request_id})
    return unavailable("online-store-unavailable", "The online store cannot be read just now.")
