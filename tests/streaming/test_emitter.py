"""What a stage says is acknowledged before its state is saved, whatever fails; what a clock closes is saved first."""

import asyncio
import contextlib
import errno
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from resources import durable_files
from resources.event_log.topics import LogUnavailable
from streaming import checkpoints as checkpoints_module
from streaming import emitter as emitter_module
from streaming.checkpoints import Checkpoint, Checkpoints
from streaming.decoding import DecodedBatch
from streaming.emitter import Emitter
from streaming.event_columns import EventColumns
from streaming.sink import Admission
from streaming.stage import Emission, Outgoing, Restored, Saved, Tally
from streaming.threads import Threads
from tests.streaming.lives import until

TOPIC, LOG = "t", "log1"


class Counter:
    """A stage that counts what it takes of each partition, and says the count when it has changed."""

    topic = TOPIC

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.changed: set[int] = set()
        self.resting: list[int] = []
        self.collected = 0

    def count(self, partition: int) -> None:
        """Take one more record."""
        self.counts[partition] = self.counts.get(partition, 0) + 1
        self.changed.add(partition)

    def save(self, partition: int) -> Saved:
        return Saved(TOPIC, LOG, partition, Checkpoint.empty(TOPIC, self.counts.get(partition, 0)))

    def tally(self, partition: int) -> Tally:
        return Tally()

    def collect(self, partitions: Collection[int], save: Collection[int]) -> Emission:
        self.collected += 1
        told = sorted(self.changed & set(partitions))
        self.changed -= set(told)
        records = [Outgoing(TOPIC, number, None, str(self.counts[number]).encode()) for number in told]
        return Emission(records, [self.save(number) for number in sorted(save) if number in self.counts])

    def rest(self, now_s: float) -> list[Saved]:
        """Partitions that the clock has taken further: saved at once, and with something to say."""
        resting, self.resting = self.resting, []
        for partition in resting:
            self.count(partition)
        return [self.save(partition) for partition in resting]

    def position(self, partition: int, log: str) -> int | None:
        return self.counts.get(partition)

    def open(self, log: str, partition: int, restored: Restored, partitions: int) -> None: ...
    def release(self, partitions: Collection[int]) -> None: ...
    def take(self, decoded: DecodedBatch, high_watermark: int | None) -> Admission:
        return Admission.NOT_OWNED

    def finish(self, log: str, partition: int, restored: Restored, tail: Iterable[EventColumns]) -> Emission:
        return Emission([], [])


class Bench:
    """An emitter of two partitions, a log that may be slow or away, and a disk that may be full."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch, checkpoint_interval_s: float = 0.0) -> None:
        self.stage = Counter()
        self.told: list[tuple[int, int]] = []
        self.calls = 0
        self.is_away = False
        self.answers = asyncio.Event()
        self.answers.set()
        self.disk_is_full = False
        self.gives_up = False
        self.checkpoints = Checkpoints(root, "tests", ids_horizon=1, bucket_ms=20_000)
        self.threads = Threads()
        self.emitter = Emitter(
            self.stage,
            self.publish,
            self.checkpoints,
            threads=self.threads,
            gives_up=lambda: self.gives_up,
            interval_s=0.0,
            checkpoint_interval_s=checkpoint_interval_s,
        )
        self.emitter.own([0, 1])
        patch.setattr(checkpoints_module, "replace", self.replace)
        patch.setattr(emitter_module, "TICK_S", 0.01)
        patch.setattr(emitter_module, "FIRST_RETRY_S", 0.01)
        patch.setattr(emitter_module, "DISK_RETRY_S", 0.01)
        self._running: asyncio.Task[None] | None = None

    async def publish(self, records: Sequence[Outgoing]) -> None:
        self.calls += 1
        await self.answers.wait()
        if self.is_away:
            raise LogUnavailable("away")
        self.told += [(record.partition or 0, int(record.value)) for record in records]

    def replace(self, path: Path, content: bytes) -> None:
        if self.disk_is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        durable_files.replace(path, content)

    def count(self, partition: int = 0, times: int = 1) -> None:
        for _ in range(times):
            self.stage.count(partition)
        self.emitter.notify()

    def saved(self, partition: int = 0) -> int | None:
        checkpoint = self.checkpoints.newest(LOG, partition)
        return None if checkpoint is None else checkpoint.next_offset

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.emitter.run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def rounds(self, count: int = 3) -> None:
        """Return after so many more rounds have begun to collect or to publish."""
        wanted = self.stage.collected + self.calls + count
        await until(lambda: self.stage.collected + self.calls >= wanted)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    bench = Bench(tmp_path, monkeypatch)
    yield bench
    bench.threads.shutdown()


async def test_checkpoint_waits_until_everything_said_before_it_is_acknowledged(bench: Bench) -> None:
    bench.answers.clear()
    async with bench.running():
        bench.count(times=5)
        await until(lambda: bench.calls == 1)
        await asyncio.sleep(0.05)
        assert bench.saved() is None
        bench.answers.set()
        await until(lambda: bench.saved() == 5)
    assert bench.told == [(0, 5)]


async def test_changes_coalesce_while_a_round_waits_for_the_broker(bench: Bench) -> None:
    """A slow broker makes changes rarer instead of a queue longer."""
    bench.answers.clear()
    async with bench.running():
        bench.count()
        await until(lambda: bench.calls == 1)
        for _ in range(100):
            bench.count()
            await asyncio.sleep(0)
        bench.answers.set()
        await until(lambda: bench.saved() == 101)
    assert bench.told == [(0, 1), (0, 101)]


async def test_news_that_were_not_acknowledged_are_published_again_before_the_checkpoint(bench: Bench) -> None:
    bench.is_away = True
    async with bench.running():
        bench.count(times=3)
        await until(lambda: bench.calls >= 3)
        assert bench.saved() is None
        bench.is_away = False
        await until(lambda: bench.saved() == 3)
    assert bench.told == [(0, 3)]


async def test_round_that_was_given_up_goes_on_with_the_same_news(bench: Bench) -> None:
    """A rebalance ends the waiting; what was said is still owed, and the state that holds it too."""
    bench.is_away = True
    async with bench.running():
        bench.count(times=3)
        await until(lambda: bench.calls >= 1)
        bench.gives_up = True
        await bench.rounds()
        bench.count(times=1)
        assert bench.saved() is None
        bench.is_away = bench.gives_up = False
        await until(lambda: bench.saved() == 4)
    assert bench.told == [(0, 3), (0, 4)]


async def test_disk_that_is_full_delays_checkpoints_and_loses_none(bench: Bench) -> None:
    bench.disk_is_full = True
    async with bench.running():
        bench.count(times=2)
        await until(lambda: bench.told == [(0, 2)])
        await asyncio.sleep(0.05)
        bench.disk_is_full = False
        await until(lambda: bench.saved() == 2)


async def test_what_the_clock_closes_is_saved_before_it_is_told(bench: Bench) -> None:
    """A crash in between must not let the same events meet another watermark."""
    bench.answers.clear()
    async with bench.running():
        bench.stage.resting = [1]
        await until(lambda: bench.calls == 1)
        assert bench.saved(1) == 1
        assert bench.told == []
        bench.answers.set()
        await until(lambda: bench.told == [(1, 1)])


async def test_clock_of_an_idle_partition_goes_on_while_others_are_busy(bench: Bench) -> None:
    """Else one partition without records would keep every window that is merged over all of them."""
    busy = True

    async def keep_busy() -> None:
        while busy:
            bench.count(0)
            await asyncio.sleep(0)

    async with bench.running():
        records = asyncio.create_task(keep_busy())
        bench.stage.resting = [1]
        await until(lambda: bench.saved(1) == 1)
        busy = False
        await records


async def test_what_the_clock_closes_is_not_told_while_the_disk_fails(bench: Bench) -> None:
    bench.disk_is_full = True
    async with bench.running():
        bench.stage.resting = [1]
        await until(lambda: not bench.stage.resting)
        bench.emitter.notify()
        await asyncio.sleep(0.1)
        assert bench.told == []
        bench.disk_is_full = False
        await until(lambda: bench.told == [(1, 1)])
        assert bench.saved(1) == 1


async def test_what_the_clock_closed_is_not_told_on_release_either_while_the_disk_fails(bench: Bench) -> None:
    """The next owner begins at the checkpoint from before, where those windows are open."""
    bench.disk_is_full = True
    async with bench.running():
        bench.stage.resting = [1]
        await until(lambda: not bench.stage.resting)
        await bench.emitter.finish([1])
        bench.disk_is_full = False
        await asyncio.sleep(0.05)
    assert bench.told == []
    assert bench.saved(1) is None


async def test_what_the_clock_closes_is_not_saved_while_older_news_are_unacknowledged(tmp_path: Path) -> None:
    """Its state does not hold the windows that were closed before, so it would be the end of their results."""
    with pytest.MonkeyPatch.context() as patch:
        bench = Bench(tmp_path, patch, checkpoint_interval_s=1e9)
        bench.is_away = True
        async with bench.running():
            bench.count(times=3)
            await until(lambda: bench.calls >= 1)
            bench.gives_up = True
            bench.stage.resting = [0]
            await bench.rounds()
            assert bench.saved() is None
            bench.is_away = bench.gives_up = False
            await until(lambda: bench.told == [(0, 3), (0, 4)])
            assert bench.saved() == 4
        bench.threads.shutdown()


async def test_checkpoints_are_written_no_more_often_than_they_are_due(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        bench = Bench(tmp_path, patch, checkpoint_interval_s=1e9)
        async with bench.running():
            bench.count(times=2)
            await until(lambda: bench.told == [(0, 2)])
            await bench.rounds()
            assert bench.saved() is None
            await bench.emitter.finish([0])
            assert bench.saved() == 2
        bench.threads.shutdown()


async def test_finish_publishes_and_saves_these_partitions_and_no_others(bench: Bench) -> None:
    bench.count(0, times=2)
    bench.count(1, times=3)
    await bench.emitter.finish([0, 7])
    assert bench.told == [(0, 2)]
    assert (bench.saved(0), bench.saved(1)) == (2, None)
    bench.count(0)
    await bench.emitter.finish([0, 1])
    assert bench.told == [(0, 2), (1, 3)]
    assert (bench.saved(0), bench.saved(1)) == (2, 3)


async def test_finish_without_a_broker_saves_nothing_and_does_not_wait(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """The log still has the records; a checkpoint would be the end of what was not told."""
    bench.is_away = bench.gives_up = True
    bench.count(times=2)
    await asyncio.wait_for(bench.emitter.finish([0]), 5)
    assert "unsaved topic=t partitions=[0]" in caplog.text
    bench.is_away = bench.gives_up = False
    async with bench.running():
        bench.count(1)
        await until(lambda: bench.saved(1) == 1)
    assert bench.saved(0) is None


async def test_last_words_of_a_log_are_published_before_its_state_is_removed(bench: Bench) -> None:
    """What a stage says of an incarnation that is over."""
    state = bench.checkpoints.write("old", 0, Checkpoint.empty(TOPIC, 5), None)
    bench.answers.clear()
    async with bench.running():
        bench.emitter.say(Emission([Outgoing(TOPIC, 0, None, b"9")], [Saved(TOPIC, "old", 0, None)]))
        await until(lambda: bench.calls == 1)
        assert state.exists()
        bench.answers.set()
        await until(lambda: not state.parent.exists())
    assert bench.told == [(0, 9)]


async def test_emitter_ends_when_it_is_cancelled_in_the_moment_that_news_come(bench: Bench) -> None:
    """A worker that stops waits for it; `asyncio.wait_for` of Python 3.11 loses a cancellation there."""
    for steps in range(8):
        running = asyncio.create_task(bench.emitter.run())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        bench.emitter.notify()
        for _ in range(steps):
            await asyncio.sleep(0)
        running.cancel()
        done, _ = await asyncio.wait([running], timeout=2)
        assert done, f"still running, cancelled {steps} turns of the loop after the news"
