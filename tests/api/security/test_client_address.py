"""The client's address: only a trusted proxy is believed (security.md 38)."""

import pytest
from starlette.types import Message, Receive, Scope, Send

from api.security.client_address import ClientAddressMiddleware, client_address

PROXIES = ("10.0.0.0/8", "fd00::/8", "127.0.0.1/32")


async def seen(peer: str | None, *forwarded: str, trusted: tuple[str, ...] = PROXIES) -> str | None:
    """What the application takes for the client's address."""
    found: list[str | None] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        found.append(client_address(scope))

    async def nothing(*_: object) -> Message:
        raise AssertionError

    scope = {
        "type": "http",
        "client": (peer, 1) if peer else None,
        "headers": [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded],
    }
    await ClientAddressMiddleware(application, trusted_proxies=trusted)(scope, nothing, nothing)  # type: ignore[arg-type]
    return found[0]


@pytest.mark.parametrize("spoofed", ["127.0.0.1", "1.2.3.4, 10.0.0.1", "::1", "unknown"])
async def test_a_header_from_an_untrusted_peer_changes_nothing(spoofed: str) -> None:
    assert await seen("192.0.2.7", spoofed) == "192.0.2.7"
    assert await seen("127.0.0.1", spoofed, trusted=()) == "127.0.0.1"


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        (("203.0.113.9",), "203.0.113.9"),
        (("1.1.1.1, 203.0.113.9",), "203.0.113.9"),
        (("1.1.1.1", "203.0.113.9, 10.0.0.5"), "203.0.113.9"),
        (("127.0.0.1, 203.0.113.9, 10.0.0.5, 10.0.0.6",), "203.0.113.9"),
        (("203.0.113.9:4711",), "203.0.113.9"),
        (("[2001:db8::1]:443",), "2001:db8::1"),
        (("2001:db8::1",), "2001:db8::1"),
        (("::ffff:203.0.113.9",), "203.0.113.9"),
        (("203.0.113.9, fd00::2",), "203.0.113.9"),
    ],
)
async def test_behind_a_trusted_proxy_the_rightmost_untrusted_hop_is_the_client(
    forwarded: tuple[str, ...], client: str
) -> None:
    assert await seen("10.1.2.3", *forwarded) == client
    assert await seen("::ffff:10.1.2.3", *forwarded) == client


@pytest.mark.parametrize("fault", ["", "junk", "203.0.113.9, junk", "203.0.113.9, ", "203.0.113.9 10.0.0.1", "\xe9"])
async def test_a_damaged_hop_is_not_read_past(fault: str) -> None:
    assert await seen("10.1.2.3", fault) == "10.1.2.3"
    assert await seen("10.1.2.3", f"{fault}, 10.0.0.5") == "10.0.0.5"


async def test_a_chain_of_proxies_only_is_the_outermost_of_them() -> None:
    assert await seen("10.1.2.3", "10.0.0.8, 10.0.0.9") == "10.0.0.8"
    assert await seen("10.1.2.3") == "10.1.2.3"


async def test_a_very_long_chain_is_read_to_a_bound_only() -> None:
    assert await seen("10.1.2.3", ", ".join(["1.1.1.1", *["10.0.0.5"] * 10_000])) == "10.0.0.5"


async def test_a_unix_socket_has_no_address() -> None:
    assert await seen(None, "203.0.113.9") is None
