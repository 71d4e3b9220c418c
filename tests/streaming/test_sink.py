"""The sink lands every offset once, whatever the consumer repeats or drops and wherever it is killed."""

import errno
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from platform_assets.contracts.landing import LandingFile
from platform_assets.contracts.topics import EVENTS
from resources.landing_zone import LandingZone, PartitionTakenOver
from streaming.decoding import SCHEMAS, DecodedBatch, decode_events, decode_events_together
from streaming.incarnations import LogReplaced
from streaming.sink import Admission, FullFile, LandingSink, Limits, Partition
from tests.streaming_records import NOW, event_batch

TOPIC, LOG = EVENTS.name, "log1"
EVERYTHING = Limits(file_rows=1_000_000, file_age_s=1e9, buffer_bytes=1 << 40)


class Landing:
    """A sink over the landing zone of one life of a worker, driven as the pipeline and the lander do it."""

    def __init__(
        self,
        root: Path,
        limits: Limits = EVERYTHING,
        *,
        clock: Callable[[], float] = lambda: 0.0,
        verify: Callable[[Collection[tuple[str, str]]], None] = lambda _: None,
    ) -> None:
        self.zone = LandingZone(root)
        self.sink = LandingSink(self.zone, limits, SCHEMAS, verify=verify, clock=clock)

    def open(self, partition: int = 0, log: str = LOG) -> int:
        """Own a partition; returns where its files end."""
        landed = self.zone.recover(TOPIC, log, partition)
        self.sink.open(TOPIC, log, partition, landed)
        return landed

    def take(self, batch: DecodedBatch) -> Admission:
        return self.sink.take(batch)

    def close(self, partitions: Collection[Partition] = ((TOPIC, 0),)) -> list[LandingFile]:
        """Write what is buffered of these partitions; returns the files."""
        files = self.sink.fill(partitions)
        self.sink.write(files)
        self.sink.landed(files)
        return [full.file for full in files]


def decoded(offsets: list[int], start: int, next_offset: int, partition: int = 0) -> DecodedBatch:
    return decode_events(event_batch(offsets, start=start, next_offset=next_offset, partition=partition), LOG, NOW)


def landed_offsets(root: Path, partition: int = 0) -> list[int]:
    """Every offset in the files of a partition, in file order; the files are checked to follow on each other."""
    zone = LandingZone(root)
    zone.recover(TOPIC, LOG, partition)
    files = [file for file in zone.files(TOPIC, LOG) if file.partition == partition]
    found: list[int] = []
    for file in files:
        offsets = pq.read_table(root / file.path, columns=["kafka_offset"])["kafka_offset"].to_pylist()
        assert all(file.first <= offset <= file.last for offset in offsets)
        found += offsets
    return found


def test_sink_names_the_range_that_a_file_covers_gaps_included(tmp_path: Path) -> None:
    """Offsets that the log skips, at either end too, belong to the file whose batches skipped them."""
    landing = Landing(tmp_path)
    assert landing.open() == 0
    assert landing.take(decoded([2, 5], 0, 8)) is Admission.TAKE
    assert landing.take(decoded([], 8, 11)) is Admission.TAKE
    assert landing.close() == [LandingFile(TOPIC, LOG, 0, 0, 10)]
    assert landed_offsets(tmp_path) == [2, 5]
    assert Landing(tmp_path).open() == 11


def test_sink_writes_no_file_where_nothing_is_new(tmp_path: Path) -> None:
    """Closing twice, or before anything came, leaves the folder alone."""
    landing = Landing(tmp_path)
    landing.open()
    assert landing.close([(TOPIC, 0), (TOPIC, 1)]) == []
    landing.take(decoded([0], 0, 1))
    assert len(landing.close()) == 1
    assert landing.close() == []


def test_sink_refuses_what_does_not_follow_on(tmp_path: Path) -> None:
    """A dropped batch shows as a gap, a repeated one as repeated, an overlapping one is trimmed."""
    landing = Landing(tmp_path)
    assert landing.sink.admission(TOPIC, 0, 0, 5) is Admission.NOT_OWNED
    landing.open()
    assert landing.take(decoded([3], 2, 5)) is Admission.GAP
    assert landing.take(decoded([0, 1, 2], 0, 3)) is Admission.TAKE
    assert landing.take(decoded([0, 1], 0, 2)) is Admission.REPEATED
    assert landing.take(decoded([1, 2, 3, 4], 1, 5)) is Admission.TAKE
    landing.close()
    assert landed_offsets(tmp_path) == [0, 1, 2, 3, 4]


def test_sink_refuses_batches_that_were_decoded_without_rows(tmp_path: Path) -> None:
    """A decoder for windows only on a topic that lands is a mistake in the wiring, not an empty file."""
    landing = Landing(tmp_path)
    landing.open()
    with pytest.raises(TypeError, match="decoded without rows"):
        landing.take(decode_events_together([event_batch([0], start=0, next_offset=1)], LOG, NOW, land=False)[0])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_sink_lands_every_offset_once_under_random_cuts_repeats_drops_and_restarts(data: st.DataObject) -> None:
    """The log is replayed from the sink's position after every disturbance, as the worker does it."""
    stored = sorted(data.draw(st.sets(st.integers(0, 60), max_size=40), label="offsets in the log"))
    end = 61
    with TemporaryDirectory() as folder:
        root = Path(folder)
        landing = Landing(root)
        position = fetched = landing.open()
        under_way: list[FullFile] = []
        for _ in range(400):
            if position >= end:
                break
            start = fetched
            upto = data.draw(st.integers(start + 1, max(start + 1, min(end, start + 15))), label="next offset")
            batch = decoded([offset for offset in stored if start <= offset < upto], start, upto)
            steps = ["take", "take", "take", "repeat", "drop", "close", "begin", "write", "kill"]
            match data.draw(st.sampled_from(steps), label="what"):
                case "take":
                    landing.take(batch)
                case "repeat":
                    landing.take(batch)
                    landing.take(batch)
                case "drop":
                    pass
                case "close":
                    landing.close()
                    continue
                case "begin":
                    under_way = landing.sink.fill([(TOPIC, 0)])
                    continue
                case "write":
                    landing.sink.write(under_way)
                    landing.sink.landed(under_way)
                    under_way = []
                    continue
                case "kill":
                    landing, under_way = Landing(root), []
                    position = fetched = landing.open()
                    continue
            fetched = upto
            owned = landing.sink.find(TOPIC, 0)
            assert owned is not None
            position = owned.position
            if fetched > position or fetched >= end:
                fetched = position
        else:
            assume(False)  # too many disturbances to reach the end
        landing.close()
        landing.close()  # what came behind a file that was under way
        assert landed_offsets(root) == [offset for offset in stored if offset < end]


def test_sink_puts_what_comes_while_a_file_is_written_into_the_next_one(tmp_path: Path) -> None:
    """Decoding goes on beside the disk: the file under way keeps its name and its rows."""
    landing = Landing(tmp_path)
    landing.open()
    landing.take(decoded([0, 1], 0, 2))
    (first,) = landing.sink.fill([(TOPIC, 0)])
    landing.take(decoded([2, 3, 4], 2, 5))
    assert landing.sink.fill([(TOPIC, 0)]) == [first]
    landing.sink.write([first])
    landing.take(decoded([5], 5, 6))
    landing.sink.landed([first])
    assert landing.close() == [LandingFile(TOPIC, LOG, 0, 2, 5)]
    assert landed_offsets(tmp_path) == [0, 1, 2, 3, 4, 5]
    owned = landing.sink.find(TOPIC, 0)
    assert owned is not None
    assert (owned.landed, owned.landed_rows, owned.buffered_bytes) == (6, 6, 0)


def test_sink_counts_the_bytes_that_are_being_written(tmp_path: Path) -> None:
    """They are in memory until the file is durable, so the limit is on both."""
    batch = decoded([0, 1], 0, 2)
    assert batch.rows is not None
    size = batch.rows.nbytes
    landing = Landing(tmp_path, Limits(file_rows=1000, file_age_s=1e9, buffer_bytes=2 * size))
    landing.open()
    assert (landing.sink.is_half_full, landing.sink.has_room) == (False, True)
    landing.take(batch)
    assert (landing.sink.is_half_full, landing.sink.has_room) == (True, True)
    files = landing.sink.fill([(TOPIC, 0)])
    assert landing.sink.buffered_bytes == size
    landing.take(decoded([2, 3], 2, 4))
    assert landing.sink.buffered_bytes == 2 * size
    assert (landing.sink.is_half_full, landing.sink.has_room) == (True, False)
    landing.sink.write(files)
    assert landing.sink.buffered_bytes == 2 * size
    landing.sink.landed(files)
    assert landing.sink.buffered_bytes == size
    assert (landing.sink.is_half_full, landing.sink.has_room) == (True, True)


class Killed(BaseException):
    """Stands for kill -9: nothing after it runs in the sink."""


@contextmanager
def killed_at(step: str, *, after: bool, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Die before or after one of the steps that make a file durable."""
    steps: dict[str, tuple[object, str]] = {
        "write": (pq, "write_table"),
        "sync": (os, "fsync"),
        "rename": (Path, "replace"),
    }
    owner, name = steps[step]
    real = getattr(owner, name)

    def dying(*arguments: object, **options: object) -> object:
        if after:
            real(*arguments, **options)
        raise Killed

    with patch.context() as patched:
        patched.setattr(owner, name, dying)
        # A killed process does not tidy up either.
        patched.setattr(Path, "unlink", lambda *_, **__: None)
        yield


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", ["write", "sync", "rename"])
def test_sink_killed_between_two_steps_recovers_to_exactly_what_is_in_finished_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    """Whatever the step, the next worker finds whole files, a position that follows on them, and no leftovers."""
    landing = Landing(tmp_path)
    landing.open()
    landing.take(decoded([0, 1, 2], 0, 3))
    landing.close()
    landing.take(decoded([3, 4], 3, 5))
    with killed_at(step, after=after, patch=monkeypatch), pytest.raises(Killed):
        landing.close()
    successor = Landing(tmp_path)
    position = successor.open()
    assert position == (5 if (step, after) == ("rename", True) else 3)
    assert not list(tmp_path.rglob("*.tmp"))
    successor.take(decoded(list(range(position, 8)), position, 8))
    successor.close()
    assert landed_offsets(tmp_path) == list(range(8))


@pytest.mark.parametrize("step", ["write_table", "fsync", "replace"])
def test_sink_keeps_its_rows_when_the_disk_is_full_or_failing_and_lands_them_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """An error of any step leaves no half file and no lost row; the same file succeeds when the disk is well again."""
    owner = {"write_table": pq, "fsync": os, "replace": Path}[step]

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    landing = Landing(tmp_path)
    landing.open()
    landing.take(decoded([0, 1], 0, 2))
    before = landing.sink.buffered_bytes
    with monkeypatch.context() as patched:
        patched.setattr(owner, step, full)
        for _ in range(3):
            with pytest.raises(OSError, match="No space"):
                landing.close()
        assert not list(tmp_path.rglob("*.parquet"))
    assert landing.sink.buffered_bytes == before
    assert landing.sink.due() == [(TOPIC, 0)]
    landing.take(decoded([2], 2, 3))
    assert landing.close() == [LandingFile(TOPIC, LOG, 0, 0, 1)]
    assert landing.close() == [LandingFile(TOPIC, LOG, 0, 2, 2)]
    assert landed_offsets(tmp_path) == [0, 1, 2]


def test_sink_goes_on_after_a_failed_sync_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rename had happened: the file is its own work, not another writer's."""
    landing = Landing(tmp_path)
    landing.open()
    landing.take(decoded([0, 1], 0, 2))
    real, calls = os.fsync, iter(range(100))

    def second_fails(descriptor: int) -> None:
        if next(calls) == 1:
            raise OSError(errno.EIO, "Input/output error")
        real(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", second_fails)
        with pytest.raises(OSError, match="Input/output"):
            landing.close()
    landing.close()
    landing.take(decoded([2], 2, 3))
    landing.close()
    assert landed_offsets(tmp_path) == [0, 1, 2]


def test_sink_writes_again_all_files_of_an_attempt_that_failed_half_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two partitions one was written before the disk failed: the second try finds it and lands the other."""
    landing = Landing(tmp_path)
    for partition in (0, 1):
        landing.open(partition)
        landing.take(decoded([0, 1], 0, 2, partition=partition))
    real, calls = pq.write_table, iter(range(100))

    def second_fails(*arguments: object, **options: object) -> None:
        if next(calls) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(*arguments, **options)

    both = [(TOPIC, 0), (TOPIC, 1)]
    with monkeypatch.context() as patched:
        patched.setattr(pq, "write_table", second_fails)
        with pytest.raises(OSError, match="No space"):
            landing.close(both)
    assert len(landing.close(both)) == 2
    assert landed_offsets(tmp_path, 0) == landed_offsets(tmp_path, 1) == [0, 1]


def test_sink_closes_files_by_rows_by_age_and_by_the_bytes_of_all_partitions(tmp_path: Path) -> None:
    """Each limit alone makes a partition due; of too many bytes, half of the limit, the largest buffers go first."""
    now = 0.0
    one = decoded([0], 0, 1).rows
    assert one is not None
    limits = Limits(file_rows=10, file_age_s=2.0, buffer_bytes=60 * one.nbytes)
    landing = Landing(tmp_path, limits, clock=lambda: now)
    for partition in range(6):
        landing.open(partition)
    landing.take(decoded(list(range(10)), 0, 10, partition=0))
    landing.take(decoded([0], 0, 1, partition=1))
    assert landing.sink.due() == [(TOPIC, 0)]
    now = 2.0
    assert set(landing.sink.due()) == {(TOPIC, 0), (TOPIC, 1)}
    landing.close(landing.sink.due())
    assert landing.sink.due() == []
    for partition, count in ((2, 9), (3, 9), (4, 9), (5, 8)):
        landing.take(decoded(list(range(count)), 0, count, partition=partition))
    (largest,) = landing.sink.due()
    assert largest in {(TOPIC, 2), (TOPIC, 3), (TOPIC, 4)}


def test_sink_measures_the_age_of_a_file_from_the_first_batch_of_its_own(tmp_path: Path) -> None:
    """What comes behind a file that is being written starts a clock of its own; a batch without rows does too."""
    now = 0.0
    landing = Landing(tmp_path, Limits(file_rows=1000, file_age_s=2.0, buffer_bytes=1 << 40), clock=lambda: now)
    landing.open()
    landing.take(decoded([], 0, 3))
    now = 1.9
    assert landing.sink.due() == []
    now = 2.0
    files = landing.sink.fill(landing.sink.due())
    landing.take(decoded([3], 3, 4))
    landing.sink.write(files)
    landing.sink.landed(files)
    now = 3.9
    assert landing.sink.due() == []
    now = 4.0
    assert landing.sink.due() == [(TOPIC, 0)]


@pytest.mark.parametrize("owner_has_landed", [False, True])
def test_sink_never_writes_over_another_writer_s_files(tmp_path: Path, owner_has_landed: bool) -> None:
    """A worker that slept through the loss of its partitions stops: no file overlaps one of the new owner's."""
    sleeper, owner = Landing(tmp_path), Landing(tmp_path)
    sleeper.open()
    sleeper.take(decoded([0, 1], 0, 2))
    owner.open()
    owner.take(decoded([0, 1, 2], 0, 3))
    if owner_has_landed:
        owner.close()
    with pytest.raises(PartitionTakenOver, match=r"[Aa]nother worker"):
        sleeper.close()
    owner.close()
    assert landed_offsets(tmp_path) == [0, 1, 2]


def test_sink_writes_nothing_of_a_log_that_was_replaced(tmp_path: Path) -> None:
    """An offset means nothing under another incarnation: rows that may be of either are not written."""

    def replaced(_: Collection[tuple[str, str]]) -> None:
        raise LogReplaced("gone")

    landing = Landing(tmp_path, verify=replaced)
    landing.open()
    landing.take(decoded([0], 0, 1))
    with pytest.raises(LogReplaced):
        landing.close()
    assert landed_offsets(tmp_path) == []
    assert landing.open(log="log2") == 0
    assert landing.take(decoded([0], 0, 1)) is Admission.NOT_OWNED
    assert landing.sink.position(TOPIC, 0, LOG) is None
    assert landing.sink.position(TOPIC, 0, "log2") == 0


def test_sink_forgets_a_file_of_an_incarnation_that_was_replaced_meanwhile(tmp_path: Path) -> None:
    """It was written while the partition was opened anew: the new one's position does not move by it."""
    landing = Landing(tmp_path)
    landing.open()
    landing.take(decoded([0, 1], 0, 2))
    files = landing.sink.fill([(TOPIC, 0)])
    landing.sink.write(files)
    landing.open(log="log2")
    landing.sink.landed(files)
    owned = landing.sink.find(TOPIC, 0)
    assert owned is not None
    assert (owned.log, owned.landed, owned.position) == ("log2", 0, 0)


def test_sink_reports_what_it_lets_go_unlanded(tmp_path: Path) -> None:
    """Released offsets that are in no file are counted, those on their way to one too; the next owner reads them."""
    landing = Landing(tmp_path)
    landing.open()
    landing.take(decoded([0, 1], 0, 4))
    landing.sink.fill([(TOPIC, 0)])
    landing.take(decoded([], 4, 6))
    assert landing.sink.release([(TOPIC, 0), (TOPIC, 9)]) == 6
    assert landing.sink.owned == ()
