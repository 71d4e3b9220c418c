"""Appends records to the event log and returns only when the broker has them.

One idempotent producer (acks=all) per process. A call hands its records over in one C call and awaits one future for
all of them: 721k records/s were measured in batches of 500, 270k/s one by one.
"""

import asyncio
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from resources.event_log.acknowledged import AcknowledgedOffsets
from resources.event_log.topics import Log, LogUnavailable, describe_logs

Record = tuple[bytes | None, bytes]
"""Key and value."""

# The broker will take nothing more from this producer, though librdkafka does not call it fatal. The embedded broker
# says so once it has slept for longer than the delivery time-out, and for ever.
_FENCED = frozenset({KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.UNKNOWN_PRODUCER_ID})

# What librdkafka calls RD_KAFKA_PARTITION_UA.
_BY_KEY = -1


class EventLogProducer:
    """An async face on librdkafka's producer; safe to share between the tasks of one event loop."""

    def __init__(
        self,
        bootstrap_servers: str,
        topics: Iterable[str],
        *,
        marks_dir: Path,
        unmarked: Iterable[str] = (),
        timeout_s: float = 10.0,
        linger_ms: int = 5,
    ) -> None:
        """`topics` leave marks of what was acknowledged, which the landing zone is held against; `unmarked` do not.

        `linger_ms` should be no less than an acknowledgement takes. Of an idempotent producer's partition one request
        is under way as soon as it holds more than five records (librdkafka 2.16 counts these), and while records that
        have lingered wait for its answer, the client's thread looks for it without a pause: 0.8 of a core at 5,000
        records/s, 5 ms and brokers that take 10; 0.06 with 20 ms.
        """
        self._bootstrap_servers = bootstrap_servers
        self._topics = tuple(topics)
        self._unmarked = tuple(unmarked)
        self._linger_ms = linger_ms
        self._marks_dir = marks_dir
        self._timeout_s = timeout_s
        self._logs: dict[str, Log] = {}
        self._marks: dict[str, AcknowledgedOffsets] = {}
        self._producer: Producer | None = None
        self._stopping = threading.Event()
        self._poller: threading.Thread | None = None
        self._fatal: str | None = None

    def connect(self) -> None:
        """Learn the incarnations of the topics and start delivering. Blocks; call it off the event loop.

        Raises:
            LogUnavailable: the broker does not answer or a topic is missing.
        """
        wanted = (*self._topics, *self._unmarked)
        self._logs = describe_logs(self._bootstrap_servers, wanted, timeout_s=self._timeout_s)
        self._marks = {
            log.topic: AcknowledgedOffsets(self._marks_dir, log.topic, log.log, log.partitions)
            for log in self._logs.values()
            if log.topic in self._topics
        }
        self._producer = Producer(
            {
                "bootstrap.servers": self._bootstrap_servers,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": self._linger_ms,
                "batch.size": 1 << 20,
                "compression.type": "lz4",
                "partitioner": "murmur2_random",
                "delivery.timeout.ms": int(self._timeout_s * 1000),
                "queue.buffering.max.messages": 500_000,
                "queue.buffering.max.kbytes": 256 * 1024,
                # A broker that is gone is our caller's news, once; not a line on stderr for every attempt.
                "log.connection.close": False,
                "log_level": 2,
                "reconnect.backoff.ms": 200,
                "reconnect.backoff.max.ms": 1000,
            }
        )
        self._fatal = None
        self._stopping.clear()
        self._poller = threading.Thread(target=self._poll, name="event-log-deliveries", daemon=True)
        self._poller.start()

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has; raises KeyError before `connect`."""
        return self._logs[topic].partitions

    async def append(self, topic: str, records: Sequence[Record], partitions: Sequence[int] | None = None) -> None:
        """Append records to a topic; returns when the broker has acknowledged every one.

        The key decides the partition, as Kafka's own clients would (murmur2), unless `partitions` says it for each.

        Raises:
            LogUnavailable: at least one record was not acknowledged in time. Some may have been stored: send them
                again with the same event ids, later stages keep one of each.
        """
        if not records:
            return
        if self._producer is None:
            raise LogUnavailable("The event log is not connected yet")
        if self._fatal is not None:
            raise LogUnavailable(self._fatal)
        delivery = _Delivery(len(records), asyncio.get_running_loop(), self._marks.get(topic), self._refused_for_good)
        for partition, messages in _by_partition(records, partitions).items():
            try:
                self._producer.produce_batch(topic, messages, partition=partition, on_delivery=delivery.one)
            except (KafkaException, BufferError) as error:
                raise LogUnavailable(str(error)) from error
            # A full queue refuses single messages of a batch; they get no delivery report.
            refused = [str(message["_error"]) for message in messages if "_error" in message]
            if refused:
                delivery.failed(len(refused), refused[0])
        await delivery.done

    @property
    def is_broken(self) -> bool:
        """Whether the broker refuses this producer for good, as one does that forgot its log: make another."""
        return self._fatal is not None

    async def is_reachable(self, timeout_s: float = 1.0) -> bool:
        """Whether the broker answers a metadata request now."""
        if self._producer is None or self.is_broken:
            return False
        try:
            await asyncio.to_thread(self._producer.list_topics, self._topics[0], timeout_s)
        except KafkaException:
            return False
        return True

    def close(self) -> None:
        """Deliver what was handed over, then stop. Blocks for at most the delivery time-out."""
        if self._producer is None:
            return
        if not self.is_broken:
            self._producer.flush(self._timeout_s)
        self._stopping.set()
        if self._poller is not None:
            self._poller.join(self._timeout_s)
        self._producer = None
        for marks in self._marks.values():
            marks.close()

    def _refused_for_good(self, reason: str) -> None:
        self._fatal = reason

    def _poll(self) -> None:
        producer = self._producer
        assert producer is not None  # noqa: S101 - connect() starts this thread after making it
        while not self._stopping.is_set():
            try:
                producer.poll(0.1)
            except KafkaException as error:
                # Fatal: nothing more can be sent, but the reports of what was under way still come by polling.
                self._fatal = str(error)
                producer.purge()
                self._stopping.wait(0.1)


def _by_partition(records: Sequence[Record], partitions: Sequence[int] | None) -> dict[int, list[dict[str, Any]]]:
    """Messages by partition; a call has one partition, since what a message says of its own is passed over."""
    if partitions is None:
        return {_BY_KEY: [{"key": key, "value": value} for key, value in records]}
    found: dict[int, list[dict[str, Any]]] = {}
    for (key, value), partition in zip(records, partitions, strict=True):
        found.setdefault(partition, []).append({"key": key, "value": value})
    return found


class _Delivery:
    """Counts the reports of one call and resolves its future once.

    Reports come on the poller's thread, on the closing one too at the end. A record costs them one step of an iterator,
    which no other thread can come between, and no lock; the marks are written once a call.
    """

    __slots__ = ("_errors", "_loop", "_marks", "_next_offsets", "_open", "_refused_for_good", "done")

    def __init__(
        self,
        count: int,
        loop: asyncio.AbstractEventLoop,
        marks: AcknowledgedOffsets | None,
        refused_for_good: Callable[[str], None],
    ) -> None:
        self._open = iter(range(count - 1, -1, -1))
        self._next_offsets: dict[int, int] = {}
        self._errors: list[str] = []
        self._loop = loop
        self._marks = marks
        self._refused_for_good = refused_for_good
        self.done: asyncio.Future[None] = loop.create_future()

    def one(self, error: KafkaError | None, message: Message) -> None:
        """A delivery report; those of a partition come in the order of their offsets."""
        if error is None:
            partition, offset = message.partition(), message.offset()
            if partition is not None and offset is not None:
                self._next_offsets[partition] = offset + 1
            if next(self._open) == 0:
                self._end()
        else:
            if error.code() in _FENCED:
                self._refused_for_good(error.str())
            self.failed(1, error.str())

    def failed(self, count: int, reason: str) -> None:
        """`count` records will not be acknowledged; called on any thread."""
        self._errors.append(reason)
        for _ in range(count):
            if next(self._open) == 0:
                self._end()

    def _end(self) -> None:
        if self._marks is not None:
            self._marks.advance_all(self._next_offsets)
        self._loop.call_soon_threadsafe(self._resolve)

    def _resolve(self) -> None:
        if self.done.done():
            return
        if self._errors:
            self.done.set_exception(
                LogUnavailable(f"{len(self._errors)} records were not acknowledged: {self._errors[0]}")
            )
        else:
            self.done.set_result(None)
