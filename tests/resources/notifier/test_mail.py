"""Alerts by mail, through a real mail server on loopback."""

import contextlib
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from pydantic import SecretStr

from resources.notifier import Alert
from resources.notifier.channel import DeliveryFailed
from resources.notifier.mail import MailChannel
from tests.conftest import free_port
from tests.local_receiver import Certificates, certificates

PASSWORD = "correct-Horse-7"
FORGED = "failed\r\nBcc: everybody@example.com\r\n\r\nClick http://evil.example"


class Mailbox:
    """Keeps what arrives; refuses receivers of nowhere.invalid."""

    def __init__(self) -> None:
        self.letters: list[tuple[list[str], bytes]] = []

    async def handle_RCPT(  # noqa: N802 - aiosmtpd looks for this name
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if address.endswith("@nowhere.invalid"):
            return "550 no such place"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - as above
        self.letters.append((envelope.rcpt_tos, envelope.content))
        return "250 OK"


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("tls"), "mail.example")


@contextlib.contextmanager
def mail_server(box: Mailbox, **how: Any) -> Iterator[int]:
    """A server on a free port."""
    port = free_port()
    controller = Controller(box, hostname="127.0.0.1", port=port, **how)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, login: LoginPassword) -> AuthResult:
    return AuthResult(success=(login.login, login.password) == (b"alerts", PASSWORD.encode()), handled=False)


def channel(
    port: int, certified: Certificates, *, user: str = "", requires_tls: bool = True, to: str = "on-call@example.com"
) -> MailChannel:
    url = SecretStr(f"smtp://{user}127.0.0.1:{port}")
    return MailChannel(url, "alerts@example.com", to.split(), requires_tls=requires_tls, tls=certified.client)


def test_mail_goes_through_starttls_with_a_log_in(certified: Certificates, alert: Alert) -> None:
    box = Mailbox()
    how = {"tls_context": certified.server, "require_starttls": True, "authenticator": authenticate}
    with mail_server(box, auth_required=True, **how) as port:
        channel(port, certified, user=f"alerts:{PASSWORD}@").deliver(alert, 5)
    ((receivers, content),) = box.letters
    letter = message_from_bytes(content, policy=policy.default)
    assert receivers == ["on-call@example.com"]
    assert letter["Subject"] == "[critical] warehouse_job failed"
    assert letter["Message-ID"] == f"<{alert.id}@example.com>"
    body = letter.get_content()
    assert "dbt build: 1 of 30 models failed" in body
    assert "http://127.0.0.1:3001/runs/7f3a" in body


def test_texts_from_data_add_no_header(certified: Certificates, alert: Alert) -> None:
    box = Mailbox()
    forged = msgspec.structs.replace(alert, title=FORGED, body=FORGED, source=FORGED)
    with mail_server(box, tls_context=certified.server) as port:
        channel(port, certified).deliver(forged, 5)
    ((receivers, content),) = box.letters
    letter = message_from_bytes(content, policy=policy.default)
    assert receivers == ["on-call@example.com"]
    assert letter["Bcc"] is None
    assert letter["Subject"].strip().startswith("[critical] failed Bcc: everybody@example.com")


def test_server_without_starttls_gets_nothing_outside_development(certified: Certificates, alert: Alert) -> None:
    box = Mailbox()
    with mail_server(box) as port, pytest.raises(DeliveryFailed, match="no STARTTLS") as caught:
        channel(port, certified).deliver(alert, 5)
    assert caught.value.is_final
    assert box.letters == []


def test_password_is_never_sent_without_tls(certified: Certificates, alert: Alert) -> None:
    box = Mailbox()
    how = {"authenticator": authenticate, "auth_require_tls": False}
    with mail_server(box, **how) as port, pytest.raises(DeliveryFailed, match="no STARTTLS") as caught:
        channel(port, certified, user=f"alerts:{PASSWORD}@", requires_tls=False).deliver(alert, 5)
    assert PASSWORD not in str(caught.value)


def test_laptop_may_use_a_server_without_tls(certified: Certificates, alert: Alert) -> None:
    box = Mailbox()
    with mail_server(box) as port:
        channel(port, certified, requires_tls=False).deliver(alert, 5)
    assert len(box.letters) == 1


def test_unknown_certificate_ends_the_conversation(tmp_path: Path, certified: Certificates, alert: Alert) -> None:
    stranger = certificates(tmp_path, "mail.example")
    box = Mailbox()
    with mail_server(box, tls_context=stranger.server) as port, pytest.raises(DeliveryFailed, match="SSL"):
        channel(port, certified).deliver(alert, 5)
    assert box.letters == []


def test_wrong_password_is_final_and_not_repeated_in_the_error(certified: Certificates, alert: Alert) -> None:
    how = {"tls_context": certified.server, "authenticator": authenticate, "auth_required": True}
    with mail_server(Mailbox(), **how) as port, pytest.raises(DeliveryFailed, match="535") as caught:
        channel(port, certified, user="alerts:wr0ng-Passphrase@").deliver(alert, 5)
    assert caught.value.is_final
    assert "wr0ng" not in str(caught.value)


def test_some_receivers_that_are_refused_are_said(certified: Certificates, alert: Alert) -> None:
    box = Mailbox()
    both = "on-call@example.com nobody@nowhere.invalid"
    with mail_server(box, tls_context=certified.server) as port, pytest.raises(DeliveryFailed) as caught:
        channel(port, certified, to=both).deliver(alert, 5)
    assert "1 of 2" in str(caught.value)
    assert caught.value.is_final, "tried again, the other one would get it again"


def test_nobody_at_the_port_is_a_failure_that_may_pass(certified: Certificates, alert: Alert) -> None:
    with mail_server(Mailbox()) as port:
        pass
    with pytest.raises(DeliveryFailed, match="ConnectionRefusedError") as caught:
        channel(port, certified).deliver(alert, 5)
    assert not caught.value.is_final
