"""ANALYTICS_ALERTS__…: who is told when something is wrong; without any of it, the log."""

import re
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from resources.settings.environment import Environment
from resources.settings.section import CommaSeparated, Section

# No more than keeps a list of receivers and a header apart from what is none; the mail server judges the rest.
_MAILBOX = re.compile(r"[^\s@,;:<>\"()\[\]\\]+@[^\s@,;:<>\"()\[\]\\]+\Z")


class AlertsSettings(Section):
    """The channels. Addresses are secrets: whoever knows a webhook's can write to it."""

    webhook_url: SecretStr | None = Field(None, description="Gets each alert as JSON, signed with webhook_secret.")
    webhook_secret: SecretStr | None = Field(None, description="Key of the HMAC-SHA256 signature.")
    slack_url: SecretStr | None = Field(None, description="A Slack incoming webhook.")
    smtp_url: SecretStr | None = Field(
        None, description="smtp://user:password@host:587 (STARTTLS), or smtps://…:465; the user may be left out."
    )
    email_from: str | None = Field(None, description="The sender of alerts by mail.")
    email_to: CommaSeparated = Field((), description="Who gets alerts by mail.")
    dagster_url: str | None = Field(
        None, description="Where a reader of an alert finds Dagster's pages; default: Dagster's own host and port."
    )
    repeat_after_s: float = Field(
        900.0, ge=0, description="What stays wrong is said again after this long; what comes before is counted."
    )
    give_up_after_s: float = Field(
        10.0, gt=0, le=30, description="How long one alert may take on one channel, its repeated attempts included."
    )

    @field_validator("webhook_url", "slack_url")
    @classmethod
    def _is_web_address(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not _has_scheme_and_host(url, ("https", "http")):
            raise ValueError("must be a web address, as https://alerts.example/hook")
        return url

    @field_validator("smtp_url")
    @classmethod
    def _is_mail_server(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not _has_scheme_and_host(url, ("smtp", "smtps")):
            raise ValueError("must be a mail server's address, as smtp://user:password@mail.example:587")
        return url

    @field_validator("email_from", "email_to")
    @classmethod
    def _are_mailboxes(cls, value: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        for mailbox in (value,) if isinstance(value, str) else value or ():
            if not _MAILBOX.match(mailbox):
                raise ValueError("must be bare addresses, as alerts@example.com")
        return value

    @model_validator(mode="after")
    def _parts_belong_together(self) -> Self:
        if (self.webhook_url is None) != (self.webhook_secret is None):
            raise ValueError("webhook_url and webhook_secret go together; set both or neither")
        mail = (self.smtp_url, self.email_from, self.email_to)
        if any(mail) and not all(mail):
            raise ValueError("smtp_url, email_from and email_to go together; set all three or none")
        return self

    def unencrypted(self, environment: Environment) -> list[str]:
        """The names of the addresses that are not https although they have to be; http is for a laptop only."""
        if environment is Environment.LOCAL:
            return []
        addresses = {"webhook_url": self.webhook_url, "slack_url": self.slack_url}
        return [
            name
            for name, url in addresses.items()
            if url is not None and urlsplit(url.get_secret_value()).scheme.lower() != "https"
        ]


def _has_scheme_and_host(url: SecretStr, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(url.get_secret_value())
        return parts.scheme.lower() in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
