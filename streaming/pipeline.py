"""Takes the micro-batches of every topic through its steps: decode, reject, land, count in windows.

A partition goes on at the smaller of two positions: that of its landing files and that of its checkpoint. Each step
skips what it has had. What is neither landed nor saved when the worker dies is read from the log again.
"""

import asyncio
import datetime as dt
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

from platform_assets.contracts.topics import EVENTS
from resources.event_log.topics import Log, LogUnavailable
from resources.landing_zone import LandingZone
from streaming.checkpoints import Checkpoint, Checkpoints
from streaming.decoders.ahead import Decoder, DecodingAhead, Pack
from streaming.decoding import DecodedBatch, DecodeTogether, rejection_record
from streaming.emitter import Emitter
from streaming.event_columns import EventColumns
from streaming.incarnations import Incarnations
from streaming.landed_events import landed_events
from streaming.lander import FIRST_RETRY_S, LONGEST_RETRY_S, Lander
from streaming.metrics import StreamMetrics
from streaming.record_batch import RecordBatch, joined, packs
from streaming.sink import Admission, Partition
from streaming.stage import Restored, Stage, Tally
from streaming.threads import Threads

_log = logging.getLogger(__name__)

# What is taken, what two lanes decode, and the next of it: with half of this a backlog kept 1.6 cores busy, not 1.9.
MAX_QUEUED_RECORDS = 40_000
MAX_TOGETHER = 10_000
QUEUE_CHECK_S = 0.002
GATHER_S = 0.001
DRAIN_S = 5.0

AppendRejections = Callable[[list[tuple[bytes, bytes]]], Awaitable[None]]
"""Appends records to the rejected topic and returns when the broker has acknowledged them; raises LogUnavailable."""


class Pipeline:
    """The worker's steps over the partitions that it owns; owned by one event loop."""

    def __init__(
        self,
        *,
        zone: LandingZone,
        lander: Lander,
        landed_topics: Collection[str],
        stages: Mapping[str, Stage],
        emitters: Mapping[str, Emitter],
        checkpoints: Checkpoints,
        decoders: Mapping[str, DecodeTogether],
        incarnations: Incarnations,
        append_rejections: AppendRejections,
        gives_up: Callable[[], bool],
        on_gap: Callable[[Partition], Awaitable[None]],
        threads: Threads,
        metrics: StreamMetrics,
        decoder_processes: Sequence[Decoder] = (),
    ) -> None:
        """`gives_up` says that waiting must end: the worker stops, or its partitions are being taken away.

        `on_gap` fetches a partition again from its position, after a batch that does not follow on it. The processes
        decode events as the one of `decoders` does.
        """
        self._zone = zone
        self._lander = lander
        self._sink = lander.sink
        self._landed_topics = frozenset(landed_topics)
        self._stages = stages
        self._emitters = emitters
        self._checkpoints = checkpoints
        self._decoders = decoders
        self._incarnations = incarnations
        self._append_rejections = append_rejections
        self._gives_up = gives_up
        self._on_gap = on_gap
        self._threads = threads
        self._metrics = metrics
        self._logs: dict[Partition, str] = {}
        self._ready = False
        self._steps: asyncio.Task[None] | None = None
        self._queue: list[RecordBatch] = []
        self._queued_records = 0
        self._arrived = asyncio.Event()
        self._ahead = DecodingAhead(EVENTS.name, decoder_processes, threads, self._logs.get, metrics.decoder_processes)
        # Arrow's first array imports pandas where it is installed, a second that the group join hides.
        threads.warm_up(self._decode_nothing)

    @property
    def topics(self) -> frozenset[str]:
        """The topics that are read: those that land, and those that a stage takes."""
        return self._landed_topics | self._stages.keys()

    @property
    def metrics(self) -> StreamMetrics:
        """What it has done."""
        return self._metrics

    @property
    def lander(self) -> Lander:
        """The step that lands."""
        return self._lander

    @property
    def is_ready(self) -> bool:
        """Partitions are assigned and sought, and files can be written."""
        return self._ready and self._lander.paused is None

    def positions(self) -> dict[Partition, int]:
        """The offset to fetch next of every owned partition."""
        return {place: found for place in list(self._logs) if (found := self.position(place)) is not None}

    def position(self, place: Partition) -> int | None:
        """The offset to fetch next; None where the partition is not owned."""
        log = self._logs.get(place)
        return None if log is None else min(self._step_positions(place, log), default=None)

    def kept(self, place: Partition) -> int | None:
        """Everything below this offset has landed; None where nothing has. For those who watch the group's lag."""
        owned = self._sink.find(*place)
        return owned.landed if owned is not None and owned.landed > 0 else None

    async def run(self) -> None:
        """Close files and publish news, until `stop`, until cancelled or until something goes wrong for good."""
        self._steps = asyncio.create_task(self._run())
        try:
            await asyncio.wait([self._steps])
        finally:
            self._steps.cancel()
            await asyncio.wait([self._steps])
        if not self._steps.cancelled():
            self._steps.result()

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._take_queued())
            group.create_task(self._ahead.rest())
            group.create_task(self._lander.run())
            for emitter in self._emitters.values():
                group.create_task(emitter.run())

    async def open(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """Own these partitions and no others; returns the offset to fetch next of each.

        Raises:
            LogUnavailable: the broker cannot say which incarnations it holds.
            LandingZoneDamaged: the files of a partition do not follow on each other.
        """
        wanted = frozenset(partitions)
        logs = await self._threads.disk(self._incarnations.describe, {topic for topic, _ in wanted})
        await self._forget([place for place in self._logs if place not in wanted])
        for place in sorted(wanted):
            await self._open(place, logs[place[0]])
        for topic, emitter in self._emitters.items():
            emitter.own([partition for found, partition in wanted if found == topic])
        self._ready = True
        return self.positions()

    async def _open(self, place: Partition, log: Log) -> None:
        topic, partition = place
        landed: int | None = None
        if topic in self._landed_topics and self._sink.position(topic, partition, log.log) is None:
            landed = await self._threads.disk(self._zone.recover, topic, log.log, partition)
            await self._threads.work(self._sink.open, topic, log.log, partition, landed)
        stage = self._stages.get(topic)
        if stage is not None and stage.position(partition, log.log) is None:
            restored = await self._threads.disk(self._restore, stage, log, partition, landed or 0)
            await self._threads.work(stage.open, log.log, partition, restored, log.partitions)
        self._logs[place] = log.log
        if stage is not None:
            await self._finish_others(stage, log.log, partition)
        position = self.position(place)
        assert position is not None  # noqa: S101 - a topic that is read has at least one step
        self._metrics.assigned(topic, partition, position)
        _log.info("partition_opened topic=%s partition=%d log=%s position=%d", topic, partition, log.log, position)

    async def _finish_others(self, stage: Stage, log: str, partition: int) -> None:
        """End the windows of incarnations that are over: a broker that forgot its log brings nothing more of it."""
        for other, checkpoint in await self._threads.disk(self._checkpoints.unfinished, stage.topic, log, partition):
            ids = await self._threads.disk(self._checkpoints.ids_until, other, partition, checkpoint.next_offset)
            tail = await self._threads.disk(self._landed_after, stage.topic, other, partition, checkpoint.next_offset)
            restored = Restored(checkpoint.next_offset, checkpoint, ids)
            emission = await self._threads.work(stage.finish, other, partition, restored, tail)
            self._emitters[stage.topic].say(emission)
            _log.info("log_finished topic=%s partition=%d log=%s records=%d",
                      stage.topic, partition, other, len(emission.records))  # fmt: skip

    def _landed_after(self, topic: str, log: str, partition: int, first: int) -> list[EventColumns]:
        return list(landed_events(self._zone, log, partition, first)) if topic == EVENTS.name else []

    def _restore(self, stage: Stage, log: Log, partition: int, landed: int) -> Restored:
        checkpoint = self._checkpoints.newest(log.log, partition)
        if checkpoint is not None:
            ids = self._checkpoints.ids_until(log.log, partition, checkpoint.next_offset)
            return Restored(checkpoint.next_offset, checkpoint, ids)
        if landed:
            _log.warning("windows_begin_late topic=%s partition=%d offset=%d; what landed before was never counted",
                         stage.topic, partition, landed)  # fmt: skip
        # Written before the first record lands: from now on the absence of a checkpoint means that there never was one.
        self._checkpoints.write(log.log, partition, Checkpoint.empty(stage.topic, landed), None)
        return Restored(landed)

    async def put(self, batch: RecordBatch) -> None:
        """Have a batch taken soon; returns when there is room for more.

        What waits together is taken together: at 20,000 events/s a fetch brings forty, and a step between the threads
        takes longer than counting them.
        """
        self._queue.append(batch)
        self._queued_records += len(batch.records)
        self._arrived.set()
        while self._queued_records > MAX_QUEUED_RECORDS and not self._gives_up():
            await asyncio.sleep(QUEUE_CHECK_S)

    async def _take_queued(self) -> None:
        while True:
            if not self._ahead:
                await self._arrived.wait()
                # What one fetch brought comes here a partition after the other.
                await asyncio.sleep(GATHER_S)
            self._arrived.clear()
            waiting, self._queue = self._queue, []
            for batches in packs(joined(waiting, MAX_TOGETHER), MAX_TOGETHER):
                self._ahead.add(batches)
            pack = await self._ahead.next()
            admissions = await self._take_pack(pack)
            self._queued_records -= sum(len(batch.records) for batch in pack.batches)
            for batch, admission in zip(pack.batches, admissions, strict=True):
                if admission is Admission.GAP:
                    await self._on_gap((batch.topic, batch.partition))

    async def _drain(self) -> None:
        """Let what is queued be taken; what takes longer is left to the log."""
        deadline = time.monotonic() + DRAIN_S
        while self._queued_records and self._is_running and time.monotonic() < deadline:
            await asyncio.sleep(QUEUE_CHECK_S)

    @property
    def _is_running(self) -> bool:
        return self._steps is not None and not self._steps.done()

    async def take(self, batch: RecordBatch) -> Admission:
        """Take a batch through the steps; returns when there is room for more.

        A batch that was not taken is fetched again later: after GAP the caller seeks back to the position.
        """
        return (await self._take_pack(Pack([batch])))[0]

    async def _take_pack(self, pack: Pack) -> list[Admission]:
        admissions: list[Admission] = []
        batches = pack.batches
        for batch, outcome in zip(batches, await self._threads.work(self._take, pack), strict=True):
            if isinstance(outcome, Admission):
                admissions.append(outcome)
            elif await self._reject(outcome):
                admissions.append(await self._threads.work(self._put, batch, outcome, 0.0))
            else:
                admissions.append(Admission.NOT_OWNED)
        topics = {batch.topic for batch in batches}
        for topic in topics & self._emitters.keys():
            self._emitters[topic].notify()
        if topics & self._landed_topics:
            await self._lander.wait_for_room(self._gives_up)
        return admissions

    def _take(self, pack: Pack) -> list[Admission | DecodedBatch]:
        """Take the batches; one with rejections is handed back decoded, to be taken once these are acknowledged."""
        batches = pack.batches
        outcomes: dict[int, Admission | DecodedBatch] = {}
        admitted: list[int] = []
        for index, batch in enumerate(batches):
            admission = self._admission((batch.topic, batch.partition), batch.start, batch.next_offset)
            if admission is Admission.TAKE:
                admitted.append(index)
            else:
                outcomes[index] = admission
        decoded = dict(enumerate(pack.decoded))
        begun = time.perf_counter()
        missing = [index for index in admitted if decoded.get(index) is None]
        decoded.update(zip(missing, self._decode([batches[index] for index in missing]), strict=True))
        decoding_s = (time.perf_counter() - begun) / max(len(admitted), 1)
        for index in admitted:
            one = decoded[index]
            if one is None:
                outcomes[index] = Admission.NOT_OWNED
            else:
                outcomes[index] = one if one.rejections else self._put(batches[index], one, decoding_s)
        return [outcomes[index] for index in range(len(batches))]

    def _decode(self, batches: Sequence[RecordBatch]) -> list[DecodedBatch | None]:
        """Decode the batches, those of a topic together; None for one whose partition was released meanwhile."""
        decoded: list[DecodedBatch | None] = [None] * len(batches)
        by_log: dict[tuple[str, str], list[int]] = {}
        for index, batch in enumerate(batches):
            log = self._logs.get((batch.topic, batch.partition))
            if log is not None:
                by_log.setdefault((batch.topic, log), []).append(index)
        for (topic, log), indices in by_log.items():
            found = self._decoders[topic]([batches[index] for index in indices], log, dt.datetime.now(dt.UTC))
            for index, one in zip(indices, found, strict=True):
                decoded[index] = one
        return decoded

    def _admission(self, place: Partition, start: int, next_offset: int) -> Admission:
        log = self._logs.get(place)
        if log is None:
            return Admission.NOT_OWNED
        positions = self._step_positions(place, log)
        if not positions:
            return Admission.NOT_OWNED
        if next_offset <= min(positions):
            return Admission.REPEATED
        return Admission.GAP if start > min(positions) else Admission.TAKE

    def _put(self, batch: RecordBatch, decoded: DecodedBatch, decoding_s: float) -> Admission:
        """Give every step what it has not had. The state of the partition may have changed since it was decoded."""
        place = (decoded.topic, decoded.partition)
        if self._logs.get(place) != decoded.log:
            return Admission.NOT_OWNED
        admission = self._admission(place, decoded.start, decoded.next_offset)
        if admission is not Admission.TAKE:
            return admission
        begun = time.perf_counter()
        if decoded.topic in self._landed_topics:
            self._sink.take(decoded)
            self._metrics.buffered(self._sink.buffered_bytes)
        stage = self._stages.get(decoded.topic)
        before = after = Tally()
        if stage is not None:
            before = stage.tally(decoded.partition)
            stage.take(decoded, batch.high_watermark)
            after = stage.tally(decoded.partition)
            self._metrics.windows_open(decoded.topic, decoded.partition, after.windows_open)
        self._metrics.batch(
            batch.topic,
            batch.partition,
            len(batch.records),
            decoding_s + time.perf_counter() - begun,
            next_offset=batch.next_offset,
            high_watermark=batch.high_watermark or 0,
            rejected=len(decoded.rejections),
            late=after.late - before.late,
            duplicates=after.duplicates - before.duplicates,
        )
        return Admission.TAKE

    async def _reject(self, decoded: DecodedBatch) -> bool:
        records = [rejection_record(rejection) for rejection in decoded.rejections]
        delay = FIRST_RETRY_S
        while True:
            try:
                await self._append_rejections(records)
            except LogUnavailable as error:
                _log.warning("rejections_unacknowledged count=%d retry_s=%.1f reason=%s", len(records), delay, error)
                deadline = time.monotonic() + delay
                while time.monotonic() < deadline:
                    if self._gives_up():
                        return False
                    await asyncio.sleep(0.1)
                delay = min(delay * 2, LONGEST_RETRY_S)
            else:
                _log.info("records_rejected topic=%s partition=%d count=%d first_offset=%s reason=%s",
                          decoded.topic, decoded.partition, len(records),
                          decoded.rejections[0].source_offset, decoded.rejections[0].reason)  # fmt: skip
                return True

    async def release(self, partitions: Collection[Partition]) -> None:
        """Publish, save and land what there is of these partitions, and own them no more."""
        wanted = [place for place in partitions if place in self._logs]
        self._ready = False
        await self._drain()
        for topic, emitter in self._emitters.items():
            await emitter.finish([partition for found, partition in wanted if found == topic])
        await self._lander.release([place for place in wanted if place[0] in self._landed_topics])
        await self._forget(wanted)

    async def stop(self) -> None:
        """Release everything and end the threads."""
        await self.release(list(self._logs))
        if self._steps is not None:
            # They would find the threads gone; whatever they wait for there comes to its end.
            self._steps.cancel()
            await asyncio.wait([self._steps])
        await self._ahead.close()
        self._threads.shutdown()

    async def _forget(self, partitions: Sequence[Partition]) -> None:
        await self._threads.work(self._sink.release, [place for place in partitions if place[0] in self._landed_topics])
        for topic, stage in self._stages.items():
            await self._threads.work(stage.release, [partition for found, partition in partitions if found == topic])
        for place in partitions:
            self._logs.pop(place, None)
            self._metrics.released(*place)

    def _decode_nothing(self) -> None:
        for topic, decode in self._decoders.items():
            decode([RecordBatch(topic, 0, 0, 0, ())], "", dt.datetime.now(dt.UTC))

    def _step_positions(self, place: Partition, log: str) -> list[int]:
        topic, partition = place
        positions = []
        if topic in self._landed_topics and (found := self._sink.position(topic, partition, log)) is not None:
            positions.append(found)
        stage = self._stages.get(topic)
        if stage is not None and (found := stage.position(partition, log)) is not None:
            positions.append(found)
        return positions

    def report(self) -> list[Mapping[str, object]]:
        """Per owned partition: where it stands. Offsets are next offsets."""
        report: list[Mapping[str, object]] = []
        for topic, partition in sorted(self._logs):
            owned = self._sink.find(topic, partition)
            report.append(
                {
                    "topic": topic,
                    "log": self._logs[topic, partition],
                    "partition": partition,
                    "position": self.position((topic, partition)),
                    "landed": None if owned is None else owned.landed,
                    "landed_rows": None if owned is None else owned.landed_rows,
                    "high_watermark": self._metrics.end_of_log(topic, partition),
                }
            )
        return report
