"""The topic checks against the embedded broker."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from platform_assets.contracts.topics import EVENTS
from platform_assets.defs.ingestion.event_log import compare_log
from resources.event_log.acknowledged import AcknowledgedOffsets
from resources.event_log.topics import Log, ensure_topics
from resources.landing_zone import LandingZone
from resources.settings import KafkaSettings, Settings
from tests.conftest import running_broker
from tests.landed_records import event, land_events


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    with running_broker() as address:
        yield address


@pytest.fixture
def log(broker: str) -> Log:
    return ensure_topics(broker)[EVENTS.name]


@pytest.fixture
def settings(tmp_path: Path, broker: str) -> Settings:
    return Settings(data_dir=tmp_path / "data", kafka=KafkaSettings(bootstrap_servers=broker))


def acknowledge(settings: Settings, log: Log, records: int) -> None:
    with AcknowledgedOffsets(settings.state_dir / "acknowledged", log.topic, log.log, log.partitions) as marks:
        marks.advance(0, records)


def test_new_topic_that_nobody_wrote_to_passes(settings: Settings, landing: LandingZone, log: Log) -> None:
    result = compare_log(settings, landing, EVENTS)
    assert result.passed
    assert result.metadata["log"].value == log.log


def test_landed_incarnation_passes_and_shows_what_is_under_way(
    settings: Settings, landing: LandingZone, log: Log
) -> None:
    acknowledge(settings, log, 10)
    land_events(landing, [event(0, log=log.log)], covers=(0, 6))
    result = compare_log(settings, landing, EVENTS)
    assert result.passed
    assert result.metadata["records_under_way"].value == 3


def test_incarnation_that_was_written_to_and_never_landed_fails(
    settings: Settings, landing: LandingZone, log: Log
) -> None:
    acknowledge(settings, log, 10)
    land_events(landing, [event(0, log="an-earlier-one")])
    assert not compare_log(settings, landing, EVENTS).passed


def test_broker_that_does_not_answer_fails_with_its_address(tmp_path: Path, landing: LandingZone) -> None:
    settings = Settings(data_dir=tmp_path, kafka=KafkaSettings(bootstrap_servers="127.0.0.1:1"))
    result = compare_log(settings, landing, EVENTS, timeout_s=0.5)
    assert not result.passed
    assert "127.0.0.1:1" in str(result.metadata["cause"].value)
