"""The micro-batches that wait to be taken, decoded by other processes meanwhile where they pile up.

While the worker keeps up, its one thread decodes each pack as it takes it: that is the shortest way. A worker that has
been behind for half a second starts the processes, and whatever was decoded where, packs are taken in their order.
"""

import asyncio
import datetime as dt
import logging
import time
from collections import Counter, deque
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


class DecodingAhead:
    """The packs that wait; owned by one event loop."""

    def __init__(
        self,
        topic: str,
        processes: Sequence[Decoder],
        threads: Threads,
        log_of: Callable[[Partition], str | None],
        running: Callable[[int], None] = lambda count: None,
    ) -> None:
        """The processes decode batches of the topic. `log_of` says which incarnation of a partition is owned.

        `running` is told how many of the processes there are.
        """
        self._topic = topic
        self._threads = threads
        self._log_of = log_of
        self._running = running
        self._packs: deque[Pack] = deque()
        self._waiting_records = 0
        self._behind_since: float | None = None
        self._ended = list(processes)
        self._free: list[tuple[Decoder, Lane]] = []
        self._busy: Counter[Decoder] = Counter()
        self._lost: set[Decoder] = set()
        self._count = 0
        self._starting: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._not_before_s = 0.0
        self._used_s = 0.0

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
            is_at_rest = not self._busy.total() and self._starting is None
            if self._free and is_at_rest and time.monotonic() - self._used_s >= IDLE_S:
                _log.info("decoder_processes_ended count=%d idle_s=%.0f", self._count, IDLE_S)
                # Not awaited itself: whoever closes goes on where this is cancelled.
                self._ending = asyncio.create_task(self._end_free())
                await asyncio.wait([self._ending])

    async def close(self) -> None:
        """End the processes, after what they have begun."""
        begun = [pack.under_way for pack in self._packs if pack.under_way is not None]
        begun += [task for task in (self._starting, self._ending) if task is not None]
        if begun:
            await asyncio.wait(begun)
        await self._end_free()

    async def _end_free(self) -> None:
        ending, self._free = dict(self._free), []
        for process in ending:
            await self._end(process)

    async def _end(self, process: Decoder) -> None:
        await self._threads.beside(process.close)
        self._ended.append(process)
        self._note(-1)

    def _hand_over(self) -> None:
        """Give waiting packs to those of the processes that have none, if so many wait that this is worth it."""
        now = time.monotonic()
        if self._waiting_records < START_RECORDS:
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = now
        is_due = self._behind_since is not None and now >= max(self._behind_since + BEHIND_S, self._not_before_s)
        if is_due and self._ended and self._starting is None:
            self._starting = asyncio.create_task(self._start())
        if self._waiting_records < BACKLOG_RECORDS:
            return
        for pack in self._packs:
            if not self._free:
                break
            chosen = self._chosen(pack) if pack.under_way is None else []
            if chosen:
                self._used_s = now
                process, lane = self._free.pop(0)
                self._busy[process] += 1
                pack.under_way = asyncio.create_task(self._decode(process, lane, pack, chosen))

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
            self._free += [(process, lane) for lane in process.lanes]
            self._note(+1)
            _log.info("decoder_process_started pid=%s behind_records=%d", process.pid, self._waiting_records)

    async def _decode(self, process: Decoder, lane: Lane, pack: Pack, chosen: Sequence[int]) -> None:
        batches = [pack.batches[place] for place in chosen]
        log = self._log_of((self._topic, batches[0].partition))
        try:
            if log is not None:
                found = await self._threads.beside(lane.decode, batches, log, dt.datetime.now(dt.UTC))
                decoded = dict(zip(chosen, found, strict=True)) if found is not None else {}
                pack.decoded = [decoded.get(place) for place in range(len(pack.batches))]
        except DecoderGone as error:
            self._lost.add(process)
            self._free = [(other, lane) for other, lane in self._free if other is not process]
            self._do_without(error)
        self._busy[process] -= 1
        if process not in self._lost:
            self._free.append((process, lane))
        elif not self._busy[process]:
            # Whoever was waiting on another lane has come back too.
            self._lost.remove(process)
            await self._end(process)
        self._hand_over()

    def _do_without(self, error: Exception) -> None:
        self._not_before_s = time.monotonic() + RETRY_S
        _log.warning("decoder_process_gone retry_s=%.0f reason=%s; nothing is lost with it", RETRY_S, error)

    def _note(self, more: int) -> None:
        self._count += more
        self._running(self._count)
