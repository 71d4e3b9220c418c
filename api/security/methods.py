"""Refuses methods that no route has. TRACE would hand a request's headers, credentials included, to who can see it."""

from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import ProblemError, problem_response

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class AllowedMethodsMiddleware:
    """405 for every other method, whatever the path and whoever asks."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http" and scope["method"] not in METHODS:
            allow = ", ".join(sorted(METHODS))
            detail = f"{scope['method']} is not served here; the API knows {allow}."
            headers = {"Allow": allow, "Connection": "close"}
            problem = ProblemError(HTTPStatus.METHOD_NOT_ALLOWED, "method-not-served", detail, headers=headers)
            await problem_response(scope, problem)(scope, receive, send)
            return
        await self.app(scope, receive, send)
