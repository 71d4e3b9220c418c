"""POST /v1/events: the front door."""

import json
import logging
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.dependencies import get_answers, get_ingestion, get_metadata, get_settings
from api.envelope import APIMetadata, StandardResponse
from api.ingestion_headers import HEADER_PARAMETERS
from api.ingestion_requests import EventsRequest, receive
from api.problems import ProblemError
from api.security.rate_limits import charge
from api.services.batches import JSON, MEDIA_TYPES, NDJSON, MalformedBatch, TooManyEvents, split_body
from api.services.ingestion import Ingestion, Outcome

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
                {
                    "accepted": 1,
                    "refused": 0,
                    "event_ids": ["3f6b1c9e-6d0c-4b0e-9a53-0c3c5d1d7a10"],
                    "refusals": [],
                    "moved_by_s": None,
                    "clamped": 0,
                }
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
    moved_by_s: float | None = Field(
        None, description="Seconds that every occurred_at was moved by, since X-Sent-At shows a clock that is wrong."
    )
    clamped: int = Field(0, description="Events from the future that were taken with the time of receipt.")


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
        400: {"description": "A header is malformed, or the body is not what its Content-Encoding says."},
        409: {"description": "The first request with this Idempotency-Key is not answered yet."},
        413: {"description": "The body is too large, or holds too many events; nothing of it was read as events."},
        415: {"description": f"Not {JSON} or {NDJSON}, or packed otherwise than with gzip or zstd."},
        422: {
            "description": "No event was accepted; `refusals` says why, each is recorded. Or the Idempotency-Key came "
            "with another request before."
        },
        503: {
            "description": "The event log did not acknowledge, too much waits for it, or ingestion is paused. Send it "
            "again after Retry-After."
        },
    },
    openapi_extra={"requestBody": _REQUEST_BODY, "parameters": HEADER_PARAMETERS},
)
async def post_events(request: Request) -> Response:
    """One event, an array of events, or NDJSON with one event a line.

    The answer comes once the log has acknowledged every event, accepted or refused. After a 503 or without an answer
    send the same events again, with the same ids or the same Idempotency-Key: each is kept once.
    """
    # Asked for here and not by FastAPI, which takes 40 µs to find the four.
    settings, metadata = await get_settings(request), await get_metadata(request)
    ingestion, answers = await get_ingestion(request), await get_answers(request)
    api = settings.api
    take = partial(_take, ingestion, metadata=metadata, max_events=api.max_batch_events)
    return await receive(request, ingestion, answers, media_types=MEDIA_TYPES, max_bytes=api.max_body_bytes, take=take)


async def _take(ingestion: Ingestion, received: EventsRequest, *, metadata: APIMetadata, max_events: int) -> Response:
    try:
        bodies = split_body(received.media_type, received.body, max_events=max_events)
    except MalformedBatch as error:
        await charge(received.request, 1)
        outcome = await ingestion.refuse_whole(received.body, received.sender, reason=str(error))
    except TooManyEvents as error:
        detail = f"{error} Send it in smaller parts."
        raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-many-events", detail) from None
    else:
        await charge(received.request, len(bodies))
        outcome = await ingestion.take(bodies, received.sender)
    _log_clock(outcome, received.sender.correlation_id)
    return _answer(outcome, metadata)


def _log_clock(outcome: Outcome, request_id: str) -> None:
    clock = outcome.clock
    if clock.moved or clock.clamped:
        logger.warning(
            "The sender's clock is wrong",
            extra={
                "request_id": request_id,
                "skew_s": clock.skew.total_seconds(),
                "moved": clock.moved,
                "clamped": clock.clamped,
            },
        )


def _answer(outcome: Outcome, metadata: APIMetadata) -> Response:
    accepted, refused, clock = len(outcome.event_ids), len(outcome.refused), outcome.clock
    receipt = IngestionReceipt(
        accepted=accepted,
        refused=refused,
        event_ids=outcome.event_ids if accepted + refused <= MAX_LISTED_IDS else None,
        refusals=[Refusal(index=item.index, event_id=item.event_id, reason=item.reason) for item in outcome.refused],
        moved_by_s=clock.skew.total_seconds() if clock.moved else None,
        clamped=clock.clamped,
    )
    if not accepted:
        members = receipt.model_dump(include={"accepted", "refused", "refusals"})
        detail = (
            "No event was accepted; `refusals` says why." if refused else "The body holds no event; send at least one."
        )
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "no-event-accepted", detail, members=members)
    message = f"{accepted:,} accepted" + (f", {refused:,} refused" if refused else "")
    envelope = StandardResponse[IngestionReceipt](success=True, data=receipt, message=message, metadata=metadata)
    status = HTTPStatus.MULTI_STATUS if refused else HTTPStatus.ACCEPTED
    return Response(envelope.model_dump_json(), status.value, media_type=JSON)
