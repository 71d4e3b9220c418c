"""Which addresses we may be sent to by a setting.

Outside development an address is https, and every IP address that its name stands for is a public one. Otherwise
whoever may set a webhook could have this machine ask its own services, its network or the cloud's metadata server.
"""

import ipaddress
from dataclasses import dataclass

from resources.settings import Environment

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
"""NAT64 (RFC 6052): how a network that speaks IPv6 only reaches an IPv4 address, which is in the last 32 bits."""

_SPECIAL = (
    # Python 3.11 calls most of these public. 192.0.0.192 is one cloud's metadata server, 168.63.129.16 another's.
    ipaddress.IPv4Network("192.0.0.0/24"),
    ipaddress.IPv4Network("192.88.99.0/24"),
    ipaddress.IPv4Network("168.63.129.16/32"),
)

# The first that holds is named; several may.
_KINDS = (
    ("is_unspecified", "unspecified"),
    ("is_loopback", "loopback"),
    ("is_link_local", "link-local"),
    ("is_multicast", "multicast"),
    ("is_site_local", "site-local"),
    ("is_reserved", "reserved"),
    ("is_private", "private"),
)


class OutboundError(RuntimeError):
    """A request got no answer. The message names the host, never the path or the query: they may be secret."""


class AddressRefused(OutboundError):
    """We do not connect there; another attempt would end in the same way."""


@dataclass(frozen=True)
class OutboundPolicy:
    """What an address may be."""

    schemes: tuple[str, ...]
    allows_private: bool

    @classmethod
    def of(cls, environment: Environment) -> "OutboundPolicy":
        """Of an environment; a laptop may call its own servers."""
        if environment is Environment.LOCAL:
            return cls(("https", "http"), allows_private=True)
        return cls(("https",), allows_private=False)

    def check_scheme(self, scheme: str) -> None:
        """
        Raises:
            AddressRefused: it is not one of ours.
        """
        if scheme not in self.schemes:
            raise AddressRefused(f"An address has to begin with {' or '.join(self.schemes)}, not {scheme or 'nothing'}")

    def check_addresses(self, host: str, addresses: list[IpAddress]) -> None:
        """All that a name stands for, since any of them may be the one that answers.

        Raises:
            AddressRefused: one of them is not public.
        """
        if self.allows_private:
            return
        for address in addresses:
            kind = not_public(address)
            if kind is not None:
                raise AddressRefused(
                    f"{host} is {address}, a {kind} address; outside development only public ones are called"
                )


def not_public(address: IpAddress) -> str | None:
    """What kind of address it is, if not a public one; an IPv4 address in an IPv6 one is looked at by itself."""
    inner = _inner_address(address)
    if inner is not None:
        return not_public(inner)
    for attribute, kind in _KINDS:
        if getattr(address, attribute, False):
            return kind
    # 100.64.0.0/10, for one, is neither private nor global.
    return "special" if not address.is_global or any(address in network for network in _SPECIAL) else None


def _inner_address(address: IpAddress) -> ipaddress.IPv4Address | None:
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _TRANSLATED:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour
