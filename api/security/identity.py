"""What a request presents about who is asking, and the rule for a developer's own machine."""

import base64
import binascii
import ipaddress

from starlette.types import Scope

from resources.identity.identifiers import WRITE_KEY_PREFIX

# Beyond any of our credentials; what is longer is refused before it is hashed or decoded.
MAX_CREDENTIAL_BYTES = 8_192
# A proxy on this machine connects from loopback, whoever is behind it.
_FORWARDED_HEADERS = frozenset({b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via"})


class BadCredential(Exception):
    """The request presents a credential that is not valid: never taken for a request without one.

    `str()` is what the caller is told, `cause` what the log says. Neither holds any of the credential.
    """

    def __init__(self, told: str = "The credential is not valid.", *, cause: str | None = None) -> None:
        super().__init__(told)
        self.cause = cause or told


def presented(scope: Scope) -> str | None:
    """The one credential of a request: an access token, an API key or a write key; None where there is none.

    `Authorization: Bearer` and `X-API-Key` take each of them. `Authorization: Basic` takes a write key as the user name
    with an empty password, as the client libraries of the Segment specification send it.

    Raises:
        BadCredential: more than one, or none that could be valid.
    """
    found: list[tuple[bytes, bytes]] = [
        (name, value) for name, value in scope["headers"] if name in {b"authorization", b"x-api-key"}
    ]
    if not found:
        return None
    if len(found) > 1:
        raise BadCredential("Present one credential, in Authorization or in X-API-Key, not several.")
    name, value = found[0]
    if len(value) > MAX_CREDENTIAL_BYTES:
        raise BadCredential(cause="the credential is too long")
    text = value.decode("latin-1").strip()
    if name == b"x-api-key":
        return text
    kind, _, rest = text.partition(" ")
    match kind.lower():
        case "bearer":
            return rest.strip()
        case "basic":
            return _write_key(rest.strip())
        case _:
            raise BadCredential("Authorization takes Bearer with a token or key, or Basic with a write key.")


def is_own_machine(scope: Scope) -> bool:
    """Whether the request comes from this machine itself and not through a proxy on it."""
    client = scope.get("client")
    return (
        client is not None
        and is_loopback(client[0])
        and not any(name in _FORWARDED_HEADERS for name, _ in scope["headers"])
    )


def is_loopback(host: str) -> bool:
    """Whether an address or host name means this machine alone."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def _write_key(encoded: str) -> str:
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise BadCredential(cause="Basic without valid base64") from None
    if not colon or password or not user.startswith(WRITE_KEY_PREFIX):
        raise BadCredential(
            "Basic takes a write key as the user name and no password.", cause="Basic with no write key"
        )
    return user
