"""Who may ask how often, and what a caller is told about it.

A key that sends events is counted by itself: its requests here, its events by `charge` once the route knows them. Every
other caller is counted by its address, an IPv6 caller by its /64, which is what one subscriber has. The developer on
this machine and the health routes are not counted. A request that is refused counts too.

Where Redis is down, requests are counted in this process instead, so that ingestion stays open. Attempts to log in are
requests like any other here; guessing is slowed down by the identity database (`resources.identity.throttle`), which
has to be there for a log-in anyway: a guesser gains nothing by breaking Redis.
"""

import ipaddress
import logging
import math
from collections.abc import Collection
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import ProblemError, problem_response, request_id_of
from api.security.client_address import client_address
from api.security.request_counters import (
    WINDOW_S,
    Counted,
    CountersUnavailable,
    MemoryCounters,
    RedisCounters,
    RequestCounters,
)
from platform_assets.contracts import access
from platform_assets.contracts.access import Principal, PrincipalKind
from resources.settings import LimitsSettings

# nginx asks /auth/check for each request of each browser, and counts those itself.
UNCOUNTED_PATHS = frozenset({"/health", "/health/live", "/health/ready", "/auth/check"})

_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_STATE = "counted_limits"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limit:
    """So many a minute; `name` is what the headers call it."""

    name: str
    per_minute: int


class RateLimits:
    """The limits in force and what has been used of them. One for each application."""

    def __init__(self, settings: LimitsSettings) -> None:
        self._settings = settings
        self._memory = MemoryCounters()
        self._counters: RequestCounters = (
            RedisCounters(settings.storage_url.get_secret_value()) if settings.is_shared else self._memory
        )

    async def count_request(self, scope: Scope, principal: Principal | None) -> None:
        """Count one request of a caller.

        Raises:
            ProblemError: 429, it has asked too often.
        """
        if principal is not None and principal.kind is PrincipalKind.DEVELOPER:
            return
        if principal is not None and _sends_events(principal):
            own = principal.events_per_minute  # a request carries at least one event
            limit = Limit("requests", self._settings.key_requests_per_minute if own is None else own)
            await self._count(scope, limit, f"requests:{principal.id}")
        else:
            limit = Limit("requests", self._settings.requests_per_minute)
            await self._count(scope, limit, f"address:{_network(client_address(scope))}")

    async def charge(self, scope: Scope, events: int) -> None:
        """Count the events of a request, before they are taken: all of them are refused, or none.

        Raises:
            ProblemError: 429, the caller has sent too many.
        """
        principal: Principal | None = scope["state"].get("principal")
        if principal is None or principal.kind is PrincipalKind.DEVELOPER or not events:
            return
        own = principal.events_per_minute
        limit = Limit("events", self._settings.key_events_per_minute if own is None else own)
        await self._count(scope, limit, f"events:{principal.id}", events)

    async def close(self) -> None:
        """Let go of connections."""
        await self._counters.close()

    async def _count(self, scope: Scope, limit: Limit, key: str, amount: int = 1) -> None:
        try:
            counted = await self._counters.add(key, amount)
        except CountersUnavailable:
            counted = await self._memory.add(key, amount)
        scope["state"].setdefault(_STATE, []).append((limit, counted))
        if counted.used > limit.per_minute:
            raise self._too_many(scope, limit, counted, amount)

    def _too_many(self, scope: Scope, limit: Limit, counted: Counted, amount: int) -> ProblemError:
        retry_after_s = max(1, math.ceil(counted.resets_in_s))
        if counted.used - amount <= limit.per_minute:  # once a window, not once a request
            logger.warning(
                "Caller over its limit",
                extra={
                    "request_id": request_id_of(scope),
                    "client": client_address(scope),
                    "limit": limit.name,
                    "per_minute": limit.per_minute,
                },
            )
        detail = f"At most {limit.per_minute:,} {limit.name} a minute are taken; come back in {retry_after_s} s."
        # The body stays unread, so the connection cannot be used again.
        headers = {"Retry-After": str(retry_after_s)} | ({"Connection": "close"} if _has_body(scope) else {})
        return ProblemError(HTTPStatus.TOO_MANY_REQUESTS, "too-many-requests", detail, headers=headers)


async def charge(request: Request, events: int) -> None:
    """Count the events of a request against its caller's limit, before they are taken.

    Raises:
        ProblemError: 429 with Retry-After; nothing of the request may be taken.
    """
    limits: RateLimits = request.app.state.rate_limits
    await limits.charge(request.scope, events)


class RateLimitMiddleware:
    """Inside the guard: counts a request and tells the caller how it stands (draft-ietf-httpapi-ratelimit-headers)."""

    def __init__(self, app: ASGIApp, *, limits: RateLimits, uncounted: Collection[str] = UNCOUNTED_PATHS) -> None:
        self.app = app
        self._limits = limits
        self._uncounted = uncounted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or scope["path"] in self._uncounted:
            await self.app(scope, receive, send)
            return
        state = scope.setdefault("state", {})

        send_with_limits = _telling(send, state)
        try:
            await self._limits.count_request(scope, state.get("principal"))
        except ProblemError as problem:
            await problem_response(scope, problem)(scope, receive, send_with_limits)
            return
        await self.app(scope, receive, send_with_limits)


class RefusedCallerLimitMiddleware:
    """Outside the guard: whom it answers 401 or 403 is counted by address too, and told 429 once that is too often.

    A caller at the same address whose credential is good is not affected.
    """

    def __init__(self, app: ASGIApp, *, limits: RateLimits) -> None:
        self.app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        is_replaced = False

        async def send_counted(message: Message) -> None:
            nonlocal is_replaced
            if is_replaced:
                return
            if message["type"] == "http.response.start" and message["status"] in _REFUSED:
                state = scope.setdefault("state", {})
                if _STATE not in state:
                    try:
                        await self._limits.count_request(scope, None)
                    except ProblemError as problem:
                        is_replaced = True
                        await problem_response(scope, problem)(scope, receive, _telling(send, state))
                        return
                    _tell(message, state[_STATE])
            await send(message)

        await self.app(scope, receive, send_counted)


def _telling(send: Send, state: dict[str, Any]) -> Send:
    async def send_with_limits(message: Message) -> None:
        if message["type"] == "http.response.start" and _STATE in state:
            _tell(message, state[_STATE])
        await send(message)

    return send_with_limits


def _tell(message: Message, counted: list[tuple[Limit, Counted]]) -> None:
    headers = MutableHeaders(scope=message)
    headers["RateLimit-Policy"] = ", ".join(f'"{limit.name}";q={limit.per_minute};w={WINDOW_S}' for limit, _ in counted)
    headers["RateLimit"] = ", ".join(
        f'"{limit.name}";r={max(0, limit.per_minute - now.used)};t={math.ceil(now.resets_in_s)}'
        for limit, now in counted
    )


def _sends_events(principal: Principal) -> bool:
    return principal.kind is PrincipalKind.KEY and access.Scope.EVENTS_WRITE in principal.scopes


def _network(address: str | None) -> str:
    if address is None or ":" not in address:
        return str(address)
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(parsed.ipv4_mapped or ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))


def _has_body(scope: Scope) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in scope["headers"]
    )
