"""Gives every request an id and, where it is sampled, a trace; and writes one log line about it."""

import logging
import re
import time
import uuid
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import internal_error
from api.security.client_address import client_address
from api.security.policy import route_of
from resources.telemetry.tracing import Span, request_span

REQUEST_ID_HEADER = "X-Request-ID"

# \Z, not $: an id ends up in headers and logs, where a line break would be an injection.
_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}\Z")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}\Z")

logger = logging.getLogger("api.requests")


class RequestLoggingMiddleware:
    """The outermost layer. Plain ASGI: Starlette's BaseHTTPMiddleware costs a task and a queue a request.

    `request.state.request_id` is the client's X-Request-ID where that is well formed, else a new one; the response
    carries it back. `request.state.traceparent` is the W3C trace context that events and calls made for the request
    belong to: the request's own span where it is traced, else what the client sent, or None. An exception that nothing
    else handled is logged here and answered as a 500 problem. Bodies, queries and headers are never logged.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = _well_formed(headers.get(REQUEST_ID_HEADER), _REQUEST_ID) or uuid.uuid4().hex
        traceparent = _well_formed(headers.get("traceparent"), _TRACEPARENT)
        with request_span(scope["method"], traceparent, request_id=request_id) as span:
            if span is not None:
                traceparent = span.traceparent
                _describe(span, scope)
            scope.setdefault("state", {}).update(request_id=request_id, traceparent=traceparent)
            await self._serve(scope, receive, send, span)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, span: Span | None) -> None:
        started = time.perf_counter()
        request_id: str = scope["state"]["request_id"]
        traceparent: str | None = scope["state"]["traceparent"]
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID_HEADER] = request_id
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except Exception as error:
            response = internal_error(scope, error)
            if status:
                # Half an answer is out; only a broken connection can still tell the client.
                raise
            await response(scope, receive, send_with_id)
        finally:
            line = {
                "request_id": request_id,
                "method": scope["method"],
                "path": scope["path"],
                "status": status,
                "duration_ms": round((time.perf_counter() - started) * 1000, 2),
                "client": client_address(scope),
            }
            if traceparent is not None:
                line["trace_id"] = traceparent[3:35]
            logger.info("Request", extra=line)
            if span is not None:
                span.note(http__response__status_code=status)
                if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                    span.fail(str(status))


def _describe(span: Span, scope: Scope) -> None:
    # The path as the routes declare it: the one that was asked for names users and keys.
    route = route_of(scope["method"], scope["path"])
    span.note(http__request__method=scope["method"])
    if route is not None:
        span.name(f"{scope['method']} {route}")
        span.note(http__route=route)


def _well_formed(value: str | None, pattern: re.Pattern[str]) -> str | None:
    return value if value is not None and pattern.match(value) else None
