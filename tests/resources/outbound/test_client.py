"""Requests to real servers on loopback: what is connected to, what is sent, and when it ends (security.md 22)."""

import ipaddress
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.outbound import AddressRefused, OutboundClient, OutboundError, OutboundPolicy
from resources.outbound.policy import IpAddress
from resources.settings import Environment
from tests.conftest import free_port
from tests.local_receiver import Certificates, Receiver, certificates, receiver

LOCAL = OutboundPolicy.of(Environment.LOCAL)
PROD = OutboundPolicy.of(Environment.PROD)
NAME = "hooks.example"


class Names:
    """A name server that gives one answer after the other, and remembers how often it was asked."""

    def __init__(self, *answers: str) -> None:
        self._answers = list(answers)
        self.asked = 0

    def __call__(self, host: str, port: int, timeout_s: float) -> list[IpAddress]:
        self.asked += 1
        return [ipaddress.ip_address(self._answers.pop(0))]


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("tls"), NAME)


@pytest.fixture
def plain() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


@pytest.fixture
def encrypted(certified: Certificates) -> Iterator[Receiver]:
    with receiver(certified.server) as running:
        yield running


def test_a_request_arrives_with_its_body_and_headers(plain: Receiver) -> None:
    answer = OutboundClient(LOCAL).request("POST", plain.url, content=b"{}", headers={"X-A": "1"}, timeout_s=5)
    assert (answer.status, answer.body) == (200, b"ok")
    (got,) = plain.received
    assert (got.method, got.path, got.body, got.headers["x-a"]) == ("POST", "/hook", b"{}", "1")
    assert got.headers["host"] == f"127.0.0.1:{plain.port}"


def test_tls_and_the_host_header_keep_the_name_while_the_address_was_looked_up_once(
    certified: Certificates, encrypted: Receiver
) -> None:
    """The certificate is for the name; a second look-up would have found an address where nobody listens."""
    names = Names("127.0.0.1", "127.9.9.9")
    client = OutboundClient(LOCAL, tls=certified.client, resolve=names)
    client.request("POST", f"https://{NAME}:{encrypted.port}/hook", timeout_s=5)
    assert encrypted.received[0].headers["host"] == f"{NAME}:{encrypted.port}"
    assert names.asked == 1


def test_a_certificate_for_another_name_is_refused(certified: Certificates, encrypted: Receiver) -> None:
    client = OutboundClient(LOCAL, tls=certified.client, resolve=Names("127.0.0.1"))
    with pytest.raises(OutboundError, match=r"other\.example"):
        client.request("POST", f"https://other.example:{encrypted.port}/hook", timeout_s=5)
    assert encrypted.received == []


def test_an_unknown_authority_is_refused(encrypted: Receiver) -> None:
    with pytest.raises(OutboundError):
        OutboundClient(LOCAL).request("POST", encrypted.url, timeout_s=5)
    assert encrypted.received == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "[::1]"])
def test_outside_development_loopback_is_not_called_however_it_is_written(
    certified: Certificates, encrypted: Receiver, host: str
) -> None:
    client = OutboundClient(PROD, tls=certified.client)
    with pytest.raises(AddressRefused, match="loopback"):
        client.request("POST", f"https://{host}:{encrypted.port}/hook", timeout_s=5)
    assert encrypted.received == []


def test_a_name_that_stands_for_the_metadata_server_is_refused() -> None:
    client = OutboundClient(PROD, resolve=Names("169.254.169.254"))
    with pytest.raises(AddressRefused, match="link-local"):
        client.request("GET", f"https://{NAME}/latest/meta-data", timeout_s=5)


def test_a_name_that_changes_to_a_private_address_after_the_check_is_not_followed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DNS rebinding: what was checked is what is connected to, as a literal address."""
    connected: list[str] = []

    def connect(address: tuple[str, int], *_: object, **__: object) -> socket.socket:
        connected.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", connect)
    names = Names("93.184.216.34", "127.0.0.1")
    with pytest.raises(OutboundError, match="could not be asked"):
        OutboundClient(PROD, resolve=names).request("POST", f"https://{NAME}/hook", timeout_s=5)
    assert connected == ["93.184.216.34"]
    assert names.asked == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(plain: Receiver, status: int) -> None:
    with receiver() as elsewhere:
        plain.answers, plain.headers = [status], {"location": elsewhere.url}
        with pytest.raises(AddressRefused, match="redirects"):
            OutboundClient(LOCAL).request("POST", plain.url, timeout_s=5)
        assert elsewhere.received == []


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "ftp://hooks.example/",
        "//hooks.example/",
        "hooks.example",
        "https://",
        "https://user:secret@hooks.example/",
        "https://[bad/",
    ],
)
def test_what_is_no_address_of_ours_is_refused_before_anything_is_looked_up(url: str) -> None:
    names = Names()
    with pytest.raises(AddressRefused) as caught:
        OutboundClient(PROD, resolve=names).request("GET", url, timeout_s=5)
    assert names.asked == 0
    assert "secret" not in str(caught.value)


def test_an_error_names_the_host_and_not_the_path() -> None:
    url = f"http://127.0.0.1:{free_port()}/services/T0/B0/c0nfidential"
    with pytest.raises(OutboundError, match=r"127\.0\.0\.1") as caught:
        OutboundClient(LOCAL).request("POST", url, timeout_s=5)
    assert "c0nfidential" not in str(caught.value)


def test_an_unknown_host_is_an_error() -> None:
    with pytest.raises(OutboundError, match=r"nowhere\.invalid"):
        OutboundClient(LOCAL).request("POST", "http://nowhere.invalid/", timeout_s=5)


def test_a_server_that_drips_does_not_get_more_time() -> None:
    """Each byte comes in time; all of them together would take minutes."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                try:
                    for byte in b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 1000:
                        connection.sendall(bytes([byte]))
                        time.sleep(0.05)
                except OSError:
                    return  # the client has left, as it should

        threading.Thread(target=drip, daemon=True).start()
        started = time.monotonic()
        with pytest.raises(OutboundError, match=r"within 0\.5 s"):
            OutboundClient(LOCAL).request("GET", f"http://127.0.0.1:{listening.getsockname()[1]}/", timeout_s=0.5)
        assert time.monotonic() - started < 3


def test_an_endless_answer_is_cut_off() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def flood() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                try:
                    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                    while True:
                        connection.sendall(b"x" * 65_536)
                except OSError:
                    return

        threading.Thread(target=flood, daemon=True).start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        answer = OutboundClient(LOCAL).request("GET", url, timeout_s=5, max_answer_bytes=1000)
        assert answer.body == b"x" * 1000


def test_the_system_knows_whom_to_trust_from_a_file(
    monkeypatch: pytest.MonkeyPatch, certified: Certificates, encrypted: Receiver
) -> None:
    """SSL_CERT_FILE, as a company with an authority of its own sets it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(Path(certified.file)))
    assert OutboundClient(LOCAL).request("POST", encrypted.url, timeout_s=5).status == 200
