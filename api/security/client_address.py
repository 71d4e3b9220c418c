"""Where a request comes from.

A proxy connects for somebody else and says for whom in X-Forwarded-For, to whose right end each proxy adds the address
that it was called from. Whatever stands further left came with the request, so anyone can write it. Hence: only where
the connection comes from a trusted proxy is the header read, from the right, up to the first address that is not
itself a trusted proxy's.
"""

import ipaddress
from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

_STATE = "client_address"
# A chain of proxies is short; a header of 60 kB is not worth reading to its left end.
_MAX_HOPS = 16

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def client_address(scope: Scope) -> str | None:
    """The address behind a request as `ClientAddressMiddleware` found it; None over a Unix socket."""
    state = scope.get("state", {})
    if _STATE in state:
        found: str | None = state[_STATE]
        return found
    return _peer(scope)


class ClientAddressMiddleware:
    """Finds the client's address once, for the log, the limits and the loopback rule."""

    def __init__(self, app: ASGIApp, *, trusted_proxies: Iterable[str] = ()) -> None:
        self.app = app
        self._trusted = [ipaddress.ip_network(network) for network in trusted_proxies]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "lifespan":
            scope.setdefault("state", {})[_STATE] = self._find(scope)
        await self.app(scope, receive, send)

    def _find(self, scope: Scope) -> str | None:
        peer = _peer(scope)
        if not self._trusted or peer is None or not self._is_trusted(_parse(peer)):
            return peer
        forwarded = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
        found = peer
        for hop in reversed(forwarded.decode("latin-1").rsplit(",", _MAX_HOPS)[-_MAX_HOPS:]):
            address = _parse(_without_port(hop.strip()))
            if address is None:
                break  # nothing to the left of a fault is worth more
            found = str(address)
            if not self._is_trusted(address):
                break
        return found

    def _is_trusted(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._trusted)


def _peer(scope: Scope) -> str | None:
    client = scope.get("client")
    return client[0] if client else None


def _parse(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _without_port(hop: str) -> str:
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
