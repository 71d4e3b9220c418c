"""The stages' records on their way to a real broker: which partition they stand on, and what leaves a mark."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from platform_assets.contracts.topics import LATE, PARTIALS, WINDOWS, Topic
from resources.event_log.acknowledged import read_acknowledged
from resources.event_log.topics import ensure_topics
from resources.settings import KafkaSettings, Settings
from streaming.publishing import NewsLog
from streaming.stage import Outgoing
from tests.conftest import running_broker


@pytest.fixture
def broker() -> Iterator[str]:
    with running_broker() as address:
        ensure_topics(address)
        yield address


def settings_for(address: str, root: Path) -> Settings:
    return Settings(data_dir=root, kafka=KafkaSettings(bootstrap_servers=address))


def stored(address: str, topic: Topic, count: int) -> dict[int, list[tuple[bytes | None, bytes | None]]]:
    """Keys and values by partition, once there are so many."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "reader"})
    consumer.assign([TopicPartition(topic.name, partition, 0) for partition in range(topic.partitions)])
    found: dict[int, list[tuple[bytes | None, bytes | None]]] = {}
    try:
        while sum(map(len, found.values())) < count:
            records = consumer.consume(count, timeout=5)
            assert records, f"{topic.name} has only {found}"
            for record in records:
                found.setdefault(record.partition() or 0, []).append((record.key(), record.value()))
    finally:
        consumer.close()
    return found


async def test_records_stand_where_the_stage_wants_them_and_late_events_where_their_key_does(
    broker: str, tmp_path: Path
) -> None:
    """Windows on the partition of their source, parts on that of their key; one beyond the topic wraps around."""
    news = NewsLog(settings_for(broker, tmp_path))
    records = [Outgoing(WINDOWS.name, number, None, str(number).encode()) for number in (0, 1, 3, 3, 6)]
    records += [Outgoing(PARTIALS.name, 2, None, b"part"), Outgoing(LATE.name, None, b"e1", b"late")]
    await news.append(records)
    windows = stored(broker, WINDOWS, 5)
    assert {number: [value for _, value in found] for number, found in windows.items()} == {
        0: [b"0"],
        1: [b"1"],
        2: [b"6"],
        3: [b"3", b"3"],
    }
    assert stored(broker, PARTIALS, 1) == {2: [(None, b"part")]}
    assert list(stored(broker, LATE, 1).values()) == [[(b"e1", b"late")]]
    # Parts never land: a mark of them would wait for ever.
    marked = {marks.topic for marks in read_acknowledged(Settings(data_dir=tmp_path).acknowledged_dir)}
    assert marked == {WINDOWS.name, LATE.name}
    await news.close()


async def test_first_records_of_two_stages_connect_once(broker: str, tmp_path: Path) -> None:
    news = NewsLog(settings_for(broker, tmp_path))
    one = [Outgoing(WINDOWS.name, 0, None, b"1")]
    await asyncio.gather(*(news.append(one) for _ in range(5)))
    assert len(stored(broker, WINDOWS, 5)[0]) == 5
    await news.close()
    await news.close()
