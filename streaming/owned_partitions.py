"""The partitions that this worker owns: how each begins, how far each step has taken it, and how it ends.

A partition goes on at the smaller of two positions: that of its landing files and that of its checkpoint. Each step
skips what it has had. What is neither landed nor saved when the worker dies is read from the log again.
"""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence

from platform_assets.contracts.topics import EVENTS
from resources.event_log.topics import Log
from resources.landing_zone import LandingZone
from streaming.checkpoints import Checkpoint, Checkpoints
from streaming.event_columns import EventColumns
from streaming.incarnations import Incarnations
from streaming.landed_events import landed_events
from streaming.metrics import StreamMetrics
from streaming.sink import Admission, Partition
from streaming.stage import Restored, Stage
from streaming.steps import Steps
from streaming.threads import Threads

_log = logging.getLogger(__name__)


class OwnedPartitions:
    """Which partitions are owned, each of one incarnation of its topic; owned itself by one event loop."""

    def __init__(
        self,
        steps: Steps,
        *,
        zone: LandingZone,
        checkpoints: Checkpoints,
        incarnations: Incarnations,
        threads: Threads,
        metrics: StreamMetrics,
    ) -> None:
        self._steps = steps
        self._zone = zone
        self._checkpoints = checkpoints
        self._incarnations = incarnations
        self._threads = threads
        self._metrics = metrics
        self._logs: dict[Partition, str] = {}

    def __iter__(self) -> Iterator[Partition]:
        return iter(list(self._logs))

    def __contains__(self, place: Partition) -> bool:
        return place in self._logs

    def log_of(self, place: Partition) -> str | None:
        """The incarnation that is owned; None where the partition is not."""
        return self._logs.get(place)

    def positions(self) -> dict[Partition, int]:
        """The offset to fetch next of every owned partition."""
        return {place: found for place in list(self._logs) if (found := self.position(place)) is not None}

    def position(self, place: Partition) -> int | None:
        """The offset to fetch next; None where the partition is not owned."""
        log = self._logs.get(place)
        return None if log is None else min(self._steps.positions(place, log), default=None)

    def kept(self, place: Partition) -> int | None:
        """Everything below this offset has landed; None where nothing has. For those who watch the group's lag."""
        owned = self._steps.sink.find(*place)
        return owned.landed if owned is not None and owned.landed > 0 else None

    def admission(self, place: Partition, start: int, next_offset: int) -> Admission:
        """What is to become of a batch with these bounds."""
        log = self._logs.get(place)
        if log is None:
            return Admission.NOT_OWNED
        positions = self._steps.positions(place, log)
        if not positions:
            return Admission.NOT_OWNED
        if next_offset <= min(positions):
            return Admission.REPEATED
        return Admission.GAP if start > min(positions) else Admission.TAKE

    async def own(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """Own these partitions and no others; returns the offset to fetch next of each.

        Raises:
            LogUnavailable: the broker cannot say which incarnations it holds.
            LandingZoneDamaged: the files of a partition do not follow on each other.
        """
        wanted = frozenset(partitions)
        logs = await self._threads.disk(self._incarnations.describe, {topic for topic, _ in wanted})
        await self.forget([place for place in self._logs if place not in wanted])
        for place in sorted(wanted):
            await self._open(place, logs[place[0]])
        for topic, emitter in self._steps.emitters.items():
            emitter.own([partition for found, partition in wanted if found == topic])
        return self.positions()

    async def _open(self, place: Partition, log: Log) -> None:
        topic, partition = place
        landed: int | None = None
        if topic in self._steps.landed_topics and self._steps.sink.position(topic, partition, log.log) is None:
            landed = await self._threads.disk(self._zone.recover, topic, log.log, partition)
            await self._threads.work(self._steps.sink.open, topic, log.log, partition, landed)
        stage = self._steps.stages.get(topic)
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
            self._steps.emitters[stage.topic].say(emission)
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

    async def forget(self, partitions: Sequence[Partition]) -> None:
        """Own these no more; what they have not published, saved and landed is read from the log again."""
        await self._threads.work(
            self._steps.sink.release, [place for place in partitions if place[0] in self._steps.landed_topics]
        )
        for topic, stage in self._steps.stages.items():
            await self._threads.work(stage.release, [partition for found, partition in partitions if found == topic])
        for place in partitions:
            self._logs.pop(place, None)
            self._metrics.released(*place)

    def report(self) -> list[Mapping[str, object]]:
        """Per owned partition: where it stands. Offsets are next offsets."""
        report: list[Mapping[str, object]] = []
        for topic, partition in sorted(self._logs):
            owned = self._steps.sink.find(topic, partition)
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
