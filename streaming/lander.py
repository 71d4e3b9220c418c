"""Runs the sink beside the event loop: micro-batches in, landing files out, with back-pressure and retries.

Everything that touches the sink or the landing zone runs on one thread, so recovery never meets a half-written file
of its own process. A disk that is full or failing pauses consumption; nothing is dropped, and the partitions go on
once a file could be written.
"""

import asyncio
import datetime as dt
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

from resources.event_log.topics import LogUnavailable
from streaming.decoding import DECODERS, DecodedBatch, rejection_record
from streaming.incarnations import Incarnations
from streaming.record_batch import RecordBatch
from streaming.sink import Admission, LandingSink, Partition

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")

FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 15.0

AppendRejections = Callable[[list[tuple[bytes, bytes]]], Awaitable[None]]
"""Appends records to the rejected topic and returns when the broker has acknowledged them; raises LogUnavailable."""


@dataclass(frozen=True)
class Pause:
    """Why nothing lands at the moment, and when it is tried again (monotonic seconds)."""

    reason: str
    attempts: int
    next_attempt_at: float


class GivesUp(Protocol):
    """Whether waiting must end, because the worker stops or its partitions are being taken away."""

    def __call__(self) -> bool: ...


class Lander:
    """The asynchronous face of a `LandingSink`; owned by one event loop."""

    def __init__(
        self, sink: LandingSink, incarnations: Incarnations, append_rejections: AppendRejections, gives_up: GivesUp
    ) -> None:
        self._sink = sink
        self._incarnations = incarnations
        self._append_rejections = append_rejections
        self._gives_up = gives_up
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="landing")
        # Arrow's first array imports pandas where it is installed, a second that the group join hides.
        self._thread.submit(_first_rows)
        self._pause: Pause | None = None
        self._ready = False

    @property
    def sink(self) -> LandingSink:
        """For reports only: the landing thread changes it."""
        return self._sink

    @property
    def paused(self) -> Pause | None:
        """Set while files cannot be written."""
        return self._pause

    @property
    def is_ready(self) -> bool:
        """Partitions are assigned and sought, and files can be written."""
        return self._ready and self._pause is None

    async def open(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """Own these partitions and no others; returns the offset to fetch next of each.

        Raises:
            LogUnavailable: the broker cannot say which incarnations it holds.
            LandingZoneDamaged: the files of a partition do not follow on each other.
        """
        positions = await self._run(self._open, frozenset(partitions))
        self._ready = True
        return positions

    def _open(self, partitions: frozenset[Partition]) -> dict[Partition, int]:
        logs = self._incarnations.describe({topic for topic, _ in partitions})
        lost = [(owned.topic, owned.partition) for owned in self._sink.owned]
        self._sink.release(key for key in lost if key not in partitions)
        positions = {
            (topic, partition): self._sink.open(topic, logs[topic].log, partition) for topic, partition in partitions
        }
        for (topic, partition), position in sorted(positions.items()):
            _log.info("partition_opened topic=%s partition=%d log=%s position=%d",
                      topic, partition, logs[topic].log, position)  # fmt: skip
        return positions

    async def take(self, batch: RecordBatch) -> Admission:
        """Decode a batch, have its rejections acknowledged, then buffer its rows; returns when there is room for more.

        A batch that was not taken is fetched again later: after GAP the caller seeks back to the position.
        """
        decoded = await self._run(self._decode, batch)
        if isinstance(decoded, Admission):
            return decoded
        if decoded.rejections and not await self._reject(decoded):
            return Admission.NOT_OWNED
        admission = await self._run(self._sink.take, decoded)
        await self.close_due()
        while self._pause is not None and not self._gives_up():
            await asyncio.sleep(0.1)
        return admission

    def _decode(self, batch: RecordBatch) -> DecodedBatch | Admission:
        admission = self._sink.admission(batch.topic, batch.partition, batch.start, batch.next_offset)
        owned = self._sink.find(batch.topic, batch.partition)
        if admission is not Admission.TAKE or owned is None:
            return admission
        owned.high_watermark = batch.high_watermark
        return DECODERS[batch.topic](batch, owned.log, dt.datetime.now(dt.UTC))

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

    async def close_due(self) -> None:
        """Close the files that are due; while paused, only when the next attempt is."""
        if self._pause is not None and time.monotonic() < self._pause.next_attempt_at:
            return
        await self._close(lambda: self._sink.close(self._sink.due()))

    async def release(self, partitions: Collection[Partition]) -> None:
        """Land what is buffered of these partitions, as far as the disk allows, and own them no more."""
        wanted = list(partitions)
        self._ready = False
        await self._close(lambda: self._sink.close(wanted))
        unlanded = await self._run(self._sink.release, wanted)
        if unlanded:
            _log.warning("released_unlanded offsets=%d; the log still has them", unlanded)
        self._pause = None

    async def stop(self) -> None:
        """Land everything and end the thread."""
        await self.release([(owned.topic, owned.partition) for owned in self._sink.owned])
        self._thread.shutdown(wait=True)

    async def _close(self, write: Callable[[], object]) -> None:
        try:
            await self._run(write)
        except OSError as error:
            attempts = self._pause.attempts + 1 if self._pause is not None else 1
            delay = min(FIRST_RETRY_S * 2 ** (attempts - 1), LONGEST_RETRY_S)
            self._pause = Pause(str(error), attempts, time.monotonic() + delay)
            _log.error("landing_paused attempt=%d retry_s=%.1f reason=%s", attempts, delay, error)
        else:
            if self._pause is not None:
                _log.info("landing_resumed attempts=%d", self._pause.attempts)
            self._pause = None

    async def _run(self, work: Callable[..., _Result], *arguments: object) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    def report(self) -> list[Mapping[str, object]]:
        """Per owned partition: where it stands. Offsets are next offsets."""
        return [
            {
                "topic": owned.topic,
                "log": owned.log,
                "partition": owned.partition,
                "position": owned.position,
                "landed": owned.landed,
                "landed_rows": owned.landed_rows,
                "high_watermark": owned.high_watermark,
            }
            for owned in sorted(self._sink.owned, key=lambda owned: (owned.topic, owned.partition))
        ]


def _first_rows() -> None:
    for topic, decode in DECODERS.items():
        decode(RecordBatch(topic, 0, 0, 0, ()), "", dt.datetime.now(dt.UTC))
