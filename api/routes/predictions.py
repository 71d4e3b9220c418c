"""POST /v1/predictions/{model}: a promoted model's answer for one entity."""

import logging
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Request

from api.dependencies import Metadata, ThePredictions
from api.envelope import StandardResponse
from api.problems import ProblemError, unavailable
from api.services.predictions import NotServable, UnknownEntity, UnknownModel
from platform_assets.contracts.predictions import Prediction, PredictionRequest
from resources.online_store import OnlineStoreError

router = APIRouter(prefix="/predictions", tags=["predictions"])
logger = logging.getLogger(__name__)

ModelName = Annotated[str, Path(max_length=128, description="The model's name.", examples=["churn"])]


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
        logger.exception("The online store cannot be read", extra={"request_id": request.state.request_id})
        raise unavailable("online-store-unavailable", "The online store cannot be read just now.") from error
    return StandardResponse(success=True, data=prediction, message="Prediction made", metadata=metadata)
