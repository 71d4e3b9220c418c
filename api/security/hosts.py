"""Refuses requests that were meant for another host.

A web page can make its own name resolve to 127.0.0.1 and so reach a server on this machine (DNS rebinding); the
browser then still sends the page's name as Host.
"""

import re
from collections.abc import Collection
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import ProblemError, problem_response

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})

_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[^:\[\]/@\s]+)(?::\d{1,5})?\Z")


class TrustedHostMiddleware:
    """As Starlette's, but the refusal is a problem like every other."""

    def __init__(self, app: ASGIApp, *, allowed_hosts: Collection[str] = LOOPBACK_HOSTS) -> None:
        self.app = app
        self._allowed = frozenset(host.lower() for host in allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] in {"http", "websocket"} and not self._is_trusted(Headers(scope=scope).getlist("host")):
            names = ", ".join(sorted(self._allowed))
            detail = f"The Host header names a host that is not served here; use one of {names}."
            problem = ProblemError(HTTPStatus.BAD_REQUEST, "untrusted-host", detail, headers={"Connection": "close"})
            await problem_response(scope, problem)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _is_trusted(self, hosts: list[str]) -> bool:
        if len(hosts) != 1:
            return False
        found = _HOST.match(hosts[0])
        return found is not None and found["name"].lower() in self._allowed
