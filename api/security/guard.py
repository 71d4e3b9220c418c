"""Knows the caller and enforces the policy table, once a request, before routing and before a body is read."""

import logging
from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Connection

from api.problems import ProblemError, problem_response, request_id_of, unavailable
from api.security.client_address import client_address
from api.security.identity import BadCredential, is_own_machine, presented
from api.security.policy import Access, access_to, is_open_to
from platform_assets.contracts.access import LOCAL_DEVELOPER, Principal
from resources.identity.actor import Actor
from resources.identity.database import IdentityUnavailable
from resources.identity.principals import Unidentified
from resources.identity.service import Identity
from resources.settings import Auth

logger = logging.getLogger(__name__)


class GuardMiddleware:
    """Puts the caller into `request.state.principal` (None on a public route), or answers 401 or 403.

    A bad credential is refused on every route, public ones included: a client that presents one has a fault to find.
    Every refusal has a line in the log and, as far as `resources.identity.audit` bounds it, an audit entry.
    """

    def __init__(self, app: ASGIApp, *, auth: Auth) -> None:
        self.app = app
        self._trusts_own_machine = auth is Auth.DEVELOPMENT

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            # There are no sockets to open; closing before the handshake answers 403.
            await send({"type": "websocket.close", "code": 1008})
            return
        access = access_to(scope["method"], scope["path"])
        problem: ProblemError | None = None
        principal: Principal | None = None
        try:
            principal = await self._identify(scope)
        except BadCredential as error:
            problem = _refused(scope, HTTPStatus.UNAUTHORIZED, str(error), cause=error.cause)
        except IdentityUnavailable as error:
            logger.error(  # the cause says it all
                "Callers cannot be known", extra={"request_id": request_id_of(scope), "cause": str(error)}
            )
            problem = unavailable("identity-unavailable", "Credentials cannot be checked just now; try again.")
        if problem is None and not is_open_to(access, principal):
            if principal is None:
                problem = _refused(scope, HTTPStatus.UNAUTHORIZED, "This route needs an identified caller.")
            else:
                wanted = "more than sending events" if isinstance(access, Access) else f"the scope {access.value}"
                problem = _refused(
                    scope, HTTPStatus.FORBIDDEN, f"This route needs {wanted}, which the caller has not.", by=principal
                )
        if problem is not None:
            await problem_response(scope, problem)(scope, receive, send)
            return
        scope.setdefault("state", {})["principal"] = principal
        await self.app(scope, receive, send)

    async def _identify(self, scope: Connection) -> Principal | None:
        credential = presented(scope)
        if credential is None:
            return LOCAL_DEVELOPER if self._trusts_own_machine and is_own_machine(scope) else None
        identity: Identity = scope["app"].state.identity
        try:
            return await identity.principals.resolve(credential)
        except Unidentified as error:
            raise BadCredential(error.told, cause=str(error)) from None


def _refused(
    scope: Connection, status: HTTPStatus, told: str, *, cause: str | None = None, by: Principal | None = None
) -> ProblemError:
    address = client_address(scope) or ""
    actor = Actor(by.id if by is not None else "anonymous", address, request_id_of(scope))
    cause = cause or told
    logger.warning(
        "Caller refused",
        extra={
            "request_id": actor.request_id,
            "method": scope["method"],
            "path": scope["path"],
            "client": address,
            "principal": actor.id,
            "status": status.value,
            "reason": cause,
        },
    )
    identity: Identity = scope["app"].state.identity
    identity.audit.note(
        "access", actor, status=status.value, method=scope["method"], path=scope["path"][:200], cause=cause
    )
    # The body stays unread, so the connection cannot be used again.
    headers = {"Connection": "close"}
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="analytics"'
        return ProblemError(status, "unauthorized", told, headers=headers)
    return ProblemError(status, "forbidden", told, headers=headers)
