"""Reads topics from the beginning to their end, without a group."""

import time
from collections.abc import Iterator
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

PATIENCE_S = 30.0
AT_ONCE = 2_000
# The embedded broker keeps an empty fetch for its whole wait though records come meanwhile: a record was 7 ms under way
# at 20 ms, 2.6 at 5; below that the broker's work grows.
FETCH_WAIT_MS = 5


class LogNotReadable(RuntimeError):
    """The end of a topic was not reached in time; the message says which."""


def open_reader(address: str, topic: str, partitions: int) -> Any:
    """A consumer of all partitions of a topic from their beginning, outside any group."""
    consumer = Consumer(
        {
            "bootstrap.servers": address,
            "group.id": "none",  # the client wants one; it is never joined
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.wait.max.ms": FETCH_WAIT_MS,
            "queued.min.messages": 200_000,
            # librdkafka asks for nothing for a second once its queue is full: every plain client, whatever the broker
            # and the machine, then read 284,000 records/s, where 1,350,000 are possible.
            "fetch.queue.backoff.ms": 1,
            "log.connection.close": False,
            "log_level": 2,
        }
    )
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in range(partitions)])
    return consumer


def read_to_end(address: str, topic: str, partitions: int) -> Iterator[list[Any]]:
    """Yield the messages of a topic in chunks, until each partition's end as it is when reached.

    The end is learnt by fetching: the embedded broker answers a question for the latest offset wrongly.

    Raises:
        LogNotReadable: nothing came for 30 s though the end was not reached.
    """
    consumer = open_reader(address, topic, partitions)
    ended: set[int] = set()
    heard = time.monotonic()
    try:
        while len(ended) < partitions:
            messages = []
            for message in consumer.consume(AT_ONCE, 0.2):
                error = message.error()
                if error is None:
                    messages.append(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    ended.add(message.partition())
                heard = time.monotonic()
            if messages:
                yield messages
            if time.monotonic() - heard > PATIENCE_S:
                raise LogNotReadable(f"{topic} on {address}: its end was not reached; {PATIENCE_S:.0f} s of nothing")
    finally:
        consumer.close()


def raw_consume_eps(address: str, topic: str, partitions: int, limit: int) -> float | None:
    """Records a second that a plain client reads off a topic, counted from the first it gets to at most `limit`.

    None for a topic that is read at once.
    """
    first = last = 0.0
    counted = 0
    for messages in read_to_end(address, topic, partitions):
        last = time.perf_counter()
        if not first:
            first = last
            continue
        counted += len(messages)
        if counted >= limit:
            break
    return counted / (last - first) if counted else None
