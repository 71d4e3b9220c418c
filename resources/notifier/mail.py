"""Alerts by mail: plain text, over TLS wherever the server is not on this laptop."""

import smtplib
import ssl
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from email.utils import format_datetime
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from resources.notifier.alert import Alert, lines, one_line
from resources.notifier.channel import DeliveryFailed

_PORTS = {"smtp": 587, "smtps": 465}
_MAX_SUBJECT = 200


class MailChannel:
    """A mail server that takes alerts for some receivers.

    Args:
        url: smtp://… (STARTTLS) or smtps://…, with a user and a password where the server asks for them.
        sender: the From address.
        receivers: the To addresses.
        requires_tls: whether a server that offers no STARTTLS is refused. A password is never sent without.
        tls: whom to trust; default: the system's authorities.
    """

    name = "mail"

    def __init__(
        self,
        url: SecretStr,
        sender: str,
        receivers: Sequence[str],
        *,
        requires_tls: bool,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._url = url
        self._sender = sender
        self._receivers = list(receivers)
        self._requires_tls = requires_tls
        self._tls = tls

    def deliver(self, alert: Alert, timeout_s: float) -> None:
        """Send one message to all receivers; some of them are not enough."""
        try:
            with self._connect(timeout_s) as server:
                refused = server.send_message(letter(alert, self._sender, self._receivers))
        except smtplib.SMTPResponseException as error:
            # 5xx is final (RFC 5321 §4.2.1). The server's words may repeat what we sent, so they are not repeated here.
            cause = f"the mail server answered {error.smtp_code} ({type(error).__name__})"
            raise DeliveryFailed(cause, is_final=error.smtp_code >= 500) from None
        except smtplib.SMTPRecipientsRefused as error:
            raise DeliveryFailed(
                "the mail server refused every receiver", is_final=_for_good(error.recipients)
            ) from None
        except (OSError, smtplib.SMTPException) as error:
            raise DeliveryFailed(f"the mail server did not take it ({type(error).__name__})") from None
        if refused:
            # Tried again, the others would get it again.
            raise DeliveryFailed(
                f"the mail server refused {len(refused)} of {len(self._receivers)} receivers", is_final=True
            )

    def _connect(self, timeout_s: float) -> smtplib.SMTP:
        """A connection, encrypted and logged in as far as it has to be."""
        address = urlsplit(self._url.get_secret_value())
        host, port = address.hostname or "", address.port or _PORTS[address.scheme]
        tls = self._tls or ssl.create_default_context()
        if address.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=timeout_s, context=tls)
        else:
            server = smtplib.SMTP(host, port, timeout=timeout_s)
        try:
            if address.scheme == "smtp":
                server.ehlo_or_helo_if_needed()
                if server.has_extn("starttls"):
                    server.starttls(context=tls)
                elif self._requires_tls or address.username:
                    raise DeliveryFailed(f"the mail server {host} offers no STARTTLS", is_final=True)
            if address.username:
                server.login(unquote(address.username), unquote(address.password or ""))
        except BaseException:
            server.close()
            raise
        return server


def letter(alert: Alert, sender: str, receivers: Sequence[str]) -> EmailMessage:
    """The message. Its id is the alert's: a mail reader shows it once, however often it comes."""
    message = EmailMessage()
    message["From"] = sender
    message["To"] = ", ".join(receivers)
    message["Subject"] = one_line(f"[{alert.severity.value}] {alert.title}")[:_MAX_SUBJECT]
    message["Date"] = format_datetime(alert.occurred_at)
    message["Message-ID"] = f"<{alert.id}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday notice comes back
    text = [lines(alert.body), f"Where: {one_line(alert.source)}", f"When: {alert.occurred_at:%Y-%m-%d %H:%M:%S %Z}"]
    if alert.link:
        text.append(alert.link)
    message.set_content("\n\n".join(part for part in text if part) + "\n")
    return message


def _for_good(refused: Mapping[str, tuple[int, bytes]]) -> bool:
    """Whether trying again is of no use: 5xx is final (RFC 5321 §4.2.1)."""
    return all(code >= 500 for code, _ in refused.values())
