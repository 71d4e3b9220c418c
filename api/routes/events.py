"""POST /v1/events: the front door."""

import json
import logging
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.dependencies import Metadata, SettingsInForce, TheIngestion
from api.envelope import APIMetadata, StandardResponse
from api.problems import ProblemError, unavailable
from api.services.batches import JSON, MEDIA_TYPES, NDJSON, MalformedBatch, TooManyEvents, split_body
from api.services.ingestion import IngestionBusy, IngestionPaused, Outcome
from resources.event_log.gate import RETRY_AFTER_S
from resources.event_log.topics import LogUnavailable

# A batch sender knows its own ids; someone who tries the route by hand wants to see the ones that were minted.
MAX_LISTED_IDS = 100

logger = logging.getLogger(__name__)
router = APIRouter(prefix="/events", tags=["events"])


class Refusal(BaseModel):
    """One event that was not taken."""

    index: int = Field(description="Its place in the request, from 0; in NDJSON without the blank lines.")
    event_id: str = Field(description="Its id as sent, or the one under which the rejection is recorded.")
    reason: str


class IngestionReceipt(BaseModel):
    """What became of the events of one request; accepted + refused = sent."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"accepted": 1, "refused": 0, "event_ids": ["0197c2f6-7c1a-7d4e-8f3b-2a9d5e6c7b80"], "refusals": []}
            ]
        }
    )

    accepted: int = Field(description="Events that the log has acknowledged.")
    refused: int = Field(description="Events that were recorded as rejected.")
    event_ids: Annotated[
        list[str] | None,
        Field(
            description=f"The ids of the accepted events, in order; null in requests of over {MAX_LISTED_IDS} events."
        ),
    ] = None
    refusals: list[Refusal] = Field(default_factory=list, description="The refused events, in order.")


_EXAMPLE = {
    "event_name": "page_viewed",
    "event_type": "user_action",
    "user_id": "user-42",
    "occurred_at": "2026-01-15T09:30:00Z",
    "source_service": "web",
    "payload": {"path": "/pricing"},
}
_REQUEST_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        JSON: {
            "schema": {
                "anyOf": [
                    {"$ref": "#/components/schemas/NewEvent"},
                    {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/NewEvent"}},
                ]
            },
            "examples": {"one event": {"value": _EXAMPLE}, "two events": {"value": [_EXAMPLE, _EXAMPLE]}},
        },
        NDJSON: {
            "schema": {"type": "string", "description": "One event a line; blank lines are skipped."},
            "example": json.dumps(_EXAMPLE) + "\n" + json.dumps(_EXAMPLE),
        },
    },
}


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    response_model=StandardResponse[IngestionReceipt],
    summary="Send events",
    response_description="Every event is on the log.",
    responses={
        207: {"model": StandardResponse[IngestionReceipt], "description": "Some events were refused."},
        413: {"description": "The body is too large, or holds too many events; nothing of it was read as events."},
        415: {"description": f"Not {JSON} or {NDJSON}, or compressed."},
        422: {"description": "No event was accepted; `refusals` says why, each is recorded."},
        503: {
            "description": "The event log did not acknowledge, or ingestion is paused. Send it again after Retry-After."
        },
    },
    openapi_extra={"requestBody": _REQUEST_BODY},
)
async def post_events(
    request: Request, settings: SettingsInForce, ingestion: TheIngestion, metadata: Metadata
) -> Response:
    """One event, an array of events, or NDJSON with one event a line.

    The answer comes once the log has acknowledged every event, accepted or refused. After a 503 or without an answer
    send the same events again with the same ids: each is kept once.
    """
    media_type = _media_type(request)
    try:
        with ingestion.admitted():
            body = await request.body()
            outcome = await _take(ingestion, request, media_type, body, settings.api.max_batch_events)
    except IngestionPaused as error:
        raise unavailable("ingestion-paused", f"Ingestion is paused: {error}.", retry_after_s=RETRY_AFTER_S) from None
    except IngestionBusy as error:
        raise unavailable("ingestion-busy", f"{error}. Send the same events again later.") from None
    except LogUnavailable as error:
        logger.warning(
            "Events were not acknowledged", extra={"request_id": request.state.request_id, "cause": str(error)}
        )
        raise unavailable(
            "event-log-unavailable",
            "The event log did not acknowledge these events in time. Send them again with the same ids.",
        ) from error
    return _answer(outcome, metadata)


async def _take(ingestion: TheIngestion, request: Request, media_type: str, body: bytes, max_events: int) -> Outcome:
    request_id: str = request.state.request_id
    try:
        events = split_body(media_type, body, max_events=max_events)
    except MalformedBatch as error:
        return await ingestion.refuse_whole(body, reason=str(error), correlation_id=request_id)
    except TooManyEvents as error:
        detail = f"{error} Send it in smaller parts."
        raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-many-events", detail) from None
    return await ingestion.take(events, correlation_id=request_id, traceparent=request.state.traceparent)


def _media_type(request: Request) -> str:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in MEDIA_TYPES:
        detail = f"Send events with Content-Type {' or '.join(MEDIA_TYPES)}, not {media_type or 'none'}."
    elif request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        detail = "Compressed bodies are not taken; send the events without Content-Encoding."
    else:
        return media_type
    raise ProblemError(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        detail,
        headers={"Accept-Post": ", ".join(MEDIA_TYPES), "Connection": "close"},
    )


def _answer(outcome: Outcome, metadata: APIMetadata) -> Response:
    accepted, refused = len(outcome.event_ids), len(outcome.refused)
    receipt = IngestionReceipt(
        accepted=accepted,
        refused=refused,
        event_ids=outcome.event_ids if accepted + refused <= MAX_LISTED_IDS else None,
        refusals=[Refusal(index=item.index, event_id=item.event_id, reason=item.reason) for item in outcome.refused],
    )
    if not accepted:
        detail = (
            "No event was accepted; `refusals` says why." if refused else "The body holds no event; send at least one."
        )
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "no-event-accepted",
            detail,
            members=receipt.model_dump(exclude={"event_ids"}),
        )
    message = f"{accepted:,} accepted" + (f", {refused:,} refused" if refused else "")
    envelope = StandardResponse[IngestionReceipt](success=True, data=receipt, message=message, metadata=metadata)
    status = HTTPStatus.MULTI_STATUS if refused else HTTPStatus.ACCEPTED
    return Response(envelope.model_dump_json(), status.value, media_type=JSON)
