"""Runs the sink beside the event loop: closes files that are due, pauses while none can be written.

A disk that is full or failing pauses consumption; nothing is dropped, and the partitions go on once a file could be
written.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from streaming.metrics import StreamMetrics
from streaming.sink import FullFile, LandingSink, Partition
from streaming.threads import Threads

_log = logging.getLogger(__name__)

CHECK_INTERVAL_S = 0.1
FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 15.0
ROOM_CHECK_S = 0.01


@dataclass(frozen=True)
class Pause:
    """Why nothing lands at the moment, and when it is tried again (monotonic seconds)."""

    reason: str
    attempts: int
    next_attempt_at: float


class Lander:
    """The asynchronous face of a `LandingSink`; owned by one event loop."""

    def __init__(self, sink: LandingSink, threads: Threads, metrics: StreamMetrics) -> None:
        self._sink = sink
        self._threads = threads
        self._metrics = metrics
        self._pause: Pause | None = None
        self._closing = asyncio.Lock()
        self._full = asyncio.Event()

    @property
    def sink(self) -> LandingSink:
        """For the thread of the state, and for reports."""
        return self._sink

    @property
    def paused(self) -> Pause | None:
        """Set while files cannot be written."""
        return self._pause

    async def run(self) -> None:
        """Close files when they are due, until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                # `wait_for` of Python 3.11 goes on where it is cancelled in the moment that the event comes.
                async with asyncio.timeout(CHECK_INTERVAL_S):
                    await self._full.wait()
            self._full.clear()
            await self.close_due()

    async def wait_for_room(self, gives_up: Callable[[], bool]) -> None:
        """Return once another batch may be taken, or when waiting must end."""
        if self._sink.is_half_full:
            self._full.set()
        while (self._pause is not None or not self._sink.has_room) and not gives_up():
            await asyncio.sleep(ROOM_CHECK_S)

    async def close_due(self) -> None:
        """Close the files that are due; while paused, only when the next attempt is."""
        if self._pause is not None and time.monotonic() < self._pause.next_attempt_at:
            return
        async with self._closing:
            await self._close(await self._threads.work(self._sink.due))

    async def release(self, partitions: Collection[Partition]) -> None:
        """Land what is buffered of these partitions, as far as the disk allows, and own them no more."""
        wanted = list(partitions)
        async with self._closing:
            # A file that waited for another attempt goes first, then what was buffered behind it.
            await self._close(wanted)
            await self._close(wanted)
            unlanded = await self._threads.work(self._sink.release, wanted)
        if unlanded:
            _log.warning("released_unlanded offsets=%d; the log still has them", unlanded)
        self._go_on()

    async def _close(self, partitions: Collection[Partition]) -> None:
        files = await self._threads.work(self._sink.fill, partitions)
        if not files:
            return
        try:
            await self._threads.disk(self._sink.write, files)
        except OSError as error:
            attempts = self._pause.attempts + 1 if self._pause is not None else 1
            delay = min(FIRST_RETRY_S * 2 ** (attempts - 1), LONGEST_RETRY_S)
            self._pause = Pause(str(error), attempts, time.monotonic() + delay)
            self._metrics.paused(True)
            _log.error("landing_paused attempt=%d retry_s=%.1f reason=%s", attempts, delay, error)
            return
        await self._threads.work(self._note_landed, files)
        if self._pause is not None:
            _log.info("landing_resumed attempts=%d", self._pause.attempts)
        self._go_on()

    def _go_on(self) -> None:
        self._pause = None
        self._metrics.paused(False)

    def _note_landed(self, files: Collection[FullFile]) -> None:
        self._sink.landed(files)
        for full in files:
            self._metrics.landed(full.file.topic, full.file.partition, full.row_count)
        self._metrics.buffered(self._sink.buffered_bytes)
