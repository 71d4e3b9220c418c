"""The consumer of `windows.v1` during a run: how far the engine is, and how old events are when they get here."""

import signal
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import msgspec
from confluent_kafka import KafkaError

from platform_assets.contracts.topics import WINDOWS
from platform_assets.contracts.windows import WindowUpdates, decode_updates
from streaming.benchmark.latency import LatencyRecorder, Moment, Percentiles, an_empty_histogram, percentiles
from streaming.benchmark.load import Load
from streaming.benchmark.log_reading import open_reader
from streaming.benchmark.oracle import WINDOW

SAMPLE_EVERY = 10
FLUSH_S = 0.5
AT_ONCE = 500


class _Position(msgspec.Struct):
    window: str
    source_partition: int
    next_offset: int


_position_decoder = msgspec.json.Decoder(_Position)


@dataclass(frozen=True)
class Watching:
    """The consumer stands at the topic's end: what is written from now on is seen."""


@dataclass(frozen=True)
class Processed:
    """Records of `events.v1` that are contained in the results which had arrived by a time."""

    at_us: int
    records: int


@dataclass(frozen=True)
class Watched:
    """What a whole run looked like from here. Percentiles are None where none were asked for or nothing came."""

    latency: Percentiles | None
    delivery: Percentiles | None
    moments: list[Moment]
    cpu_s: float


def watch(load: Load, address: str, with_latency: bool, reports: Connection) -> None:
    """Follow `windows.v1` from its beginning until anything is received; the target of a process.

    Args:
        load: the schedule that is being sent.
        address: bootstrap servers.
        with_latency: False reads positions only, a tenth of the work.
        reports: gets `Watching`, `Processed` after every fetch that moved, and `Watched` at the end.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    consumer = open_reader(address, WINDOWS.name, WINDOWS.partitions)
    recorder = LatencyRecorder(load, SAMPLE_EVERY)
    delivery = an_empty_histogram()
    positions: dict[int, int] = {}
    ended: set[int] = set()
    ready = False
    flushed = time.monotonic()
    try:
        while not reports.poll():
            messages = _arrived(consumer)
            arrived_us = time.time_ns() // 1000
            before = sum(positions.values())
            for message in messages:
                error = message.error()
                if error is not None:
                    if error.code() == KafkaError._PARTITION_EOF:
                        ended.add(message.partition())
                    continue
                update: WindowUpdates | _Position
                if with_latency:
                    update = decode_updates(message.value())
                    if update.window == WINDOW:
                        recorder.add(update.rows, arrived_us)
                        delivery.record_value(max(1, arrived_us - update.emitted_ms * 1000))
                else:
                    update = _position_decoder.decode(message.value())
                if update.window == WINDOW:
                    partition = update.source_partition
                    positions[partition] = max(positions.get(partition, 0), update.next_offset)
            if not ready and len(ended) == WINDOWS.partitions:
                ready = True
                reports.send(Watching())
            processed = sum(positions.values())
            if processed > before:
                reports.send(Processed(arrived_us, processed))
            if with_latency and time.monotonic() - flushed >= FLUSH_S:
                flushed = time.monotonic()
                recorder.flush()
    finally:
        consumer.close()
    recorder.flush()
    reports.send(Watched(percentiles(recorder.histogram), percentiles(delivery), recorder.moments, time.process_time()))


def _arrived(consumer: Any) -> list[Any]:
    """What is there, or the first thing that comes: `consume` alone would wait for its time-out to fill up a batch."""
    first = consumer.poll(0.05)
    return [] if first is None else [first, *consumer.consume(AT_ONCE, 0)]
