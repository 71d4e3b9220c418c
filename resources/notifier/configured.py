"""The channels that the settings name."""

from urllib.parse import urlsplit

from resources.notifier.channel import Channel
from resources.notifier.log_channel import LogChannel
from resources.notifier.mail import MailChannel
from resources.notifier.notifier import OutboxNotifier
from resources.notifier.outbox import Outbox
from resources.notifier.slack import SlackChannel
from resources.notifier.webhook import WebhookChannel
from resources.outbound import OutboundClient, OutboundPolicy
from resources.settings import Environment, Settings, SettingsError
from resources.settings.variables import secrets_of, variable_name
from resources.telemetry.redaction import Redactor


def notifier_of(settings: Settings) -> OutboxNotifier:
    """The notifier of a deployment.

    Raises:
        SettingsError: as `channels_of`.
    """
    return OutboxNotifier(
        channels_of(settings),
        Outbox(settings.state_dir / "alerts.sqlite", settings.alerts.repeat_after_s),
        give_up_after_s=settings.alerts.give_up_after_s,
        redactor=Redactor(_secret_texts(settings)),
    )


def channels_of(settings: Settings) -> list[Channel]:
    """The log and each channel that is set.

    Raises:
        SettingsError: outside development an address is not https.
    """
    alerts = settings.alerts
    for name in alerts.unencrypted(settings.environment):
        variable = variable_name(("alerts", name))
        raise SettingsError(f"{variable}: has to be https in {settings.environment.value}; http is for a laptop only")
    client = OutboundClient(OutboundPolicy.of(settings.environment))
    channels: list[Channel] = [LogChannel()]
    if alerts.webhook_url is not None and alerts.webhook_secret is not None:
        channels.append(WebhookChannel(alerts.webhook_url, alerts.webhook_secret, client))
    if alerts.slack_url is not None:
        channels.append(SlackChannel(alerts.slack_url, client))
    if alerts.smtp_url is not None and alerts.email_from is not None:
        requires_tls = settings.environment is not Environment.LOCAL
        channels.append(MailChannel(alerts.smtp_url, alerts.email_from, alerts.email_to, requires_tls=requires_tls))
    return channels


def _secret_texts(settings: Settings) -> list[str]:
    """All secrets. Of a web address the path is one too: it is all that Slack asks for."""
    texts = [secret.get_secret_value() for secret in secrets_of(settings)]
    return texts + [urlsplit(text).path for text in texts if text.startswith(("https://", "http://"))]
