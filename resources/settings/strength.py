"""Which secrets are too weak to keep anybody out, and which settings a deployment has forgotten."""

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from resources.settings.environment import Environment
from resources.settings.section import RequiredOutsideLocal
from resources.settings.tree import Settings
from resources.settings.variables import variables_of

MIN_KEY_LENGTH = 32
"""Of a secret that signs or identifies: 256 bits as text of the densest kind in use (RFC 7518 §3.2 asks 32 bytes)."""
MIN_PASSWORD_LENGTH = 12
"""Of a password in an address, as the server's own start asks of its database's."""
MIN_DISTINCT = 8
"""Different letters: a repeated word has fewer; so have 5 of 10,000 random passwords of 12 letters and digits."""

# What guides, images and charts set, and what stands in for a secret until somebody sets one.
_KNOWN_DEFAULTS = (
    "admin",
    "analytics",
    "changeit",
    "changeme",
    "dagster",
    "default",
    "dev",
    "development",
    "example",
    "guest",
    "insecure",
    "letmein",
    "password",
    "placeholder",
    "postgres",
    "qwerty",
    "redis",
    "replaceme",
    "root",
    "secret",
    "test",
    "your-secret-key",
    "yoursecretkey",
)


@dataclass(frozen=True)
class Weakness:
    """A variable, and what is wrong with it; the value is not shown."""

    variable: str
    reason: str


def weak_secrets(settings: Settings) -> list[Weakness]:
    """Every secret that is set and that a guesser would find: known defaults, short ones, repeated letters."""
    found = []
    for variable in variables_of(type(settings)).values():
        value = variable.value_in(settings)
        if isinstance(value, SecretStr) and (reason := weakness_of(value.get_secret_value())):
            found.append(Weakness(variable.name, reason))
    return found


def missing_settings(settings: Settings) -> list[Weakness]:
    """Every setting without a value that a deployment has to choose; nothing is missing in the environment local."""
    if settings.environment is Environment.LOCAL:
        return []
    return [
        Weakness(variable.name, f"is not set, and {settings.environment.value} has no default for it")
        for variable in variables_of(type(settings)).values()
        if any(isinstance(mark, RequiredOutsideLocal) for mark in variable.field.metadata)
        and not variable.value_in(settings)
    ]


def weakness_of(secret: str) -> str | None:
    """Why a secret is weak; None for a good one. Of an address only its password is judged; it may have none."""
    if "://" in secret:
        try:
            password = urlsplit(secret).password
        except ValueError:
            return "is no address"
        return None if password is None else _judge(unquote(password), MIN_PASSWORD_LENGTH, "its password")
    return _judge(secret, MIN_KEY_LENGTH, "it")


def _judge(secret: str, min_length: int, what: str) -> str | None:
    plain = secret.strip().lower()
    if not plain:
        return f"{what} is empty"
    if plain.strip("!0123456789-_. ") in _KNOWN_DEFAULTS or plain.replace("-", "").replace("_", "") in _KNOWN_DEFAULTS:
        return f"{what} is a known default"
    if len(secret) < min_length:
        return f"{what} has {len(secret)} characters; use at least {min_length}, as of `openssl rand -hex 32`"
    if len(set(secret)) < MIN_DISTINCT:
        return f"{what} repeats few letters; use a random one, as of `openssl rand -hex 32`"
    return None
