"""Packs are taken in their order, wherever and whenever each was decoded; processes run only while there is need."""

import asyncio
import datetime as dt
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from platform_assets.contracts.topics import EVENTS, REJECTED
from streaming.decoders import ahead
from streaming.decoders.ahead import DecodingAhead
from streaming.decoders.process import DecoderGone
from streaming.decoding import DecodedBatch
from streaming.record_batch import RecordBatch
from streaming.sink import Partition
from streaming.threads import Threads
from tests.streaming.lives import until
from tests.streaming_records import StoredRecord

LOG = "log1"
RECORD = StoredRecord(0, b"")


class FakeProcess:
    """Decodes when it is told to, or at once; or is gone."""

    def __init__(
        self, *, lanes: int = 1, patient: bool = False, dies_at: Callable[[int], bool] = lambda start: False
    ) -> None:
        self.may_go_on = threading.Event()
        self.begun: list[int] = []
        self.decoded: list[int] = []
        self.starts = 0
        self.closes: list[float] = []
        self.cannot_start = False
        self.lanes = [self] * lanes
        self._patient = patient
        self._dies_at = dies_at

    @property
    def pid(self) -> int | None:
        return 1

    def start(self) -> None:
        self.starts += 1
        if self.cannot_start:
            raise DecoderGone("no memory")

    def decode(self, batches: Sequence[RecordBatch], log: str, now: dt.datetime) -> list[DecodedBatch] | None:
        self.begun += [batch.start for batch in batches]
        if self._dies_at(batches[0].start):
            raise DecoderGone("killed")
        if self._patient:
            assert self.may_go_on.wait(5)
        self.decoded += [batch.start for batch in batches]
        return [
            DecodedBatch(batch.topic, log, batch.partition, batch.start, batch.next_offset, None) for batch in batches
        ]

    def close(self) -> None:
        self.closes.append(time.monotonic())


def events(
    start: int, count: int = 5_000, *, topic: str = EVENTS.name, partition: int = 0, left: int | None = None
) -> RecordBatch:
    end = start + count
    return RecordBatch(topic, partition, start, end, [RECORD] * count, None if left is None else end + left)


@pytest.fixture(autouse=True)
def is_behind_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "BEHIND_S", 0.0)
    monkeypatch.setattr(ahead, "START_RECORDS", ahead.BACKLOG_RECORDS)


class Scene:
    """Packs and the fakes that decode them."""

    def __init__(self, *processes: FakeProcess) -> None:
        self.logs: dict[Partition, str] = {(EVENTS.name, 0): LOG}
        self.threads = Threads(beside=sum(len(process.lanes) for process in processes))
        self.running: list[int] = []
        self.processes = processes
        self.ahead = DecodingAhead(EVENTS.name, processes, self.threads, self.logs.get, self.running.append)

    async def started(self, first: int = 0) -> None:
        """Fall behind, so that the processes start, and catch up."""
        self.ahead.add([events(first)])
        await until(lambda: self.running == list(range(1, len(self.processes) + 1)))
        await self.ahead.next()
        for process in self.processes:
            process.begun.clear()
            process.decoded.clear()

    async def end(self) -> None:
        for process in self.processes:
            process.may_go_on.set()
        await self.ahead.close()
        self.threads.shutdown()


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    scene = Scene(FakeProcess(patient=True), FakeProcess(patient=True))
    for process in scene.processes:
        process.may_go_on.set()
    await scene.started()
    yield scene
    await scene.end()


def starts_of(pack: ahead.Pack) -> list[int | None]:
    """Where the batches begin that were decoded; None for the others."""
    return [None if one is None else one.start for one in pack.decoded]


async def test_pack_waits_for_the_one_before_it_that_takes_longer(scene: Scene) -> None:
    for process in scene.processes:
        process.may_go_on.clear()
    for start in (0, 5_000, 10_000):
        scene.ahead.add([events(start)])
    await until(lambda: all(process.begun for process in scene.processes))
    slow, quick = sorted(scene.processes, key=lambda process: process.begun)
    quick.may_go_on.set()
    await until(lambda: quick.decoded == [5_000, 10_000])
    first = asyncio.create_task(scene.ahead.next())
    await asyncio.sleep(0.02)
    assert not first.done()
    slow.may_go_on.set()
    assert [starts_of(await first), starts_of(await scene.ahead.next()), starts_of(await scene.ahead.next())] == [
        [0], [5_000], [10_000],
    ]  # fmt: skip


async def test_few_records_are_left_to_the_thread_that_takes_them(scene: Scene) -> None:
    """What waits is less than a process would be worth."""
    scene.ahead.add([events(0, ahead.BACKLOG_RECORDS - 1)])
    assert starts_of(await scene.ahead.next()) == []
    assert not any(process.decoded for process in scene.processes)


async def test_only_events_are_decoded_beside(scene: Scene) -> None:
    """The other batches of a pack are decoded when it is taken; so is all of a pack with few events."""
    scene.ahead.add([events(7, topic=REJECTED.name), events(0), events(5_000)])
    scene.ahead.add([events(12, topic=REJECTED.name), events(10_000, 10)])
    assert starts_of(await scene.ahead.next()) == [None, 0, 5_000]
    assert starts_of(await scene.ahead.next()) == []


async def test_pack_of_a_partition_that_is_not_owned_any_more_is_not_decoded(scene: Scene) -> None:
    scene.logs.clear()
    scene.ahead.add([events(0)])
    assert starts_of(await scene.ahead.next()) == []


async def test_process_that_dies_loses_nothing_and_is_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(FakeProcess(dies_at=lambda start: start == 5_000))
    (process,) = scene.processes
    await scene.started()
    packs = []
    for start in (0, 5_000, 10_000):
        scene.ahead.add([events(start)])
        packs.append(starts_of(await scene.ahead.next()))
    assert packs == [[0], [], []]
    assert scene.running == [1, 0]
    assert process.starts == 1
    monkeypatch.setattr(ahead, "RETRY_S", 0.0)
    scene.ahead._not_before_s = 0.0
    scene.ahead.add([events(15_000)])
    await until(lambda: process.begun[-1:] == [15_000])
    assert scene.running == [1, 0, 1]
    assert starts_of(await scene.ahead.next()) == [15_000]
    await scene.end()


async def test_process_with_two_lanes_is_ended_once_when_nobody_waits_for_it_any_more() -> None:
    """One lane finds that it is gone; what the other has under way comes back, with an answer or without."""
    scene = Scene(FakeProcess(lanes=2, patient=True, dies_at=lambda start: start == 0))
    (process,) = scene.processes
    process.may_go_on.set()
    await scene.started(first=20_000)
    process.may_go_on.clear()
    for start in (0, 5_000, 10_000):
        scene.ahead.add([events(start)])
    assert starts_of(await scene.ahead.next()) == []
    await until(lambda: sorted(process.begun) == [0, 5_000])
    assert not process.closes
    process.may_go_on.set()
    assert [starts_of(await scene.ahead.next()) for _ in range(2)] == [[5_000], []]
    assert len(process.closes) == 1
    assert scene.running == [1, 0]
    await scene.end()


async def test_processes_that_cannot_start_are_done_without() -> None:
    scene = Scene(FakeProcess(), FakeProcess())
    for process in scene.processes:
        process.cannot_start = True
    for start in (0, 5_000):
        scene.ahead.add([events(start)])
        await asyncio.sleep(0.02)
    assert [starts_of(await scene.ahead.next()) for _ in range(2)] == [[], []]
    assert [process.starts for process in scene.processes] == [1, 1]
    await scene.end()


class Clock:
    """Stands in for the module `time`."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s


async def test_processes_start_when_the_backlog_lasts_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that stumbles and catches up at once needs none."""
    clock = Clock()
    monkeypatch.setattr(ahead, "time", clock)
    monkeypatch.setattr(ahead, "BEHIND_S", 0.5)
    scene = Scene(FakeProcess())
    (process,) = scene.processes
    for start in range(0, 100_000, 10_000):
        scene.ahead.add([events(start), events(start + 5_000)])
        clock.now_s += 0.4
        scene.ahead.add([events(start + 10_000, 10)])
        await asyncio.sleep(0)
        await scene.ahead.next()
        await scene.ahead.next()
    scene.ahead.add([events(0)])
    clock.now_s += 0.4
    scene.ahead.add([events(5_000)])
    await asyncio.sleep(0.01)
    assert not process.starts
    clock.now_s += 0.2
    scene.ahead.add([events(10_000)])
    await until(lambda: process.decoded == [0, 5_000, 10_000])
    await scene.end()


async def test_worker_that_is_far_behind_starts_processes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """All partitions count, each as it was last heard of; other topics do not."""
    monkeypatch.setattr(ahead, "BEHIND_S", 3600.0)
    scene = Scene(FakeProcess())
    (process,) = scene.processes
    half = ahead.FAR_BEHIND_RECORDS // 2
    scene.ahead.add([events(0, 10, left=half), events(0, 10, topic=REJECTED.name, left=10 * half)])
    scene.ahead.add([events(10, 10, left=half - 10), events(0, 10, partition=1, left=half)])
    await asyncio.sleep(0.01)
    assert not process.starts
    scene.ahead.add([events(10, 10, partition=1, left=half + 10)])
    await until(lambda: scene.running == [1])
    await scene.end()


async def test_processes_end_when_they_have_not_been_used_and_start_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "IDLE_S", 0.03)
    monkeypatch.setattr(ahead, "IDLE_CHECK_S", 0.01)
    scene = Scene(FakeProcess(), FakeProcess())
    resting = asyncio.create_task(scene.ahead.rest())
    await scene.started()
    await until(lambda: scene.running[-1] == 0)
    assert [len(process.closes) for process in scene.processes] == [1, 1]
    scene.running.clear()
    scene.ahead.add([events(0)])
    await until(lambda: 2 in scene.running)
    resting.cancel()
    await scene.end()
    assert scene.running[-1] == 0


async def test_process_that_is_being_ended_as_the_worker_stops_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """What looks for idle ones is cancelled in the midst of it."""
    monkeypatch.setattr(ahead, "IDLE_S", 0.0)
    monkeypatch.setattr(ahead, "IDLE_CHECK_S", 0.001)
    scene = Scene(FakeProcess(), FakeProcess())
    await scene.started()
    may_close = threading.Event()
    closing: list[FakeProcess] = []
    for process in scene.processes:

        def close(process: FakeProcess = process) -> None:
            closing.append(process)
            assert may_close.wait(5)

        monkeypatch.setattr(process, "close", close)
    resting = asyncio.create_task(scene.ahead.rest())
    await until(lambda: len(closing) == 1)
    resting.cancel()
    await asyncio.wait([resting])
    may_close.set()
    await scene.end()
    assert len(closing) == 2
    assert scene.running[-1] == 0


async def test_closing_waits_for_what_is_under_way() -> None:
    """A process that is ended in the midst of an answer would be one that died."""
    scene = Scene(FakeProcess(patient=True))
    (process,) = scene.processes
    process.may_go_on.set()
    await scene.started()
    process.may_go_on.clear()
    scene.ahead.add([events(0)])
    closing = asyncio.create_task(scene.ahead.close())
    await asyncio.sleep(0.02)
    assert not process.closes
    process.may_go_on.set()
    await closing
    assert len(process.closes) == 1
    assert process.decoded == [0]
    await scene.end()


async def test_process_is_not_started_any_more_while_the_others_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would outlive the worker: what is under way ends with packs still waiting."""
    monkeypatch.setattr(ahead, "RETRY_S", 0.02)
    busy, other = FakeProcess(patient=True), FakeProcess()
    other.cannot_start = True
    scene = Scene(busy, other)
    scene.ahead.add([events(0)])
    await until(lambda: busy.begun == [0])
    closing = asyncio.create_task(scene.ahead.close())
    await asyncio.sleep(2 * ahead.RETRY_S)
    busy.may_go_on.set()
    await closing
    assert other.starts == 1
    assert len(busy.closes) == 1
    await scene.end()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([1, 900, 1_500, 5_000, 9_000]), min_size=1, max_size=25),
    st.lists(st.booleans(), min_size=25, max_size=25),
    st.sets(st.integers(0, 24), max_size=4),
)
async def test_every_pack_comes_out_once_and_in_order(sizes: list[int], takes: list[bool], deadly: set[int]) -> None:
    """Packs of any size, added and taken in turns, with processes that die at some of them."""
    begins = [sum(sizes[:number]) for number in range(len(sizes))]
    dying = {begins[number] for number in deadly if number < len(sizes)}
    scene = Scene(*[FakeProcess(lanes=2, dies_at=dying.__contains__) for _ in range(2)])
    taken: list[int] = []

    async def take() -> None:
        pack = await scene.ahead.next()
        taken.append(pack.batches[0].start)
        assert starts_of(pack) in ([], [pack.batches[0].start])

    for begin, size, then_take in zip(begins, sizes, takes, strict=False):
        scene.ahead.add([events(begin, size)])
        await asyncio.sleep(0.0005)
        if then_take:
            await take()
    while scene.ahead:
        await take()
    assert taken == begins
    await scene.end()
