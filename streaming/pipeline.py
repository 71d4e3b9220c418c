"""Takes the micro-batches of every topic through its steps: decode, reject, land, count in windows."""

import asyncio
import datetime as dt
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

from platform_assets.contracts.topics import EVENTS
from resources.event_log.topics import LogUnavailable
from streaming.decoders.ahead import Decoder, DecodingAhead, Pack
from streaming.decoding import DecodedBatch, DecodeTogether, rejection_record
from streaming.lander import FIRST_RETRY_S, LONGEST_RETRY_S, Lander
from streaming.metrics import StreamMetrics
from streaming.owned_partitions import OwnedPartitions
from streaming.pacing import PassTime
from streaming.record_batch import RecordBatch, joined, packs
from streaming.sink import Admission, Partition
from streaming.stage import Tally
from streaming.steps import Steps
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
        steps: Steps,
        owned: OwnedPartitions,
        *,
        decoders: Mapping[str, DecodeTogether],
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
        self._steps = steps
        self._owned = owned
        self._decoders = decoders
        self._append_rejections = append_rejections
        self._gives_up = gives_up
        self._on_gap = on_gap
        self._threads = threads
        self._metrics = metrics
        self._is_open = False
        # Held while partitions begin or end: a rebalance may come in the middle of the one before.
        self._changing = asyncio.Lock()
        self._run: asyncio.Task[None] | None = None
        self._queue: list[RecordBatch] = []
        self._queued_records = 0
        self._arrived = asyncio.Event()
        self.pass_time = PassTime()
        """Of the passes that take events."""
        self._ahead = DecodingAhead(EVENTS.name, decoder_processes, threads, owned.log_of, metrics.decoder_processes)
        # Arrow's first array imports pandas where it is installed, a second that the group join hides.
        threads.warm_up(self._decode_nothing)

    @property
    def metrics(self) -> StreamMetrics:
        """What it has done."""
        return self._metrics

    @property
    def lander(self) -> Lander:
        """The step that lands."""
        return self._steps.lander

    @property
    def is_ready(self) -> bool:
        """Partitions are assigned and sought, and files can be written."""
        return self._is_open and self._steps.lander.paused is None

    @property
    def topics(self) -> frozenset[str]:
        """The topics that are read."""
        return self._steps.topics

    def positions(self) -> dict[Partition, int]:
        """The offset to fetch next of every owned partition."""
        return self._owned.positions()

    @property
    def owned(self) -> OwnedPartitions:
        """The partitions that it takes batches of."""
        return self._owned

    async def run(self) -> None:
        """Close files and publish news, until `stop`, until cancelled or until something goes wrong for good."""
        self._run = asyncio.create_task(self._run_all())
        try:
            await asyncio.wait([self._run])
        finally:
            self._run.cancel()
            await asyncio.wait([self._run])
        if not self._run.cancelled():
            self._run.result()

    async def _run_all(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._take_queued())
            group.create_task(self._ahead.rest())
            group.create_task(self._steps.lander.run())
            for emitter in self._steps.emitters.values():
                group.create_task(emitter.run())

    async def open(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """Take batches of these partitions and no others from now on; see `OwnedPartitions.own`.

        Whoever gives this up half-way, as Faust does when the next rebalance begins, leaves it to end by itself. What
        the threads have begun cannot be called back, and `release` has to find all of it.
        """
        await self._changing.acquire()
        return await asyncio.shield(asyncio.create_task(self._open(partitions)))

    async def _open(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """Take them, and let go of the lock that is held."""
        try:
            positions = await self._owned.own(partitions)
            self._is_open = True
            return positions
        finally:
            self._changing.release()

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
        return self._run is not None and not self._run.done()

    async def take(self, batch: RecordBatch) -> Admission:
        """Take a batch through the steps; returns when there is room for more.

        A batch that was not taken is fetched again later: after GAP the caller seeks back to the position.
        """
        return (await self._take_pack(Pack([batch])))[0]

    async def _take_pack(self, pack: Pack) -> list[Admission]:
        admissions: list[Admission] = []
        batches = pack.batches
        topics = {batch.topic for batch in batches}
        begun = time.monotonic()
        outcomes = await self._threads.work(self._take, pack)
        if EVENTS.name in topics:
            self.pass_time.note(sum(len(batch.records) for batch in batches), time.monotonic() - begun)
        for batch, outcome in zip(batches, outcomes, strict=True):
            if isinstance(outcome, Admission):
                admissions.append(outcome)
            elif await self._reject(outcome):
                admissions.append(await self._threads.work(self._put, batch, outcome, 0.0))
            else:
                admissions.append(Admission.NOT_OWNED)
        for topic in topics & self._steps.emitters.keys():
            self._steps.emitters[topic].notify()
        if topics & self._steps.landed_topics:
            await self._steps.lander.wait_for_room(self._gives_up)
        return admissions

    def _take(self, pack: Pack) -> list[Admission | DecodedBatch]:
        """Take the batches; one with rejections is handed back decoded, to be taken once these are acknowledged."""
        batches = pack.batches
        outcomes: dict[int, Admission | DecodedBatch] = {}
        admitted: list[int] = []
        for index, batch in enumerate(batches):
            admission = self._owned.admission((batch.topic, batch.partition), batch.start, batch.next_offset)
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
            log = self._owned.log_of((batch.topic, batch.partition))
            if log is not None:
                by_log.setdefault((batch.topic, log), []).append(index)
        for (topic, log), indices in by_log.items():
            found = self._decoders[topic]([batches[index] for index in indices], log, dt.datetime.now(dt.UTC))
            for index, one in zip(indices, found, strict=True):
                decoded[index] = one
        return decoded

    def _put(self, batch: RecordBatch, decoded: DecodedBatch, decoding_s: float) -> Admission:
        """Give every step what it has not had. The state of the partition may have changed since it was decoded."""
        place = (decoded.topic, decoded.partition)
        if self._owned.log_of(place) != decoded.log:
            return Admission.NOT_OWNED
        admission = self._owned.admission(place, decoded.start, decoded.next_offset)
        if admission is not Admission.TAKE:
            return admission
        begun = time.perf_counter()
        if decoded.topic in self._steps.landed_topics:
            self._steps.sink.take(decoded)
            self._metrics.buffered(self._steps.sink.buffered_bytes)
        stage = self._steps.stages.get(decoded.topic)
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

    async def release(self, partitions: Collection[Partition] | None = None) -> None:
        """Publish, save and land what there is of these partitions, or of all, and own them no more."""
        async with self._changing:
            wanted = [place for place in self._owned if partitions is None or place in partitions]
            self._is_open = False
            await self._drain()
            for topic, emitter in self._steps.emitters.items():
                await emitter.finish([partition for found, partition in wanted if found == topic])
            await self._steps.lander.release([place for place in wanted if place[0] in self._steps.landed_topics])
            await self._owned.forget(wanted)

    async def stop(self) -> None:
        """Release everything and end the threads."""
        await self.release()
        if self._run is not None:
            # It would find the threads gone; whatever it waits for there comes to its end.
            self._run.cancel()
            await asyncio.wait([self._run])
        await self._ahead.close()
        self._threads.shutdown()

    def _decode_nothing(self) -> None:
        for topic, decode in self._decoders.items():
            decode([RecordBatch(topic, 0, 0, 0, ())], "", dt.datetime.now(dt.UTC))
