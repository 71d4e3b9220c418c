"""The two cookies of a session. No script reads them, no other site's page sends them along, no subdomain sets them."""

import time
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from resources.identity.log_ins import TokenPair

# The prefix makes browsers insist on Secure, Path=/ and no Domain. On this machine they take plain http for secure.
ACCESS = "__Host-analytics-access"
REFRESH = "__Host-analytics-refresh"


@dataclass(frozen=True)
class Shown:
    """The tokens that a request shows; None where it has no such cookie."""

    access_token: str | None
    refresh_token: str | None

    @classmethod
    def by(cls, request: HTTPConnection) -> "Shown":
        """What this request shows."""
        return cls(request.cookies.get(ACCESS) or None, request.cookies.get(REFRESH) or None)


def set_headers(pair: TokenPair) -> tuple[str, str]:
    """The values of Set-Cookie for the access and the refresh token."""
    remaining_s = max(0, int(pair.refresh_expires_ms / 1000 - time.time()))
    return _cookie(ACCESS, pair.access_token, pair.expires_in), _cookie(REFRESH, pair.refresh_token, remaining_s)


def clear_headers() -> tuple[str, str]:
    """The values of Set-Cookie that make a browser forget both."""
    return _cookie(ACCESS, "", 0), _cookie(REFRESH, "", 0)


def _cookie(name: str, value: str, max_age_s: int) -> str:
    return f"{name}={value}; Max-Age={max_age_s}; Path=/; Secure; HttpOnly; SameSite=Lax"
