"""Lives of a worker without a broker: its pipeline over a landing zone, and a log in memory that fails on demand."""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from platform_assets.contracts.events import encode_event
from platform_assets.contracts.topics import EVENTS, LATE, PARTIALS, WINDOWS
from platform_assets.contracts.windows import (
    Aggregate,
    AggregateFunction,
    LateEvent,
    UpdateKind,
    WindowDefinition,
    WindowType,
    WindowUpdates,
    decode_late,
    decode_updates,
)
from platform_assets.windows.deduplication import BUCKET_MS, HORIZON_BUCKETS
from resources.event_log.topics import Log, LogUnavailable
from resources.landing_zone import LandingZone
from streaming import decoding
from streaming.checkpoints import Checkpoints
from streaming.decoders.ahead import Decoder
from streaming.emitter import Emitter
from streaming.incarnations import Incarnations
from streaming.lander import Lander
from streaming.merging import MergeStage
from streaming.metrics import StreamMetrics
from streaming.owned_partitions import OwnedPartitions
from streaming.pipeline import Pipeline
from streaming.record_batch import RecordBatch
from streaming.sink import Admission, LandingSink, Limits, Partition
from streaming.stage import Outgoing, Stage
from streaming.steps import Steps
from streaming.threads import Threads
from streaming.windowing import WindowStage
from tests.streaming_records import a_batch, an_event, at

EVENTS_LOG, PARTIALS_LOG = "log1", "log2"
PARTITIONS = 2
APP = "tests"
NEVER_DUE = Limits(file_rows=1_000_000, file_age_s=1e9, buffer_bytes=1 << 40)
NEVER_S = 1e9

_TOTAL = Aggregate(name="total", function=AggregateFunction.SUM, field="price")
DEFINITIONS = (
    WindowDefinition(
        name="user_10s", key_field="user_id", window_type=WindowType.TUMBLING, size_ms=10_000, aggregates=(_TOTAL,)
    ),
    WindowDefinition(
        name="user_session",
        key_field="user_id",
        window_type=WindowType.SESSION,
        size_ms=4_000,
        lateness_ms=1_000,
        aggregates=(_TOTAL,),
    ),
    WindowDefinition(
        name="store_10s",
        key_field="store_id",
        window_type=WindowType.TUMBLING,
        size_ms=10_000,
        aggregates=(
            _TOTAL,
            Aggregate(name="shoppers", function=AggregateFunction.APPROX_DISTINCT, field="user_id"),
            Aggregate(name="median", function=AggregateFunction.QUANTILE, field="price", quantile=0.5),
        ),
    ),
    WindowDefinition(
        name="store_session",
        key_field="store_id",
        window_type=WindowType.SESSION,
        size_ms=3_000,
        # Longer than events come late: else it depends on how far the other partition is whether a late one still
        # finds the session that it would have joined.
        lateness_ms=15_000,
        aggregates=(_TOTAL,),
    ),
)

Place = tuple[str, str | None, int, int]
"""Definition, key, start and end of a window."""


def shopping(number: int, second: float, *, user: str = "u1", store: str = "s1", price: float = 1.0) -> bytes:
    """A record of the events topic: something was bought so many seconds after the beginning."""
    moment = at(second)
    return encode_event(
        an_event(
            f"e{number}",
            event_name="bought",
            user_id=user,
            occurred_at=moment,
            received_at=moment,
            payload={"store_id": store, "price": price},
        )
    )


class MemoryLog:
    """Topics of a broker that keeps what was appended, in order, and is away for the next `failures` calls."""

    def __init__(self) -> None:
        self.appended: list[Outgoing] = []
        # Where the partitions of the events end: as far as any life has been fed.
        self.ends: dict[int, int] = {}
        self.rejections: list[tuple[bytes, bytes]] = []
        self.failures = 0
        self.stores_half_of_what_fails = False
        self.on_append: Callable[[], None] = lambda: None

    async def append(self, records: Sequence[Outgoing]) -> None:
        """As `NewsLog.append`: some of what was not acknowledged may be stored."""
        self.on_append()
        half = len(records) // 2
        if self.failures:
            self.failures -= 1
            self.appended += records[:half] if self.stores_half_of_what_fails else []
            raise LogUnavailable("away")
        self.appended += records[:half]
        await asyncio.sleep(0)  # where a worker can be killed
        self.appended += records[half:]

    async def reject(self, records: list[tuple[bytes, bytes]]) -> None:
        """As `RejectionLog.append`."""
        self.on_append()
        if self.failures:
            self.failures -= 1
            raise LogUnavailable("away")
        self.rejections += records

    def updates(self, kind: UpdateKind) -> list[WindowUpdates]:
        """Records of `windows.v1` of one kind."""
        found = (decode_updates(record.value) for record in self.appended if record.topic == WINDOWS.name)
        return [updates for updates in found if updates.kind is kind]

    def finals(self) -> dict[Place, tuple[Any, ...]]:
        """The final results, of which a repeated one must say the same again."""
        finals: dict[Place, tuple[Any, ...]] = {}
        for updates in self.updates(UpdateKind.FINAL):
            for key, start, end, *values in updates.rows:
                place = (updates.window, key, start, end)
                assert finals.setdefault(place, tuple(values)) == tuple(values), f"{place} has two final results"
        return finals

    def late(self) -> set[LateEvent]:
        """The late events."""
        return {decode_late(record.value) for record in self.appended if record.topic == LATE.name}

    def parts(self, partition: int) -> list[bytes]:
        """The records of a partition of the topic of parts; their offsets are their places in the list."""
        return [
            record.value for record in self.appended if record.topic == PARTIALS.name and record.partition == partition
        ]


class FixedIncarnations(Incarnations):
    """A broker whose topics have always been the same, or what a test makes of them."""

    def __init__(self) -> None:
        super().__init__("unused:1")
        self.logs = {EVENTS.name: EVENTS_LOG, PARTIALS.name: PARTIALS_LOG}

    def describe(self, topics: Iterable[str]) -> dict[str, Log]:
        return {topic: Log(topic, self.logs.get(topic, f"log of {topic}"), PARTITIONS) for topic in topics}

    def verify(self, expected: Collection[tuple[str, str]]) -> None:
        """They are what they were."""


class Life:
    """One process of the worker, from its start to its end or its death."""

    def __init__(
        self,
        root: Path,
        log: MemoryLog,
        *,
        definitions: Sequence[WindowDefinition] = DEFINITIONS,
        limits: Limits = NEVER_DUE,
        landed_topics: Collection[str] = (EVENTS.name,),
        checkpoint_interval_s: float = NEVER_S,
        idle_timeout_s: float = NEVER_S,
        deduplicate: bool = True,
        incarnations: FixedIncarnations | None = None,
        decoder_processes: Sequence[Decoder] = (),
    ) -> None:
        self.log = log
        self.gives_up = False
        self.zone = LandingZone(root)
        self.checkpoints = Checkpoints(root, APP, ids_horizon=HORIZON_BUCKETS, bucket_ms=BUCKET_MS)
        self.threads = Threads(beside=len(decoder_processes))
        self.metrics = StreamMetrics()
        sink = LandingSink(self.zone, limits, decoding.SCHEMAS, verify=lambda _: None)
        self.lander = Lander(sink, self.threads, self.metrics)
        self.windows = WindowStage(
            definitions,
            deduplicate=deduplicate,
            idle_timeout_s=idle_timeout_s,
            part_partitions=PARTITIONS,
            end_of_log=log.ends.get,
        )
        stages: dict[str, Stage] = {EVENTS.name: self.windows, PARTIALS.name: MergeStage(definitions)}
        self.emitters = {
            topic: Emitter(
                stage,
                log.append,
                self.checkpoints,
                threads=self.threads,
                gives_up=lambda: self.gives_up,
                interval_s=0.0,
                checkpoint_interval_s=checkpoint_interval_s,
            )
            for topic, stage in stages.items()
        }
        steps = Steps(self.lander, frozenset(landed_topics), stages, self.emitters)
        owned = OwnedPartitions(
            steps,
            zone=self.zone,
            checkpoints=self.checkpoints,
            incarnations=incarnations or FixedIncarnations(),
            threads=self.threads,
            metrics=self.metrics,
        )
        self.pipeline = Pipeline(
            steps,
            owned,
            decoders=decoding.DECODERS | {PARTIALS.name: decoding.each(decoding.decode_part_updates)},
            append_rejections=log.reject,
            gives_up=lambda: self.gives_up,
            on_gap=self._note_gap,
            threads=self.threads,
            metrics=self.metrics,
            decoder_processes=decoder_processes,
        )
        self.gaps: list[Partition] = []
        self._running: asyncio.Task[None] | None = None

    async def _note_gap(self, place: Partition) -> None:
        self.gaps.append(place)

    async def open(self, partitions: Collection[Partition] | None = None) -> dict[Partition, int]:
        """Own partitions, all of the events and of the parts unless told otherwise."""
        everything = [(topic, number) for topic in (EVENTS.name, PARTIALS.name) for number in range(PARTITIONS)]
        return await self.pipeline.open(everything if partitions is None else partitions)

    def run(self) -> None:
        """Close files and publish news from now on."""
        self._running = asyncio.create_task(self.pipeline.run())

    async def feed(self, partition: int, values: Sequence[bytes], start: int, *, topic: str = EVENTS.name) -> Admission:
        """Take the values, which stand at dense offsets from `start` on."""
        numbered = list(enumerate(values, start))
        if topic == EVENTS.name:
            self.log.ends[partition] = max(self.log.ends.get(partition, 0), start + len(values))
        batch = a_batch(numbered, start=start, next_offset=start + len(values), topic=topic, partition=partition)
        return await self.take(batch)

    async def take(self, batch: RecordBatch) -> Admission:
        """Take a batch as an agent does."""
        return await self.pipeline.take(batch)

    async def merge(self) -> None:
        """Take what the topic of parts has beyond the positions, as the worker does that owns it."""
        for partition in range(PARTITIONS):
            position = self.pipeline.owned.position((PARTIALS.name, partition))
            assert position is not None
            values = self.log.parts(partition)[position:]
            if values:
                assert await self.feed(partition, values, position, topic=PARTIALS.name) is Admission.TAKE

    def saved(self, partition: int, log: str = EVENTS_LOG) -> int | None:
        """The offset inside the newest checkpoint of a partition."""
        checkpoint = self.checkpoints.newest(log, partition)
        return None if checkpoint is None else checkpoint.next_offset

    async def kill(self) -> None:
        """End without a word: what is in memory is gone; a write that has begun may still be finished."""
        if self._running is not None:
            self._running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._running
        await asyncio.to_thread(self.threads.shutdown)

    async def stop(self) -> None:
        """End in good order."""
        await self.pipeline.stop()
        await self.kill()


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Return when the condition holds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.002)
