"""Publishes what a stage has to say, and saves its state once all of it is acknowledged.

One round at a time: ask the stage, append its records, wait for the broker, write the checkpoints that were taken
together with the records. While a round waits, changes of one window coalesce, so a slow broker or a flood of events
makes changes rarer instead of queues longer. What an idle partition closes is saved before it is told: a crash in
between must not let the same events meet another watermark.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Protocol

from resources.event_log.topics import LogUnavailable
from streaming.checkpoints import Checkpoints
from streaming.stage import Emission, Outgoing, Saved, Stage
from streaming.threads import Threads

_log = logging.getLogger(__name__)

TICK_S = 0.25
FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 15.0
DISK_RETRY_S = 1.0


class Publish(Protocol):
    """Appends records to the log and returns when the broker has all of them; raises LogUnavailable."""

    def __call__(self, records: Sequence[Outgoing]) -> Awaitable[None]: ...


class NotPublished(RuntimeError):
    """The worker stops or its partitions are being taken away, and the broker has not acknowledged everything."""


class Emitter:
    """The rounds of one stage; owned by one event loop."""

    def __init__(
        self,
        stage: Stage,
        publish: Publish,
        checkpoints: Checkpoints,
        *,
        threads: Threads,
        gives_up: Callable[[], bool],
        interval_s: float,
        checkpoint_interval_s: float,
    ) -> None:
        self._stage = stage
        self._publish = publish
        self._checkpoints = checkpoints
        self._threads = threads
        self._gives_up = gives_up
        self._interval_s = interval_s
        self._checkpoint_interval_s = checkpoint_interval_s
        self._news = asyncio.Event()
        self._round = asyncio.Lock()
        # When each owned partition was saved last, in monotonic seconds.
        self._saved_at: dict[int, float] = {}
        self._rested_at = 0.0
        # What the stage has said and the broker has not acknowledged; the states to be written once it has; those
        # that may be written now.
        self._unpublished: list[Outgoing] = []
        self._unacknowledged: list[Saved] = []
        self._unwritten: list[Saved] = []
        self._writing = asyncio.Lock()
        self._saving: asyncio.Task[None] | None = None
        # What an idle partition closes is in a state that is not written yet: nothing is told before it is.
        self._must_write = False

    def own(self, partitions: Collection[int]) -> None:
        """Publish for these partitions from now on."""
        now = time.monotonic()
        for partition in partitions:
            self._saved_at.setdefault(partition, now)

    def say(self, emission: Emission) -> None:
        """Publish this in the next round, then write what it says may be written."""
        self._unpublished += emission.records
        self._unacknowledged += emission.saved
        self._news.set()

    def notify(self) -> None:
        """The stage has taken records."""
        self._news.set()

    async def run(self) -> None:
        """Go on until cancelled."""
        try:
            await self._go_round()
        finally:
            if self._saving is not None:
                self._saving.cancel()

    async def _go_round(self) -> None:
        while True:
            begun = time.monotonic()
            with contextlib.suppress(TimeoutError):
                # `wait_for` of Python 3.11 goes on where it is cancelled in the moment that the event comes.
                async with asyncio.timeout(TICK_S):
                    await self._news.wait()
            self._news.clear()
            try:
                async with self._round:
                    await self._one_round()
            except NotPublished as error:
                _log.info("round_given_up topic=%s reason=%s", self._stage.topic, error)
                await asyncio.sleep(TICK_S)
            except OSError as error:
                _log.error("checkpoint_failed topic=%s retry_s=%.1f reason=%s", self._stage.topic, DISK_RETRY_S, error)
                await asyncio.sleep(DISK_RETRY_S)
            await asyncio.sleep(max(0.0, begun + self._interval_s - time.monotonic()))

    async def finish(self, partitions: Collection[int]) -> None:
        """Publish and save everything of these partitions, as far as the broker and the disk allow; own them no more.

        What was not saved is taken from the log again by the next owner.
        """
        mine = {partition for partition in partitions if partition in self._saved_at}
        if not mine:
            return
        async with self._round:
            try:
                await self._write()
                await self._publish_news(mine, mine)
                await self._write()
            except (NotPublished, OSError) as error:
                _log.warning("unsaved topic=%s partitions=%s reason=%s; the log still has the records",
                             self._stage.topic, sorted(mine), error)  # fmt: skip
            self._unacknowledged = [saved for saved in self._unacknowledged if saved.partition not in mine]
            self._unwritten = [saved for saved in self._unwritten if saved.partition not in mine]
            for partition in mine:
                del self._saved_at[partition]

    async def _one_round(self) -> None:
        now = time.monotonic()
        if self._saving is not None and self._saving.done():
            saving, self._saving = self._saving, None
            saving.result()
        if self._must_write:
            await self._write()
        # One set of states at a time: a disk that fails for long must not fill the memory with them.
        due = {
            partition
            for partition, saved_at in self._saved_at.items()
            if now - saved_at >= self._checkpoint_interval_s and not self._unwritten
        }
        await self._publish_news(self._saved_at.keys(), due)
        if now - self._rested_at >= TICK_S:
            # One partition may be idle while others are busy. All that it has said is acknowledged by now, so nothing
            # untold is missing in its state. The state comes before the news: should it fail, nothing is told.
            self._rested_at = now
            rested = await self._threads.work(self._stage.rest, now)
            if rested:
                self._unwritten += rested
                self._must_write = True
                await self._write()
                await self._publish_news(self._saved_at.keys(), ())
        if self._unwritten and self._saving is None:
            # Beside the rounds: behind landing files a checkpoint waited 250 ms for the disk, and so did every change.
            self._saving = asyncio.create_task(self._write())

    async def _publish_news(self, partitions: Collection[int], due: Collection[int]) -> None:
        await self._publish_all()
        emission = await self._threads.work(self._stage.collect, frozenset(partitions), frozenset(due))
        self._unpublished += emission.records
        self._unacknowledged += emission.saved
        self._saved_at.update(dict.fromkeys(due, time.monotonic()))
        await self._publish_all()

    async def _publish_all(self) -> None:
        delay = FIRST_RETRY_S
        while self._unpublished:
            try:
                await self._publish(self._unpublished)
                self._unpublished = []
            except LogUnavailable as error:
                _log.warning("news_unacknowledged topic=%s records=%d retry_s=%.1f reason=%s",
                             self._stage.topic, len(self._unpublished), delay, error)  # fmt: skip
                deadline = time.monotonic() + delay
                while time.monotonic() < deadline:
                    if self._gives_up():
                        raise NotPublished(str(error)) from error
                    await asyncio.sleep(0.1)
                delay = min(delay * 2, LONGEST_RETRY_S)
        self._unwritten += self._unacknowledged
        self._unacknowledged = []

    async def _write(self) -> None:
        async with self._writing:
            while self._unwritten:
                saved = self._unwritten[0]
                await self._threads.disk(self._write_one, saved)
                self._unwritten = [other for other in self._unwritten if other is not saved]
            self._must_write = False

    def _write_one(self, saved: Saved) -> None:
        if saved.checkpoint is None:
            self._checkpoints.remove(saved.log, saved.partition)
            return
        self._checkpoints.write(saved.log, saved.partition, saved.checkpoint, saved.ids)
        self._checkpoints.prune_ids(saved.log, saved.partition, saved.ids_needed_from)
