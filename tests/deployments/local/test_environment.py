"""What every process of the local platform is told."""

from pathlib import Path

import pytest

from deployments.local.demo.state import request
from deployments.local.plan import environment
from resources.event_log.embedded import FETCH_WAIT_MS
from resources.settings.tree import Settings

WAIT = "ANALYTICS_STREAMING__FETCH_WAIT_MS"
KAFKA = "ANALYTICS_KAFKA__BOOTSTRAP_SERVERS"


def told_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **named: str) -> dict[str, str]:
    for name in (WAIT, KAFKA):
        monkeypatch.delenv(name, raising=False)
    for name, value in named.items():
        monkeypatch.setenv(name, value)
    return environment(Settings(data_dir=tmp_path), request(tmp_path, asked=None, without=True))


def test_embedded_broker_is_not_asked_to_hold_a_fetch_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds one of nothing to the end, records or not."""
    assert told_with(tmp_path, monkeypatch)[WAIT] == str(FETCH_WAIT_MS)


def test_what_somebody_said_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The platform's own wish gives way to it."""
    assert told_with(tmp_path, monkeypatch, **{WAIT: "20"})[WAIT] == "20"


def test_other_brokers_hold_a_fetch_for_as_long_as_the_setting_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They answer as soon as there is something."""
    assert WAIT not in told_with(tmp_path, monkeypatch, **{KAFKA: "broker:9092"})
