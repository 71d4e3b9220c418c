"""The producer returns only when the broker has the records, and marks what it acknowledged."""

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from platform_assets.contracts.topics import Topic
from resources.event_log.acknowledged import read_acknowledged
from resources.event_log.embedded import broker_command
from resources.event_log.producer import EventLogProducer
from resources.event_log.topics import LogUnavailable, describe_logs, ensure_topics
from tests.conftest import free_port, wait_until_listening

TOPIC = Topic("producer-test.v1", 3, "key", "")
PLACED = Topic("producer-test-placed.v1", 3, "the caller's choice", "")
UNMARKED = Topic("producer-test-unmarked.v1", 2, "key", "")


class Broker:
    """A broker that a test may kill and start again on the same port."""

    def __init__(self) -> None:
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            broker_command(self.port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until_listening(self._process, self.port)
        self.log = ensure_topics(self.address, [TOPIC])[TOPIC.name].log

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def broker() -> Iterator[Broker]:
    running = Broker()
    yield running
    running.kill()


def records(count: int) -> list[tuple[bytes, bytes]]:
    return [(str(number).encode(), b"value") for number in range(count)]


async def test_append_marks_every_record_as_acknowledged(broker: Broker, tmp_path: Path) -> None:
    producer = EventLogProducer(broker.address, [TOPIC.name], marks_dir=tmp_path)
    producer.connect()
    await asyncio.gather(*(producer.append(TOPIC.name, records(500)) for _ in range(4)))
    (marks,) = read_acknowledged(tmp_path)
    assert sum(marks.next_offsets) == 2000
    assert marks.log == broker.log
    assert all(marks.next_offsets)
    producer.close()


async def test_append_without_a_broker_fails_in_time_and_marks_nothing(broker: Broker, tmp_path: Path) -> None:
    producer = EventLogProducer(broker.address, [TOPIC.name], marks_dir=tmp_path, timeout_s=1.0)
    producer.connect()
    broker.kill()
    with pytest.raises(LogUnavailable, match="not acknowledged"):
        await producer.append(TOPIC.name, records(10))
    assert sum(read_acknowledged(tmp_path)[0].next_offsets) == 0
    assert not await producer.is_reachable()
    producer.close()


async def test_new_producer_marks_the_new_log_of_a_broker_that_forgot_the_old_one(
    broker: Broker, tmp_path: Path
) -> None:
    before = broker.log
    for _ in range(2):
        producer = EventLogProducer(broker.address, [TOPIC.name], marks_dir=tmp_path, timeout_s=5.0)
        producer.connect()
        await producer.append(TOPIC.name, records(10))
        producer.close()
        broker.kill()
        broker.start()
    marks = {found.log: sum(found.next_offsets) for found in read_acknowledged(tmp_path)}
    assert set(marks.values()) == {10}
    assert before in marks
    assert len(marks) == 2


async def test_producer_that_the_broker_forgot_acknowledges_nothing_any_more(broker: Broker, tmp_path: Path) -> None:
    producer = EventLogProducer(broker.address, [TOPIC.name], marks_dir=tmp_path, timeout_s=5.0)
    producer.connect()
    await producer.append(TOPIC.name, records(10))
    broker.kill()
    broker.start()
    with pytest.raises(LogUnavailable):
        await producer.append(TOPIC.name, records(10))
    assert [sum(found.next_offsets) for found in read_acknowledged(tmp_path)] == [10]
    producer.close()


def test_connect_without_a_broker_names_the_topic_and_the_address(tmp_path: Path) -> None:
    port = free_port()
    producer = EventLogProducer(f"127.0.0.1:{port}", [TOPIC.name], marks_dir=tmp_path, timeout_s=0.5)
    with pytest.raises(LogUnavailable, match=rf"{TOPIC.name}.*127\.0\.0\.1:{port}"):
        producer.connect()


def test_ensuring_topics_twice_keeps_the_incarnation(broker: Broker) -> None:
    assert ensure_topics(broker.address, [TOPIC])[TOPIC.name].log == broker.log
    assert describe_logs(broker.address, [TOPIC.name])[TOPIC.name].partitions == 3


def stored(address: str, topic: Topic) -> dict[int, list[bytes | None]]:
    """The values of a topic by partition, in the order of their offsets."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "reader"})
    consumer.assign([TopicPartition(topic.name, partition, 0) for partition in range(topic.partitions)])
    values: dict[int, list[bytes | None]] = {partition: [] for partition in range(topic.partitions)}
    try:
        while records := consumer.consume(1000, timeout=1.5):
            for record in records:
                values[record.partition() or 0].append(record.value())
    finally:
        consumer.close()
    return values


async def test_append_puts_each_record_on_the_partition_that_is_named(embedded_broker: str, tmp_path: Path) -> None:
    """Whatever its key says, and without one; in the order of the call."""
    ensure_topics(embedded_broker, [PLACED])
    producer = EventLogProducer(embedded_broker, [PLACED.name], marks_dir=tmp_path)
    producer.connect()
    assert producer.partitions(PLACED.name) == 3
    places = [number % 3 for number in range(300)]
    values = [(None if number % 2 else b"one key", str(number).encode()) for number in range(300)]
    await producer.append(PLACED.name, values, places)
    found = stored(embedded_broker, PLACED)
    assert found == {part: [str(number).encode() for number in range(part, 300, 3)] for part in range(3)}
    (marks,) = read_acknowledged(tmp_path)
    assert list(marks.next_offsets) == [100, 100, 100]
    producer.close()


async def test_append_wants_a_partition_for_each_record_or_for_none(embedded_broker: str, tmp_path: Path) -> None:
    """A shorter list would send the rest wherever their keys say."""
    ensure_topics(embedded_broker, [PLACED])
    producer = EventLogProducer(embedded_broker, [PLACED.name], marks_dir=tmp_path)
    producer.connect()
    with pytest.raises(ValueError, match="zip"):
        await producer.append(PLACED.name, records(3), [0, 1])
    with pytest.raises(LogUnavailable, match="partition"):
        await producer.append(PLACED.name, records(2), [0, 99])
    producer.close()


async def test_unmarked_topics_are_appended_to_and_leave_no_marks(embedded_broker: str, tmp_path: Path) -> None:
    """Nothing of them lands, so nothing is to be held against the landing zone."""
    ensure_topics(embedded_broker, [TOPIC, UNMARKED])
    producer = EventLogProducer(embedded_broker, [TOPIC.name], unmarked=[UNMARKED.name], marks_dir=tmp_path)
    producer.connect()
    await producer.append(UNMARKED.name, records(50))
    await producer.append(TOPIC.name, records(20))
    assert sum(map(len, stored(embedded_broker, UNMARKED).values())) == 50
    assert [(marks.topic, sum(marks.next_offsets)) for marks in read_acknowledged(tmp_path)] == [(TOPIC.name, 20)]
    producer.close()


def test_connect_names_an_unmarked_topic_that_is_missing(embedded_broker: str, tmp_path: Path) -> None:
    ensure_topics(embedded_broker, [TOPIC])
    producer = EventLogProducer(
        embedded_broker, [TOPIC.name], unmarked=["producer-test-nowhere.v1"], marks_dir=tmp_path, timeout_s=1.0
    )
    with pytest.raises(LogUnavailable, match=r"producer-test-nowhere\.v1"):
        producer.connect()
