"""What several producers append to one partition side by side is read without a gap, on the embedded broker.

It shows what one of them appended before what another one did at smaller offsets, about once in ten seconds of this.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable

from aiokafka import AIOKafkaConsumer, TopicPartition
from confluent_kafka import KafkaError, Message, Producer

from platform_assets.contracts.topics import Topic
from resources.event_log.topics import ensure_topics
from streaming.fetching import BatchFetcher

TOPIC = Topic("side-by-side.v1", 1, "key", "")
PRODUCERS = 4
SECONDS = 12.0
TOGETHER = 10
PAUSE_S = 0.01


class Producing(threading.Thread):
    """One producer, until it is told to stop; counts what the broker acknowledged."""

    def __init__(self, address: str, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.acknowledged = 0
        self._stop_now = stop
        self._producer = Producer({"bootstrap.servers": address, "enable.idempotence": True, "linger.ms": 1})

    def run(self) -> None:
        while not self._stop_now.is_set():
            for _ in range(TOGETHER):
                self._producer.produce(TOPIC.name, b"value" * 40, on_delivery=self._report)
            self._producer.poll(0)
            # The embedded broker lists every batch at each fetch: a reader has to stay at the end to meet a gap there.
            self._stop_now.wait(PAUSE_S)
        self._producer.flush(10)

    def _report(self, error: KafkaError | None, message: Message) -> None:
        self.acknowledged += error is None


async def test_records_of_producers_side_by_side_are_read_without_a_gap(embedded_broker: str) -> None:
    ensure_topics(embedded_broker, [TOPIC])
    stop = threading.Event()
    producing = [Producing(embedded_broker, stop) for _ in range(PRODUCERS)]
    place = TopicPartition(TOPIC.name, 0)
    consumer = AIOKafkaConsumer(bootstrap_servers=embedded_broker, enable_auto_commit=False, fetch_max_wait_ms=5)
    await consumer.start()
    consumer.assign([place])
    consumer.seek(place, 0)
    batches = BatchFetcher({TOPIC.name: 0.002}, 10_000, lambda: 0.0)
    read = Counter[str]()

    async def read_until(is_over: Callable[[], bool]) -> None:
        while not is_over():
            for batch in (await batches.fetched(consumer._fetcher, None, 0.1, None)).get(place, []):
                assert batch.start == read["next_offset"]
                read["next_offset"] = batch.next_offset
                read["records"] += len(batch.records)

    for one in producing:
        one.start()
    try:
        ends = asyncio.get_running_loop().time() + SECONDS
        await read_until(lambda: asyncio.get_running_loop().time() > ends)
        stop.set()
        for one in producing:
            await asyncio.to_thread(one.join)
        acknowledged = sum(one.acknowledged for one in producing)
        async with asyncio.timeout(10):
            await read_until(lambda: read["next_offset"] >= acknowledged)
    finally:
        stop.set()
        await consumer.stop()
    assert acknowledged > 1000
    assert read["records"] == read["next_offset"] == acknowledged
