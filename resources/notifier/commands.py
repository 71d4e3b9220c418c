"""`analytics alerts test`: does an alert get through?"""

import datetime as dt
import socket

import click

from resources.notifier.alert import Alert, Severity
from resources.notifier.channel import DeliveryFailed, deliver
from resources.notifier.configured import channels_of
from resources.settings import Settings, SettingsError
from resources.settings.console import err, out
from resources.settings.options import with_settings


@click.group()
def alerts() -> None:
    """Who is told when something is wrong."""


@alerts.command()
@with_settings
def test(settings: Settings) -> None:
    """Send one alert through each channel that is set, and say what came of it; exit 1 if one failed."""
    try:
        channels = channels_of(settings)
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    now = dt.datetime.now(dt.UTC)
    alert = Alert(
        kind="test",
        title="A test of the alerts",
        body="Nothing is wrong: somebody ran `analytics alerts test`.",
        severity=Severity.INFO,
        source=socket.gethostname(),
        dedup_key=f"test/{now.isoformat()}",
        occurred_at=now,
    )
    failed = False
    for channel in channels:
        try:
            deliver(channel, alert, settings.alerts.give_up_after_s)
        except DeliveryFailed as error:
            failed = True
            out.print(f"{channel.name:8} failed: {error}", markup=False)
        else:
            out.print(f"{channel.name:8} sent", markup=False)
    if len(channels) == 1:
        err.print("Only the log is told; ANALYTICS_ALERTS__… sets a webhook, Slack or mail.", markup=False)
    if failed:
        raise SystemExit(1)
