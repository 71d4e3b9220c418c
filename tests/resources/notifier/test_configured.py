"""Which channels the settings make, and `analytics alerts test`."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import SecretStr

from deployments.cli import main
from resources.notifier.configured import channels_of, notifier_of
from resources.settings import AlertsSettings, Environment, Settings, SettingsError, load_settings
from tests.conftest import free_port
from tests.local_receiver import Receiver

KEY = SecretStr("0123456789abcdef0123456789abcdef")
ALL = AlertsSettings(
    webhook_url=SecretStr("https://alerts.example/hook"),
    webhook_secret=KEY,
    slack_url=SecretStr("https://slack.example/services/T0/B0/abc"),
    smtp_url=SecretStr("smtp://alerts:correct-Horse-7@mail.example"),
    email_from="alerts@example.com",
    email_to=("on-call@example.com", "data@example.com"),
)


def test_default_is_the_log_alone() -> None:
    assert [channel.name for channel in channels_of(Settings())] == ["log"]


def test_each_channel_that_is_set_is_there() -> None:
    for environment in Environment:
        names = [channel.name for channel in channels_of(Settings(environment=environment, alerts=ALL))]
        assert names == ["log", "webhook", "slack", "mail"]


def test_plain_http_is_refused_outside_development(tmp_path: Path) -> None:
    plain = AlertsSettings(slack_url=SecretStr("http://slack.example/services/T0/B0/abc"))
    notifier_of(Settings(data_dir=tmp_path, alerts=plain))
    with pytest.raises(SettingsError, match="ANALYTICS_ALERTS__SLACK_URL: has to be https in prod") as caught:
        notifier_of(Settings(environment=Environment.PROD, alerts=plain))
    assert "T0" not in str(caught.value)


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"WEBHOOK_URL": "https://alerts.example/"}, "go together"),
        ({"SLACK_URL": "file:///etc/passwd"}, "web address"),
        ({"SLACK_URL": "https://"}, "web address"),
        ({"SMTP_URL": "mail.example:587"}, "mail server"),
        ({"EMAIL_TO": "a@example.com"}, "go together"),
        ({"EMAIL_TO": "a@example.com\r\nBcc: b@example.com"}, "bare addresses"),
        ({"EMAIL_FROM": "Alerts <a@example.com>"}, "bare addresses"),
        ({"GIVE_UP_AFTER_S": "31"}, "less than or equal to 30"),
    ],
)
def test_settings_that_make_no_channel_are_refused(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], reason: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"ANALYTICS_ALERTS__{name}", value)
    with pytest.raises(SettingsError, match=reason):
        load_settings()


def test_command_says_of_each_channel_what_came_of_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hook: Receiver
) -> None:
    secret_path = "/services/T0/B0/c0nfidential"
    for name, value in {
        "WEBHOOK_URL": hook.url,
        "WEBHOOK_SECRET": KEY.get_secret_value(),
        "SLACK_URL": f"http://127.0.0.1:{free_port()}{secret_path}",
        "GIVE_UP_AFTER_S": "0.3",
    }.items():
        monkeypatch.setenv(f"ANALYTICS_ALERTS__{name}", value)
    result = CliRunner().invoke(main, ["alerts", "test", "--data-dir", str(tmp_path)])
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [["log", "sent"], ["webhook", "sent"], ["slack", "failed:"]]
    assert secret_path not in result.output
    assert len(hook.received) == 1


def test_command_says_that_only_the_log_is_told(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["alerts", "test", "--data-dir", str(tmp_path)])
    assert result.exit_code == 0
    assert "Only the log" in result.stderr
