"""Who may do what: roles hold scopes, keys hold some of their owner's, and a route asks for one."""

import enum
from dataclasses import dataclass, field


class Scope(enum.StrEnum):
    """One kind of thing that a caller may do. A route asks for exactly one."""

    EVENTS_WRITE = "events:write"
    PREDICTIONS_READ = "predictions:read"
    METRICS_READ = "metrics:read"
    SCHEMAS_READ = "schemas:read"
    SCHEMAS_WRITE = "schemas:write"
    PIPELINES_READ = "pipelines:read"
    PIPELINES_OPERATE = "pipelines:operate"
    KEYS_OWN = "keys:own"
    KEYS_MANAGE = "keys:manage"
    USERS_MANAGE = "users:manage"
    AUDIT_READ = "audit:read"


class Role(enum.StrEnum):
    """What a user is. Each role may do what the one before it may, and more."""

    VIEWER = "viewer"
    ANALYST = "analyst"
    ENGINEER = "engineer"
    ADMIN = "admin"


class PrincipalKind(enum.StrEnum):
    """How a caller is known."""

    USER = "user"
    SERVICE = "service"
    KEY = "key"
    DEVELOPER = "developer"


_VIEWER = frozenset(
    {Scope.PREDICTIONS_READ, Scope.METRICS_READ, Scope.SCHEMAS_READ, Scope.PIPELINES_READ, Scope.KEYS_OWN}
)
_ENGINEER = _VIEWER | {Scope.EVENTS_WRITE, Scope.SCHEMAS_WRITE, Scope.PIPELINES_OPERATE}

ROLE_SCOPES: dict[Role, frozenset[Scope]] = {
    Role.VIEWER: _VIEWER,
    Role.ANALYST: _VIEWER,
    Role.ENGINEER: _ENGINEER,
    Role.ADMIN: frozenset(Scope),
}

WRITE_KEY_SCOPES = frozenset({Scope.EVENTS_WRITE})
"""What an ingestion write key may do; it stands in web pages and apps, so nothing else."""


@dataclass(frozen=True)
class Principal:
    """An identified caller. `owner_id` is whose objects it may see: the user's own id, or that of a key's owner."""

    kind: PrincipalKind
    name: str
    id: str
    owner_id: str
    scopes: frozenset[Scope]
    role: Role | None = None
    events_per_minute: int | None = field(default=None)
    """An ingestion key's own limit; None is the default."""

    def may(self, scope: Scope) -> bool:
        """Whether a route that asks for this scope is open to the caller."""
        return scope in self.scopes


LOCAL_DEVELOPER = Principal(
    kind=PrincipalKind.DEVELOPER,
    name="local-developer",
    id="local-developer",
    owner_id="local-developer",
    scopes=ROLE_SCOPES[Role.ENGINEER],
    role=Role.ENGINEER,
)
"""A request without credentials on a developer's own machine. Users and others' keys are for the administrator."""
