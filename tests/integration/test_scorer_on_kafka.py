"""The scorer on Apache Kafka: rebalances, a broker that dies, and records that retention has removed."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from platform_assets.contracts.topics import WINDOWS
from resources.event_log.topics import ensure_topics
from tests.api.models import promote
from tests.faults.brokers import KafkaBroker
from tests.streaming.scoring.processes import Platform, append_many_changes, check_newest_predictions

pytestmark = pytest.mark.integration


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[KafkaBroker]:
    broker = KafkaBroker(tmp_path)
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()


@pytest.fixture
def platform(kafka: KafkaBroker, tmp_path: Path) -> Iterator[Platform]:
    """Topics, features and a champion; the session time-out is the shortest that Kafka takes."""
    ensure_topics(kafka.address, timeout_s=60)
    platform = Platform(kafka.address, tmp_path, session_timeout_s=6)
    platform.put_features()
    promote(platform.settings.models_dir, version="1")
    yield platform
    platform.end_all()


def test_scorers_survive_each_other_and_the_broker(kafka: KafkaBroker, platform: Platform) -> None:
    """A second one joins, the broker is killed and comes back, the first one is killed: everyone's newest is right."""
    first = platform.start()
    platform.wait(lambda: first.is_ready)
    append_many_changes(platform, 400)
    second = platform.start()
    platform.wait(lambda: second.is_ready)
    append_many_changes(platform, 4_000)
    kafka.kill()
    kafka.start()
    last_change = append_many_changes(platform, 400, after=4_400)
    first.end(signal.SIGKILL)
    platform.wait(lambda: platform.kept() == 4_800, 120)
    check_newest_predictions(platform, last_change)
    assert second.end() == 0


def test_records_that_retention_removed_before_the_first_start_are_passed_over(platform: Platform) -> None:
    """The scorer begins with what is left, and goes on with what comes."""
    last_change = append_many_changes(platform, 400)
    removed = [TopicPartition(WINDOWS.name, partition, 60) for partition in range(WINDOWS.partitions)]
    admin = AdminClient({"bootstrap.servers": platform.address})
    for future in admin.delete_records(removed).values():
        future.result(30)
    scorer = platform.start()
    platform.wait(lambda: platform.kept() == 400, 60)
    check_newest_predictions(platform, last_change)
    assert "records_missing partition=" in scorer.log()
    assert scorer.end() == 0
