"""The policy table: every route of the application and who may call it. A test holds the two against each other."""

import enum

from starlette.routing import compile_path

from platform_assets.contracts.access import WRITE_KEY_SCOPES, Principal, Scope


class Access(enum.Enum):
    """Who may call a route that asks for no scope."""

    ANYONE = "anyone"
    IDENTIFIED = "identified"


POLICY: dict[tuple[str, str], Access | Scope] = {
    ("GET", "/health"): Access.ANYONE,
    ("GET", "/health/live"): Access.ANYONE,
    ("GET", "/health/ready"): Access.ANYONE,
    ("GET", "/docs"): Access.IDENTIFIED,
    ("GET", "/redoc"): Access.IDENTIFIED,
    ("GET", "/docs/assets/{name}"): Access.IDENTIFIED,
    ("GET", "/openapi.json"): Access.IDENTIFIED,
    ("GET", "/.well-known/jwks.json"): Access.ANYONE,
    # A browser's session: the cookies are the credential, and only these routes read them.
    ("GET", "/login"): Access.ANYONE,
    ("POST", "/login"): Access.ANYONE,
    ("GET", "/logout"): Access.ANYONE,
    ("POST", "/logout"): Access.ANYONE,
    ("GET", "/auth/check"): Access.ANYONE,
    ("POST", "/v1/events"): Scope.EVENTS_WRITE,
    ("POST", "/v1/track"): Scope.EVENTS_WRITE,
    ("POST", "/v1/identify"): Scope.EVENTS_WRITE,
    ("POST", "/v1/page"): Scope.EVENTS_WRITE,
    ("POST", "/v1/screen"): Scope.EVENTS_WRITE,
    ("POST", "/v1/group"): Scope.EVENTS_WRITE,
    ("POST", "/v1/alias"): Scope.EVENTS_WRITE,
    ("POST", "/v1/batch"): Scope.EVENTS_WRITE,
    ("GET", "/v1/schemas"): Scope.SCHEMAS_READ,
    ("GET", "/v1/schemas/{event_name}"): Scope.SCHEMAS_READ,
    ("GET", "/v1/schemas/{event_name}/{version}"): Scope.SCHEMAS_READ,
    ("POST", "/v1/schemas/{event_name}"): Scope.SCHEMAS_WRITE,
    ("GET", "/v1/metrics"): Scope.METRICS_READ,
    ("GET", "/v1/metrics/{name}"): Scope.METRICS_READ,
    ("GET", "/v1/lineage"): Scope.PIPELINES_READ,
    ("GET", "/v1/lineage/{asset}"): Scope.PIPELINES_READ,
    ("POST", "/v1/predictions/{model}"): Scope.PREDICTIONS_READ,
    ("GET", "/v1/predictions/{model}/{entity}"): Scope.PREDICTIONS_READ,
    # The password or the refresh token in the body is the credential.
    ("POST", "/v1/tokens"): Access.ANYONE,
    ("POST", "/v1/tokens/refresh"): Access.ANYONE,
    ("POST", "/v1/tokens/revoke"): Access.ANYONE,
    ("GET", "/v1/users/me"): Access.IDENTIFIED,
    ("PATCH", "/v1/users/me"): Access.IDENTIFIED,
    ("GET", "/v1/users"): Scope.USERS_MANAGE,
    ("POST", "/v1/users"): Scope.USERS_MANAGE,
    ("GET", "/v1/users/{user_id}"): Scope.USERS_MANAGE,
    ("PATCH", "/v1/users/{user_id}"): Scope.USERS_MANAGE,
    ("DELETE", "/v1/users/{user_id}"): Scope.USERS_MANAGE,
    ("GET", "/v1/keys"): Scope.KEYS_OWN,
    ("POST", "/v1/keys"): Scope.KEYS_OWN,
    ("GET", "/v1/keys/{key_id}"): Scope.KEYS_OWN,
    ("DELETE", "/v1/keys/{key_id}"): Scope.KEYS_OWN,
}

# A path without parameters comes before one that would match it too, as /v1/users/me before /v1/users/{user_id}.
_compiled = sorted(
    ((method, compile_path(path)[0], access, path) for (method, path), access in POLICY.items()),
    key=lambda row: "{" in row[3],
)


def access_to(method: str, path: str) -> Access | Scope:
    """Who may call this; what the table does not know is for identified callers, whom the router tells 404 or 405."""
    found = _find(method, path)
    return Access.IDENTIFIED if found is None else found[0]


def route_of(method: str, path: str) -> str | None:
    """The path as the table has it, `/v1/users/{user_id}`; None for what it does not know."""
    found = _find(method, path)
    return None if found is None else found[1]


def _find(method: str, path: str) -> tuple[Access | Scope, str] | None:
    wanted = "GET" if method == "HEAD" else method
    for known, pattern, access, route in _compiled:
        if known == wanted and pattern.match(path):
            return access, route
    return None


def methods_of(path: str) -> list[str]:
    """The methods of a path, for `Allow`; of two patterns that match it, the one without parameters counts."""
    matching = [(pattern, known) for known, pattern, _, _ in _compiled if pattern.match(path)]
    return sorted(known for pattern, known in matching if pattern == matching[0][0])


def is_open_to(access: Access | Scope, principal: Principal | None) -> bool:
    """Whether the caller may come in; None is nobody known.

    A write key stands in web pages and apps, so what is open to everybody who is identified is not open to it.
    """
    if access is Access.ANYONE:
        return True
    if principal is None:
        return False
    if isinstance(access, Scope):
        return principal.may(access)
    return not principal.scopes <= WRITE_KEY_SCOPES
