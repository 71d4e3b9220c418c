"""The Segment spec's HTTP tracking API, so that its client libraries can point here: the same door as /v1/events."""

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.dependencies import SettingsInForce, TheAnswers, TheIngestion
from api.ingestion_headers import HEADER_PARAMETERS
from api.ingestion_requests import EventsRequest, receive
from api.problems import ProblemError
from api.security.rate_limits import charge
from api.services.batches import JSON, TooManyEvents
from api.services.ingestion import Ingestion, Outcome
from api.services.segment import Calls, read_batch, read_call
from platform_assets.contracts.segment import Call

# navigator.sendBeacon and libraries that avoid a preflight request send JSON as text.
MEDIA_TYPES = (JSON, "text/plain")

router = APIRouter(tags=["segment"])

Read = Callable[[bytes, dt.datetime], Calls]


class RefusedCall(BaseModel):
    """One call that was not taken."""

    index: int = Field(description="Its place in the batch, from 0.")
    message_id: str = Field(description="Its messageId, or the id under which the rejection is recorded.")
    reason: str


class SegmentReceipt(BaseModel):
    """What the client libraries expect, and which calls of a batch were refused."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"success": True}]})

    success: bool = True
    refused: list[RefusedCall] = Field(default_factory=list, description="Recorded as rejected; sending again is vain.")


_TAKEN = "The log has acknowledged every call, and the record of every refused one."
_RESPONSES: dict[int | str, dict[str, Any]] = {
    400: {"description": "A header is malformed, or the body is not what its Content-Encoding says."},
    409: {"description": "The first request with this Idempotency-Key is not answered yet."},
    413: {"description": "The body is too large, or holds too many calls."},
    415: {"description": f"Not {' or '.join(MEDIA_TYPES)}, or packed otherwise than with gzip or zstd."},
    422: {"description": "No call was accepted; `refusals` says why, each is recorded."},
    503: {"description": "The event log did not acknowledge, or ingestion is paused. Send it again after Retry-After."},
}
_CALLER = {"userId": "user-42", "timestamp": "2026-01-15T09:30:00Z", "sentAt": "2026-01-15T09:30:02Z"}
_EXAMPLES: dict[Call, dict[str, Any]] = {
    Call.TRACK: {"event": "Order Completed", "properties": {"order_id": "1023", "total": 42.5}},
    Call.IDENTIFY: {"traits": {"plan": "team", "country": "DK"}},
    Call.PAGE: {"name": "Pricing", "properties": {"path": "/pricing"}},
    Call.SCREEN: {"name": "Settings", "properties": {"section": "account"}},
    Call.GROUP: {"groupId": "acme", "traits": {"employees": 120}},
    Call.ALIAS: {"previousId": "visitor-7"},
}
_BATCH_EXAMPLE = {
    "batch": [{"type": call.value, **_CALLER, **example} for call, example in list(_EXAMPLES.items())[:2]],
    "sentAt": "2026-01-15T09:30:02Z",
}


def _documented(schema: str, example: dict[str, Any]) -> dict[str, Any]:
    content = {"schema": {"$ref": f"#/components/schemas/{schema}"}, "example": example}
    return {
        "requestBody": {"required": True, "content": dict.fromkeys(MEDIA_TYPES, content)},
        "parameters": [header for header in HEADER_PARAMETERS if header["name"] != "X-Sent-At"],
    }


def _add(call: Call) -> None:
    async def post_call(
        request: Request, settings: SettingsInForce, ingestion: TheIngestion, answers: TheAnswers
    ) -> Response:
        return await _receive(
            request, settings, ingestion, answers, lambda body, received_at: read_call(call, body, received_at)
        )

    post_call.__doc__ = f"A {call} call as the Segment spec has it; 200 once the log has acknowledged it."
    router.add_api_route(
        f"/{call}",
        post_call,
        methods=["POST"],
        name=f"post_{call}",
        summary=f"Send a {call} call",
        response_model=SegmentReceipt,
        response_description=_TAKEN,
        responses=_RESPONSES,
        openapi_extra=_documented("SegmentMessage", _CALLER | _EXAMPLES[call]),
    )


for _call in Call:
    _add(_call)


@router.post(
    "/batch",
    summary="Send several calls",
    response_model=SegmentReceipt,
    response_description=_TAKEN,
    responses=_RESPONSES,
    openapi_extra=_documented("SegmentBatch", _BATCH_EXAMPLE),
)
async def post_batch(
    request: Request, settings: SettingsInForce, ingestion: TheIngestion, answers: TheAnswers
) -> Response:
    """Calls of all types; 200 where at least one was accepted, once the log has acknowledged all of them.

    The libraries take every other answer for a failure of the whole batch, so the refused calls are told in the body.
    """
    most = settings.api.max_batch_events
    return await _receive(
        request, settings, ingestion, answers, lambda body, received_at: read_batch(body, received_at, max_events=most)
    )


async def _receive(
    request: Request, settings: SettingsInForce, ingestion: TheIngestion, answers: TheAnswers, read: Read
) -> Response:
    async def take(received: EventsRequest) -> Response:
        return _answer(await _take(ingestion, received, read))

    return await receive(
        request, ingestion, answers, media_types=MEDIA_TYPES, max_bytes=settings.api.max_body_bytes, take=take
    )


async def _take(ingestion: Ingestion, received: EventsRequest, read: Read) -> Outcome:
    try:
        calls = read(received.body, dt.datetime.now(dt.UTC))
    except TooManyEvents as error:
        detail = f"{error} Send it in smaller parts."
        raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-many-events", detail) from None
    await charge(received.request, len(calls.bodies))
    # The calls' own sentAt has moved their times already; a header that says it too must not move them again.
    return await ingestion.take(calls.bodies, replace(received.sender, sent_at=None), unusable=calls.unusable)


def _answer(outcome: Outcome) -> Response:
    refused = [RefusedCall(index=one.index, message_id=one.event_id, reason=one.reason) for one in outcome.refused]
    if not outcome.event_ids:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "no-event-accepted",
            "No call was accepted; `refusals` says why." if refused else "The batch is empty.",
            members={"refusals": [one.model_dump() for one in refused]},
        )
    receipt = SegmentReceipt(refused=refused)
    return Response(receipt.model_dump_json(exclude=None if refused else {"refused"}), media_type=JSON)
