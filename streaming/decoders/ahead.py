"""The micro-batches that wait to be taken, decoded by other processes meanwhile where they pile up.

While the worker keeps up, its one thread decodes each pack as it takes it: that is the shortest way. A worker that has
been behind for half a second, or is far behind, starts the processes, and whatever was decoded where, packs are taken
in their order.
"""

import asyncio
import datetime as dt
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from streaming.decoders.process import DecoderGone
from streaming.decoding import DecodedBatch
from streaming.record_batch import RecordBatch
from streaming.sink import Partition
from streaming.threads import Threads

_log = logging.getLogger(__name__)

# Where so many have waited for so long the processes start. At 100,000 events/s it is a fifth of a second's; a worker
# that stumbles is over that sooner.
START_RECORDS = 20_000
BEHIND_S = 0.5
# So many still in the log are no stumble: the processes start at once. After a kill, or where nothing ran for a while.
FAR_BEHIND_RECORDS = 200_000
# Fewer waiting are taken before another process could have decoded them.
BACKLOG_RECORDS = 5_000
# To hand over fewer in one pack takes longer than it saves.
LEAST_RECORDS = 1_000
# A process takes 60 MB: who has caught up does without it again.
IDLE_S = 30.0
IDLE_CHECK_S = 5.0
RETRY_S = 60.0


class Lane(Protocol):
    """What decodes one request at a time; see `process.DecoderLane`."""

    def decode(self, batches: Sequence[RecordBatch], log: str, now: dt.datetime) -> list[DecodedBatch] | None: ...


class Decoder(Protocol):
    """A process that decodes; see `process.DecoderProcess`."""

    @property
    def lanes(self) -> Sequence[Lane]: ...
    @property
    def pid(self) -> int | None: ...
    def start(self) -> None: ...
    def close(self) -> None: ...


@dataclass
class Pack:
    """Batches that are taken together."""

    batches: Sequence[RecordBatch]
    decoded: Sequence[DecodedBatch | None] = ()
    """One for each batch, None where it is yet to be decoded; none at all where all are."""
    under_way: "asyncio.Task[None] | None" = field(default=None, repr=False)
    """Done when a process has decoded it, or could not."""

    @property
    def records(self) -> int:
        """Records of all its batches."""
        return sum(len(batch.records) for batch in self.batches)


@dataclass(eq=False)
class _Running:
    """A process that was started and is yet to be ended."""

    process: Decoder
    free: list[Lane]
    """Its lanes on which nothing is under way."""
    is_gone: bool = False

    @property
    def is_busy(self) -> bool:
        """Something is under way on one of its lanes."""
        return len(self.free) < len(self.process.lanes)


class DecodingAhead:
    """The packs that wait; owned by one event loop."""

    def __init__(
        self,
        topic: str,
        processes: Sequence[Decoder],
        threads: Threads,
        log_of: Callable[[Partition], str | None],
        tell: Callable[[int], None] = lambda count: None,
    ) -> None:
        """The processes decode batches of the topic. `log_of` says which incarnation of a partition is owned.

        `tell` is told how many of the processes there are.
        """
        self._topic = topic
        self._threads = threads
        self._log_of = log_of
        self._tell = tell
        self._packs: deque[Pack] = deque()
        self._waiting_records = 0
        self._behind_since: float | None = None
        self._ended = list(processes)
        self._running: list[_Running] = []
        self._starting: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._not_before_s = 0.0
        self._used_s = 0.0
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._packs)

    def add(self, batches: Sequence[RecordBatch]) -> None:
        """Have these batches wait behind the others."""
        pack = Pack(batches)
        self._packs.append(pack)
        self._waiting_records += pack.records
        self._hand_over()

    async def next(self) -> Pack:
        """The pack that has waited longest, and waits no more; decoded where one of the processes did it."""
        pack = self._packs[0]
        if pack.under_way is not None:
            # Not awaited itself: to be cancelled here must not cancel what a thread goes on with.
            await asyncio.wait([pack.under_way])
            pack.under_way.result()
        self._packs.popleft()
        self._waiting_records -= pack.records
        self._hand_over()
        return pack

    async def rest(self) -> None:
        """End the processes whenever nothing was decoded by them for a while, until cancelled."""
        while True:
            await asyncio.sleep(IDLE_CHECK_S)
            is_at_rest = self._starting is None and not any(one.is_busy for one in self._running)
            if self._running and is_at_rest and time.monotonic() - self._used_s >= IDLE_S:
                _log.info("decoder_processes_ended count=%d idle_s=%.0f", len(self._running), IDLE_S)
                # Not awaited itself: whoever closes goes on where this is cancelled.
                self._ending = asyncio.create_task(self._end(self._running))
                await asyncio.wait([self._ending])

    async def close(self) -> None:
        """End the processes, after what they have begun."""
        self._is_closed = True
        begun = [pack.under_way for pack in self._packs if pack.under_way is not None]
        begun += [task for task in (self._starting, self._ending) if task is not None]
        if begun:
            await asyncio.wait(begun)
        await self._end(self._running)

    async def _end(self, running: Sequence[_Running]) -> None:
        ending = list(running)
        self._running = [one for one in self._running if one not in ending]
        for number, one in enumerate(ending, 1):
            await self._threads.beside(one.process.close)
            self._ended.append(one.process)
            self._tell(len(self._running) + len(ending) - number)

    def _hand_over(self) -> None:
        """Give waiting packs to those of the processes that have none, if so many wait that this is worth it."""
        if self._is_closed:
            return
        now = time.monotonic()
        if self._waiting_records < START_RECORDS:
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = now
        if self._ended and self._starting is None and now >= self._not_before_s:
            is_behind = self._behind_since is not None and now >= self._behind_since + BEHIND_S
            if is_behind or self._is_far_behind():
                self._starting = asyncio.create_task(self._start())
        if self._waiting_records < BACKLOG_RECORDS:
            return
        free = [(one, lane) for one in self._running if not one.is_gone for lane in one.free]
        for pack in self._packs:
            if not free:
                break
            chosen = self._chosen(pack) if pack.under_way is None else []
            if chosen:
                self._used_s = now
                one, lane = free.pop(0)
                one.free.remove(lane)
                pack.under_way = asyncio.create_task(self._decode(one, lane, pack, chosen))

    def _is_far_behind(self) -> bool:
        left: dict[int, int] = {}
        for pack in self._packs:
            for batch in pack.batches:
                if batch.topic == self._topic and batch.high_watermark is not None:
                    left[batch.partition] = batch.high_watermark - batch.next_offset
        return sum(left.values()) >= FAR_BEHIND_RECORDS

    def _chosen(self, pack: Pack) -> list[int]:
        """The places of the batches that a process can decode; none where these are too few records."""
        chosen = [place for place, batch in enumerate(pack.batches) if batch.topic == self._topic]
        return chosen if sum(len(pack.batches[place].records) for place in chosen) >= LEAST_RECORDS else []

    async def _start(self) -> None:
        starting, self._ended = self._ended, []
        try:
            await asyncio.gather(*map(self._start_one, starting))
        finally:
            self._starting = None
        self._hand_over()

    async def _start_one(self, process: Decoder) -> None:
        try:
            await self._threads.beside(process.start)
        except (DecoderGone, OSError) as error:
            self._ended.append(process)
            self._do_without(error)
        else:
            self._used_s = time.monotonic()
            self._running.append(_Running(process, list(process.lanes)))
            self._tell(len(self._running))
            _log.info("decoder_process_started pid=%s behind_records=%d", process.pid, self._waiting_records)

    async def _decode(self, one: _Running, lane: Lane, pack: Pack, chosen: Sequence[int]) -> None:
        batches = [pack.batches[place] for place in chosen]
        log = self._log_of((self._topic, batches[0].partition))
        try:
            if log is not None:
                found = await self._threads.beside(lane.decode, batches, log, dt.datetime.now(dt.UTC))
                decoded = dict(zip(chosen, found, strict=True)) if found is not None else {}
                pack.decoded = [decoded.get(place) for place in range(len(pack.batches))]
        except DecoderGone as error:
            one.is_gone = True
            self._do_without(error)
        one.free.append(lane)
        # Whoever was waiting on another lane comes back too.
        if one.is_gone and not one.is_busy:
            await self._end([one])
        self._hand_over()

    def _do_without(self, error: Exception) -> None:
        self._not_before_s = time.monotonic() + RETRY_S
        _log.warning("decoder_process_gone retry_s=%.0f reason=%s; nothing is lost with it", RETRY_S, error)
