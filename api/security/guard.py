"""Enforces the policy table, before routing and before a body is read."""

import logging
from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import ProblemError, problem_response, request_id_of
from api.security.identity import BadCredential, identify
from api.security.policy import Access, access_to
from resources.settings import Environment

logger = logging.getLogger(__name__)


class GuardMiddleware:
    """Puts the caller into `request.state.principal`, or answers 401.

    A bad credential is refused on every route, public ones included: a client that presents one has a fault to find.
    """

    def __init__(self, app: ASGIApp, *, environment: Environment) -> None:
        self.app = app
        self._environment = environment

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            # There are no sockets to open; closing before the handshake answers 403.
            await send({"type": "websocket.close", "code": 1008})
            return
        try:
            principal = identify(scope, self._environment)
        except BadCredential as error:
            await self._refuse(str(error), scope, receive, send)
            return
        if principal is None and access_to(scope["method"], scope["path"]) is not Access.ANYONE:
            await self._refuse("This route needs an identified caller.", scope, receive, send)
            return
        scope.setdefault("state", {})["principal"] = principal
        await self.app(scope, receive, send)

    async def _refuse(self, why: str, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        logger.warning(
            "Caller refused",
            extra={
                "request_id": request_id_of(scope),
                "path": scope["path"],
                "client": client[0] if client else None,
                "reason": why,
            },
        )
        # The body stays unread, so the connection cannot be used again.
        headers = {"WWW-Authenticate": 'Bearer realm="analytics"', "Connection": "close"}
        problem = ProblemError(HTTPStatus.UNAUTHORIZED, "unauthorized", why, headers=headers)
        await problem_response(scope, problem)(scope, receive, send)
