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
from streaming.decoding import SCHEMAS, DecodedBatch, decode_events
from streaming.incarnations import LogReplaced
from streaming.sink import Admission, LandingSink, Limits
from tests.streaming_records import NOW, event_batch

TOPIC, LOG = EVENTS.name, "log1"
EVERYTHING = Limits(file_rows=1_000_000, file_age_s=1e9, buffer_bytes=1 << 40)


def a_sink(
    root: Path,
    limits: Limits = EVERYTHING,
    *,
    clock: Callable[[], float] = lambda: 0.0,
    verify: Callable[[Collection[tuple[str, str]]], None] = lambda _: None,
) -> LandingSink:
    return LandingSink(LandingZone(root), limits, SCHEMAS, verify=verify, clock=clock)


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
    sink = a_sink(tmp_path)
    assert sink.open(TOPIC, LOG, 0) == 0
    assert sink.take(decoded([2, 5], 0, 8)) is Admission.TAKE
    assert sink.take(decoded([], 8, 11)) is Admission.TAKE
    assert sink.close([(TOPIC, 0)]) == [LandingFile(TOPIC, LOG, 0, 0, 10)]
    assert landed_offsets(tmp_path) == [2, 5]
    assert a_sink(tmp_path).open(TOPIC, LOG, 0) == 11


def test_sink_writes_no_file_where_nothing_is_new(tmp_path: Path) -> None:
    """Closing twice, or before anything came, leaves the folder alone."""
    sink = a_sink(tmp_path)
    sink.open(TOPIC, LOG, 0)
    assert sink.close([(TOPIC, 0), (TOPIC, 1)]) == []
    sink.take(decoded([0], 0, 1))
    assert len(sink.close([(TOPIC, 0)])) == 1
    assert sink.close([(TOPIC, 0)]) == []


def test_sink_refuses_what_does_not_follow_on(tmp_path: Path) -> None:
    """A dropped batch shows as a gap, a repeated one as repeated, an overlapping one is trimmed."""
    sink = a_sink(tmp_path)
    assert sink.admission(TOPIC, 0, 0, 5) is Admission.NOT_OWNED
    sink.open(TOPIC, LOG, 0)
    assert sink.take(decoded([3], 2, 5)) is Admission.GAP
    assert sink.take(decoded([0, 1, 2], 0, 3)) is Admission.TAKE
    assert sink.take(decoded([0, 1], 0, 2)) is Admission.REPEATED
    assert sink.take(decoded([1, 2, 3, 4], 1, 5)) is Admission.TAKE
    sink.close([(TOPIC, 0)])
    assert landed_offsets(tmp_path) == [0, 1, 2, 3, 4]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_sink_lands_every_offset_once_under_random_cuts_repeats_drops_and_restarts(data: st.DataObject) -> None:
    """The log is replayed from the sink's position after every disturbance, as the worker does it."""
    stored = sorted(data.draw(st.sets(st.integers(0, 60), max_size=40), label="offsets in the log"))
    end = 61
    with TemporaryDirectory() as folder:
        root = Path(folder)
        sink = a_sink(root)
        position = fetched = sink.open(TOPIC, LOG, 0)
        for _ in range(400):
            if position >= end:
                break
            start = fetched
            upto = data.draw(st.integers(start + 1, max(start + 1, min(end, start + 15))), label="next offset")
            batch = decoded([offset for offset in stored if start <= offset < upto], start, upto)
            match data.draw(st.sampled_from(["take", "take", "take", "repeat", "drop", "close", "kill"]), label="what"):
                case "take":
                    sink.take(batch)
                case "repeat":
                    sink.take(batch)
                    sink.take(batch)
                case "drop":
                    pass
                case "close":
                    sink.close([(TOPIC, 0)])
                    continue
                case "kill":
                    sink = a_sink(root)
                    position = fetched = sink.open(TOPIC, LOG, 0)
                    continue
            fetched = upto
            owned = sink.find(TOPIC, 0)
            assert owned is not None
            position = owned.position
            if fetched > position or fetched >= end:
                fetched = position
        else:
            assume(False)  # too many disturbances to reach the end
        sink.close([(TOPIC, 0)])
        assert landed_offsets(root) == [offset for offset in stored if offset < end]


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
    sink = a_sink(tmp_path)
    sink.open(TOPIC, LOG, 0)
    sink.take(decoded([0, 1, 2], 0, 3))
    sink.close([(TOPIC, 0)])
    sink.take(decoded([3, 4], 3, 5))
    with killed_at(step, after=after, patch=monkeypatch), pytest.raises(Killed):
        sink.close([(TOPIC, 0)])
    successor = a_sink(tmp_path)
    position = successor.open(TOPIC, LOG, 0)
    assert position == (5 if (step, after) == ("rename", True) else 3)
    assert not list(tmp_path.rglob("*.tmp"))
    successor.take(decoded(list(range(position, 8)), position, 8))
    successor.close([(TOPIC, 0)])
    assert landed_offsets(tmp_path) == list(range(8))


@pytest.mark.parametrize("step", ["write_table", "fsync", "replace"])
def test_sink_keeps_its_rows_when_the_disk_is_full_or_failing_and_lands_them_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """An error of any step leaves no half file and no lost row; the same call succeeds when the disk is well again."""
    owner = {"write_table": pq, "fsync": os, "replace": Path}[step]

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    sink = a_sink(tmp_path)
    sink.open(TOPIC, LOG, 0)
    sink.take(decoded([0, 1], 0, 2))
    with monkeypatch.context() as patched:
        patched.setattr(owner, step, full)
        for _ in range(3):
            with pytest.raises(OSError, match="No space"):
                sink.close([(TOPIC, 0)])
        assert not list(tmp_path.rglob("*.parquet"))
    sink.take(decoded([2], 2, 3))
    sink.close([(TOPIC, 0)])
    assert landed_offsets(tmp_path) == [0, 1, 2]


def test_sink_goes_on_after_a_failed_sync_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rename had happened: the file is its own work, not another writer's."""
    sink = a_sink(tmp_path)
    sink.open(TOPIC, LOG, 0)
    sink.take(decoded([0, 1], 0, 2))
    real, calls = os.fsync, iter(range(100))

    def second_fails(descriptor: int) -> None:
        if next(calls) == 1:
            raise OSError(errno.EIO, "Input/output error")
        real(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", second_fails)
        with pytest.raises(OSError, match="Input/output"):
            sink.close([(TOPIC, 0)])
    sink.close([(TOPIC, 0)])
    sink.take(decoded([2], 2, 3))
    sink.close([(TOPIC, 0)])
    assert landed_offsets(tmp_path) == [0, 1, 2]


def test_sink_closes_files_by_rows_by_age_and_by_the_bytes_of_all_partitions(tmp_path: Path) -> None:
    """Each limit alone makes a partition due; of too many bytes, the largest buffers go first."""
    now = 0.0
    rows = decoded([0], 0, 1).rows.nbytes
    sink = a_sink(tmp_path, Limits(file_rows=10, file_age_s=2.0, buffer_bytes=30 * rows), clock=lambda: now)
    for partition in range(6):
        sink.open(TOPIC, LOG, partition)
    sink.take(decoded(list(range(10)), 0, 10, partition=0))
    sink.take(decoded([0], 0, 1, partition=1))
    assert sink.due() == [(TOPIC, 0)]
    now = 2.0
    assert set(sink.due()) == {(TOPIC, 0), (TOPIC, 1)}
    sink.close(sink.due())
    assert sink.due() == []
    for partition, count in ((2, 9), (3, 9), (4, 9), (5, 8)):
        sink.take(decoded(list(range(count)), 0, count, partition=partition))
    (largest,) = sink.due()
    assert largest in {(TOPIC, 2), (TOPIC, 3), (TOPIC, 4)}


def test_sink_never_writes_over_another_writer_s_files(tmp_path: Path) -> None:
    """A worker that slept through the loss of its partitions finds newer files and stops: no file overlaps another."""
    sleeper, owner = a_sink(tmp_path), a_sink(tmp_path)
    for sink in (sleeper, owner):
        sink.open(TOPIC, LOG, 0)
    sleeper.take(decoded([0, 1], 0, 2))
    owner.take(decoded([0, 1, 2], 0, 3))
    owner.close([(TOPIC, 0)])
    with pytest.raises(PartitionTakenOver, match="Another worker"):
        sleeper.close([(TOPIC, 0)])
    assert landed_offsets(tmp_path) == [0, 1, 2]


def test_sink_writes_nothing_of_a_log_that_was_replaced(tmp_path: Path) -> None:
    """An offset means nothing under another incarnation: rows that may be of either are not written."""

    def replaced(_: Collection[tuple[str, str]]) -> None:
        raise LogReplaced("gone")

    sink = a_sink(tmp_path, verify=replaced)
    sink.open(TOPIC, LOG, 0)
    sink.take(decoded([0], 0, 1))
    with pytest.raises(LogReplaced):
        sink.close([(TOPIC, 0)])
    assert landed_offsets(tmp_path) == []
    assert sink.open(TOPIC, "log2", 0) == 0
    assert sink.take(decoded([0], 0, 1)) is Admission.NOT_OWNED


def test_sink_reports_what_it_lets_go_unlanded(tmp_path: Path) -> None:
    """Released offsets that are in no file are counted; the next owner reads them again."""
    sink = a_sink(tmp_path)
    sink.open(TOPIC, LOG, 0)
    sink.take(decoded([0, 1], 0, 4))
    assert sink.release([(TOPIC, 0), (TOPIC, 9)]) == 4
    assert sink.owned == ()
