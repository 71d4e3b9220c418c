"""The producer: one process that sends a load on its schedule, whatever becomes of it.

The schedule is never slowed. An event that goes out late keeps its intended time, so its delay counts as latency.
Measured, with lz4 as the door writes: 2 µs of CPU per event at 100,000/s, 1.6 µs when it need not wait.
"""

import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from confluent_kafka import KafkaError, Producer

from platform_assets.contracts.topics import EVENTS
from streaming.benchmark.encoding import EventEncoder
from streaming.benchmark.load import Load, Numbers

TICK_S = 0.002
CHUNK = 2_000
REPORT_S = 0.1
# Fewer than there are partitions: one whose records wait for the answer to those before them has librdkafka's thread
# look for it without a pause. While a broker stood still that took a whole core.
REQUESTS_UNDER_WAY = 3
QUEUE_LIMIT = 1_000_000
DELIVERY_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class SendProgress:
    """Distinct events handed to the client by a time, and records that the broker has acknowledged."""

    at_us: int
    sent: int
    acknowledged: int


@dataclass(frozen=True)
class Sent:
    """The ledger: events 0 to `events` - 1 were sent and acknowledged, `resent` of them (`Load.repeated`) twice."""

    events: int
    resent: int
    behind_us: int
    """The longest that the producer itself was behind its schedule, once warm."""
    cpu_s: float
    event_bytes: int
    failures: list[str] = field(default_factory=list)

    @property
    def records(self) -> int:
        """Records on the topic."""
        return self.events + self.resent


def generate(load: Load, address: str, paced: bool, reports: Connection) -> None:
    """Send the load and report; the target of a process. Anything received on `reports` ends it early.

    Args:
        load: what to send, and when.
        address: bootstrap servers.
        paced: False sends everything at once, for a topic that is filled before the measurement.
        reports: gets `SendProgress`, and `Sent` at the end.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    reports.send(_Sender(load, address, reports).run(paced))


class _Sender:
    def __init__(self, load: Load, address: str, reports: Connection) -> None:
        self._load = load
        self._reports = reports
        self._encoder = EventEncoder(load)
        self._failures: list[str] = []
        self._producer = Producer(
            {
                "bootstrap.servers": address,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": load.linger_ms,
                "max.in.flight.requests.per.connection": REQUESTS_UNDER_WAY,
                "batch.size": 1 << 20,
                "compression.type": "lz4",
                "partitioner": "murmur2_random",
                "delivery.timeout.ms": int(DELIVERY_TIMEOUT_S * 1000),
                "queue.buffering.max.messages": 2 * QUEUE_LIMIT,
                "queue.buffering.max.kbytes": 2 << 20,
                "log.connection.close": False,
                "log_level": 2,
                # A callback in Python for each record would cost 1 µs; only refused ones get one.
                "delivery.report.only.error": True,
                "on_delivery": self._refused,
                "error_cb": self._error,
            }
        )
        self._sent = 0
        self._records = 0
        self._behind_us = 0
        self._duplicates: Numbers = np.empty(0, np.int64)

    def run(self, paced: bool) -> Sent:
        started_s = time.process_time()
        reported = 0.0
        for count in self._paced_counts() if paced else self._counts():
            self._send(np.arange(self._sent, self._sent + count, dtype=np.int64))
            now = time.monotonic()
            if now - reported >= REPORT_S:
                reported = now
                self._report()
                if self._reports.poll() or self._failures:
                    break
        self._send_records(self._duplicates)
        unsent = self._producer.flush(DELIVERY_TIMEOUT_S)
        if unsent:
            self._failures.append(f"{unsent} records were not acknowledged within {DELIVERY_TIMEOUT_S:.0f} s")
        self._report()
        return Sent(
            events=self._sent,
            resent=self._records - self._sent,
            behind_us=self._behind_us,
            cpu_s=time.process_time() - started_s,
            event_bytes=self._encoder.event_bytes,
            failures=self._failures[:5],
        )

    def _paced_counts(self) -> Iterator[int]:
        while self._sent < self._load.total:
            now_us = time.time_ns() // 1000
            waiting = self._load.due(now_us) - self._sent
            if waiting <= 0:
                time.sleep(TICK_S)
                continue
            if self._sent >= self._load.first_measured:
                intended_us = int(self._load.intended_us(np.array([self._sent]))[0])
                self._behind_us = max(self._behind_us, now_us - intended_us)
            yield min(waiting, CHUNK)
            if waiting < CHUNK:
                time.sleep(TICK_S)

    def _counts(self) -> Iterator[int]:
        while self._sent < self._load.total:
            yield min(CHUNK, self._load.total - self._sent)

    def _send(self, numbers: Numbers) -> None:
        # Duplicates come a chunk after their originals: next to them they would be too easy to find.
        self._send_records(np.concatenate([self._duplicates, numbers]))
        self._sent += len(numbers)
        every = self._load.duplicate_every
        twice = (numbers < self._load.last_repeatable) & (numbers % every == 0) if every else numbers < 0
        self._duplicates = numbers[twice]

    def _send_records(self, numbers: Numbers) -> None:
        if not len(numbers):
            return
        # A full queue would refuse single records, and what then goes out later would be out of order.
        while len(self._producer) > QUEUE_LIMIT and not self._failures:
            self._producer.poll(0.01)
        produce, topic, keys = self._producer.produce, EVENTS.name, self._encoder.keys
        users = self._load.turns.users_of(numbers).tolist()
        for value, user in zip(self._encoder.encode(numbers), users, strict=True):
            produce(topic, value, keys[user])
        self._records += len(numbers)
        self._producer.poll(0)

    def _report(self) -> None:
        acknowledged = self._records - len(self._producer)
        self._reports.send(SendProgress(time.time_ns() // 1000, self._sent, acknowledged))

    def _refused(self, error: KafkaError | None, message: Any) -> None:
        if error is not None:
            self._failures.append(f"the broker did not take a record: {error.str()}")

    def _error(self, error: KafkaError) -> None:
        if error.fatal():
            self._failures.append(f"the producer failed: {error.str()}")
