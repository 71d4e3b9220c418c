"""What the routes that take events have in common: compressed bodies, faults of the log, repeated requests."""

import hashlib
import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import Request, Response
from starlette.requests import ClientDisconnect

from api.ingestion_headers import closing, encoding_of, idempotency_key_of, media_type_of, sent_at_of
from api.problems import PROBLEM_JSON, ProblemError, problem_response, unavailable
from api.services.decompression import DamagedBody, Encoding, TooLarge, decompress
from api.services.event_ids import DerivedIds
from api.services.idempotency import Answer, Answers, KeyInFlight, KeyReused
from api.services.ingestion import Ingestion, IngestionBusy, IngestionPaused, Sender
from resources.event_log.gate import RETRY_AFTER_S
from resources.event_log.topics import LogUnavailable

REPLAYED_HEADER = {"Idempotent-Replayed": "true"}

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EventsRequest:
    """The body of a request, unpacked, and what the door knows about its sender."""

    request: Request
    media_type: str
    body: bytes
    sender: Sender


Take = Callable[[EventsRequest], Awaitable[Response]]


async def receive(
    request: Request,
    ingestion: Ingestion,
    answers: Answers,
    *,
    media_types: Collection[str],
    max_bytes: int,
    take: Take,
) -> Response:
    """Read a request's body, have its events taken, and answer; a repeat with an Idempotency-Key is answered as before.

    Raises:
        ProblemError: whatever of it the client has to know.
    """
    media_type = media_type_of(request, media_types)
    encoding = encoding_of(request)
    key = idempotency_key_of(request)
    sent_at = sent_at_of(request)
    caller: str = request.state.principal.id
    sender = Sender(
        correlation_id=request.state.request_id,
        traceparent=request.state.traceparent,
        ids=None if key is None else DerivedIds(caller, key),
        sent_at=sent_at,
    )
    try:
        with ingestion.admitted(_most_bytes(request, encoding, max_bytes)):
            packed = await request.body()
            received = EventsRequest(request, media_type, _unpacked(encoding, packed, max_bytes), sender)
            if key is None:
                return await take(received)
            digest = _digest(request.scope["path"], media_type, encoding, packed)
            return await _take_once(request, answers, (caller, key, digest), lambda: take(received))
    except IngestionPaused as error:
        problem = unavailable("ingestion-paused", f"Ingestion is paused: {error}.", retry_after_s=RETRY_AFTER_S)
        raise closing(problem) from None
    except IngestionBusy as error:
        raise closing(unavailable("ingestion-busy", f"{error}. Send the same events again later.")) from None
    except LogUnavailable as error:
        logger.warning(
            "Events were not acknowledged", extra={"request_id": request.state.request_id, "cause": str(error)}
        )
        raise unavailable(
            "event-log-unavailable",
            "The event log did not acknowledge these events in time. Send them again with the same ids, "
            "or the same Idempotency-Key.",
        ) from error
    except ClientDisconnect:
        detail = "The client went away before its body was read; nothing was taken."
        raise ProblemError(HTTPStatus.BAD_REQUEST, "client-disconnected", detail) from None


async def _take_once(
    request: Request, answers: Answers, claimed: tuple[str, str, bytes], take: Callable[[], Awaitable[Response]]
) -> Response:
    try:
        found = answers.claim(*claimed)
    except KeyInFlight:
        raise ProblemError(
            HTTPStatus.CONFLICT,
            "idempotency-key-in-flight",
            "The first request with this Idempotency-Key is not answered yet; ask again after Retry-After.",
            headers={"Retry-After": "1"},
        ) from None
    except KeyReused:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "idempotency-key-reused",
            "This Idempotency-Key came with another request before; give each request a key of its own.",
        ) from None
    if isinstance(found, Answer):
        return Response(found.body, found.status, REPLAYED_HEADER, media_type=found.media_type)
    with found as claim:
        try:
            response = await take()
        except ProblemError as error:
            # A refusal that is recorded is an answer too; whatever else is a problem was not taken.
            if not error.members.get("refusals"):
                raise
            response = problem_response(request.scope, error)
        claim.keep(Answer(response.status_code, bytes(response.body), response.media_type or PROBLEM_JSON))
    return response


def _most_bytes(request: Request, encoding: Encoding, max_bytes: int) -> int:
    """The most that the body can take, packed and unpacked."""
    declared = request.headers.get("content-length")
    on_the_wire = max_bytes if declared is None else int(declared)
    return on_the_wire if encoding is Encoding.IDENTITY else on_the_wire + max_bytes


def _unpacked(encoding: Encoding, packed: bytes, max_bytes: int) -> bytes:
    try:
        return decompress(encoding, packed, max_bytes=max_bytes)
    except TooLarge:
        detail = f"Unpacked, a body may have at most {max_bytes:,} bytes; send it in smaller parts."
        raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body-too-large", detail) from None
    except DamagedBody as error:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "damaged-body", f"{error}.") from None


def _digest(*parts: str | bytes) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        piece = part.encode() if isinstance(part, str) else part
        digest.update(len(piece).to_bytes(8, "big"))
        digest.update(piece)
    return digest.digest()
