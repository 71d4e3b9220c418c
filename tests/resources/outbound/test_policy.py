"""Which addresses are called (security.md 22)."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.outbound import AddressRefused, OutboundPolicy
from resources.outbound.policy import not_public
from resources.settings import Environment

PUBLIC = ["93.184.216.34", "1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101", "2002:101:101::1"]


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("0.0.0.0", "unspecified"),  # noqa: S104 - nothing listens here
        ("10.1.2.3", "private"),
        ("172.16.0.1", "private"),
        ("192.168.0.1", "private"),
        ("169.254.169.254", "link-local"),
        ("100.64.0.1", "special"),
        ("192.0.0.192", "special"),
        ("168.63.129.16", "special"),
        ("198.18.0.1", "private"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.250", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "reserved"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("fe80::1", "link-local"),
        ("fe80::1%1", "link-local"),
        ("fc00::1", "private"),
        ("fd00:ec2::254", "private"),
        ("fec0::1", "site-local"),
        ("ff02::1", "multicast"),
        ("2001:db8::1", "private"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:169.254.169.254", "link-local"),
        ("::ffff:10.0.0.1", "private"),
        ("::127.0.0.1", "reserved"),
        ("64:ff9b::7f00:1", "loopback"),
        ("64:ff9b::a9fe:a9fe", "link-local"),
        ("2002:7f00:1::", "loopback"),
        ("2002:a00:1::1", "private"),
    ],
)
def test_an_address_that_is_not_public_is_named_by_its_kind(address: str, kind: str) -> None:
    assert not_public(ipaddress.ip_address(address)) == kind


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_public_in_every_form(address: str) -> None:
    assert not_public(ipaddress.ip_address(address)) is None


@given(st.integers(0, 2**32 - 1))
def test_an_ipv4_address_is_judged_alike_however_it_is_written(number: int) -> None:
    plain = ipaddress.IPv4Address(number)
    mapped = ipaddress.IPv6Address(f"::ffff:{plain}")
    translated = ipaddress.IPv6Address(int(ipaddress.IPv6Address("64:ff9b::")) + number)
    assert not_public(plain) == not_public(mapped) == not_public(translated)


def test_one_private_address_among_public_ones_refuses_the_name() -> None:
    """Any of them may be the one that is connected to."""
    policy = OutboundPolicy.of(Environment.PROD)
    with pytest.raises(AddressRefused, match=r"hooks\.example is 10\.0\.0\.5, a private address"):
        policy.check_addresses("hooks.example", [ipaddress.ip_address(text) for text in ("1.1.1.1", "10.0.0.5")])


@pytest.mark.parametrize("scheme", ["http", "file", "ftp", "gopher", ""])
def test_only_https_outside_development(scheme: str) -> None:
    with pytest.raises(AddressRefused, match="https"):
        OutboundPolicy.of(Environment.STAGING).check_scheme(scheme)


def test_a_laptop_may_call_its_own_servers_but_no_files() -> None:
    policy = OutboundPolicy.of(Environment.LOCAL)
    policy.check_scheme("http")
    policy.check_addresses("localhost", [ipaddress.ip_address("127.0.0.1")])
    with pytest.raises(AddressRefused):
        policy.check_scheme("file")
