"""The policy table: every route of the application and who may call it. A test holds the two against each other."""

import enum

from starlette.routing import compile_path


class Access(enum.Enum):
    """Who may call a route."""

    ANYONE = "anyone"
    IDENTIFIED = "identified"


POLICY: dict[tuple[str, str], Access] = {
    ("GET", "/health"): Access.ANYONE,
    ("GET", "/health/live"): Access.ANYONE,
    ("GET", "/health/ready"): Access.ANYONE,
    ("GET", "/docs"): Access.IDENTIFIED,
    ("GET", "/redoc"): Access.IDENTIFIED,
    ("GET", "/docs/assets/{name}"): Access.IDENTIFIED,
    ("GET", "/openapi.json"): Access.IDENTIFIED,
    ("POST", "/v1/events"): Access.IDENTIFIED,
    ("POST", "/v1/track"): Access.IDENTIFIED,
    ("POST", "/v1/identify"): Access.IDENTIFIED,
    ("POST", "/v1/page"): Access.IDENTIFIED,
    ("POST", "/v1/screen"): Access.IDENTIFIED,
    ("POST", "/v1/group"): Access.IDENTIFIED,
    ("POST", "/v1/alias"): Access.IDENTIFIED,
    ("POST", "/v1/batch"): Access.IDENTIFIED,
    ("POST", "/v1/predictions/{model}"): Access.IDENTIFIED,
    ("GET", "/v1/predictions/{model}/{entity}"): Access.IDENTIFIED,
}

_compiled = [(method, compile_path(path)[0], access) for (method, path), access in POLICY.items()]


def access_to(method: str, path: str) -> Access:
    """Who may call this; what the table does not know is for identified callers, whom the router tells 404 or 405."""
    wanted = "GET" if method == "HEAD" else method
    for known, pattern, access in _compiled:
        if known == wanted and pattern.match(path):
            return access
    return Access.IDENTIFIED
