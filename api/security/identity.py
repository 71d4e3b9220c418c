"""Who is asking.

There are no credentials yet. In the environment `local`, a request from this machine that presents none is the
principal `local-developer`; any credential that is presented is a bad one.
"""

import ipaddress
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import Scope

from resources.settings import Environment

LOCAL_DEVELOPER = "local-developer"

CREDENTIAL_HEADERS = ("authorization", "x-api-key")
# A proxy on this machine connects from loopback, whoever is behind it.
_FORWARDED_HEADERS = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


class BadCredential(Exception):
    """The request presents a credential that is not valid. It is never taken for a request without one."""


@dataclass(frozen=True)
class Principal:
    """An identified caller."""

    name: str


def identify(scope: Scope, environment: Environment) -> Principal | None:
    """The principal behind a request; None for an anonymous one.

    Raises:
        BadCredential: a credential was presented and is not valid.
    """
    headers = Headers(scope=scope)
    presented = [name for name in CREDENTIAL_HEADERS if name in headers]
    if presented:
        raise BadCredential(f"The credential in {' and '.join(presented)} is not valid; leave it out.")
    if environment is Environment.LOCAL and _comes_from_this_machine(scope, headers):
        return Principal(LOCAL_DEVELOPER)
    return None


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


def _comes_from_this_machine(scope: Scope, headers: Headers) -> bool:
    client = scope.get("client")
    return client is not None and is_loopback(client[0]) and not any(name in headers for name in _FORWARDED_HEADERS)
