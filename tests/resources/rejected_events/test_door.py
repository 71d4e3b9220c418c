"""Mended events go through the front door of a real API, and wait where it asks them to."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import SecretStr

from deployments.cli import main
from resources.event_log.gate import IngestionGate
from resources.rejected_events.door import DoorRefused, FrontDoor, Refusal
from resources.settings import Settings
from resources.settings.api import ApiSettings, Auth
from resources.settings.kafka import KafkaSettings
from resources.settings.replay import ReplaySettings
from tests.conftest import free_port
from tests.served_api import served_api

GOOD = b'{"event_name":"seen","source_service":"tests","payload":{}}'
BAD = b'{"event_name":"seen","source_service":"tests"}'


@pytest.fixture(scope="module")
def settings(embedded_broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("data"),
        api=ApiSettings(port=free_port()),
        kafka=KafkaSettings(bootstrap_servers=embedded_broker),
    )
    with served_api(settings):
        yield settings


def test_events_are_sent_in_requests_that_fit_and_refusals_keep_their_places(settings: Settings) -> None:
    bodies = [GOOD] * 1001 + [BAD] + [b'{"x":"' + b"a" * 99_000 + b'"}'] * 11 + [GOOD]
    with FrontDoor(settings) as door:
        refusals = door.send(bodies)
    assert [refusal.index for refusal in refusals] == list(range(1001, 1013))
    assert refusals[0].reason == "Object missing required field `payload`"


def test_nothing_to_send_asks_nobody(tmp_path: Path) -> None:
    with FrontDoor(Settings(data_dir=tmp_path, api=ApiSettings(port=free_port()))) as door:
        assert door.send([]) == []


def test_pause_of_the_door_is_waited_out(settings: Settings) -> None:
    gate = IngestionGate.of(settings)
    gate.close("a test")
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        gate.open()

    with FrontDoor(settings, wait=wait) as door:
        assert door.send([GOOD]) == []
    assert waited[0] >= 1


def test_key_that_the_door_does_not_know_is_said_with_the_remedy_and_not_shown(settings: Settings) -> None:
    stranger = settings.model_copy(update={"replay": ReplaySettings(key=SecretStr("planted-secret"))})
    with FrontDoor(stranger) as door, pytest.raises(DoorRefused, match=r"401.*ANALYTICS_REPLAY__KEY") as refusal:
        door.send([GOOD])
    assert "planted-secret" not in str(refusal.value)


def test_door_that_never_answers_is_given_up(tmp_path: Path) -> None:
    with (
        FrontDoor(Settings(data_dir=tmp_path, api=ApiSettings(port=free_port())), give_up_s=0) as door,
        pytest.raises(DoorRefused, match="does not answer"),
    ):
        door.send([GOOD])


def test_write_key_opens_the_door_that_lets_nobody_else_in(
    embedded_broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANALYTICS_API__AUTH", "required")
    strict = Settings(
        data_dir=tmp_path,
        api=ApiSettings(port=free_port(), auth=Auth.REQUIRED),
        kafka=KafkaSettings(bootstrap_servers=embedded_broker),
    )
    analytics(tmp_path, "users", "add", "repairs", "--role", "engineer", "--service")
    secret = analytics(tmp_path, "keys", "create", "replay", "--owner", "repairs", "--write").split()[-1]
    with served_api(strict):
        with FrontDoor(strict) as door, pytest.raises(DoorRefused, match="401"):
            door.send([GOOD])
        known = strict.model_copy(update={"replay": ReplaySettings(key=SecretStr(secret))})
        with FrontDoor(known) as door:
            assert door.send([GOOD, BAD]) == [Refusal(1, "Object missing required field `payload`")]


def analytics(data_dir: Path, *arguments: str) -> str:
    """What a command prints."""
    result = CliRunner().invoke(main, [*arguments, "--data-dir", str(data_dir)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout
