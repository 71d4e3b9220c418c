"""Which pages of other origins may call the API. By default none: then no header of CORS is ever sent."""

from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import ProblemError, problem_response

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_ASKED_HEADERS = (
    "Authorization",
    "Content-Encoding",
    "Content-Type",
    "Idempotency-Key",
    "If-None-Match",
    "Traceparent",
    "X-API-Key",
    "X-Request-ID",
    "X-Sent-At",
)
_TOLD_HEADERS = (
    "Content-Disposition",
    "ETag",
    "Idempotent-Replayed",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "X-Data-Version",
    "X-Request-ID",
    "X-Truncated",
)


class AllowedOriginsMiddleware(CORSMiddleware):
    """Starlette's, with the origins of the settings; a page of another origin is refused by a problem.

    Cookies are never asked for: a page elsewhere identifies itself by a header or not at all.
    """

    def __init__(self, app: ASGIApp, *, origins: tuple[str, ...]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=_METHODS,
            allow_headers=_ASKED_HEADERS,
            expose_headers=_TOLD_HEADERS,
            allow_credentials=False,
            max_age=600,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http" and scope["method"] == "OPTIONS":
            headers = Headers(scope=scope)
            if "origin" in headers and "access-control-request-method" in headers:
                await self._answer_preflight(scope, headers)(scope, receive, send)
                return
        await super().__call__(scope, receive, send)

    def _answer_preflight(self, scope: Scope, headers: Headers) -> Response:
        response = self.preflight_response(request_headers=headers)
        if response.status_code == HTTPStatus.OK:
            return response
        detail = "Pages of this origin, or with these headers, may not call the API; see ANALYTICS_API__CORS_ORIGINS."
        return problem_response(scope, ProblemError(HTTPStatus.FORBIDDEN, "origin-not-allowed", detail))
