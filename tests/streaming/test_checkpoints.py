"""A checkpoint comes back as it was, and one that cannot be read costs a longer replay and nothing else."""

import errno
import math
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.contracts.windows import Aggregate, AggregateFunction
from platform_assets.windows.accumulators import Accumulators
from platform_assets.windows.columns import Hashes
from platform_assets.windows.watermark import BEFORE_ALL
from streaming import checkpoints as checkpoints_module
from streaming.checkpoints import Checkpoint, Checkpoints, CheckpointsDamaged, SavedIds, SavedTable

TOPIC, LOG = "events.v1", "log1"
HORIZON = 3
BUCKET_MS = 20_000


def kept(root: Path, bucket_ms: int = BUCKET_MS) -> Checkpoints:
    return Checkpoints(root, "tests", ids_horizon=HORIZON, bucket_ms=bucket_ms)


def folder(root: Path, partition: int = 0) -> Path:
    return root / "state" / "tests" / f"log={LOG}" / f"part={partition}"


def at_offset(next_offset: int) -> Checkpoint:
    return Checkpoint(TOPIC, next_offset, 1000 + next_offset)


def hashes(*values: int) -> Hashes:
    return np.array(values, dtype=np.uint64)


def as_lists(buckets: list[tuple[int, Hashes]]) -> list[tuple[int, list[int]]]:
    return [(number, sorted(found.tolist())) for number, found in buckets]


def test_checkpoint_comes_back_with_columns_of_every_type(tmp_path: Path) -> None:
    """Null keys, empty strings, infinities of empty minima, the least watermark, hashes above 2^63, umlauts."""
    columns = {
        "key": [None, "", "Grüße", "None"],
        "start_ms": np.array([-1, 0, 2**62, int(BEFORE_ALL)], dtype=np.int64),
        "sums:price": np.array([0.1, -0.0, math.inf, 1e308]),
        "minima:price": np.array([math.inf, 1.0, 2.0, -math.inf]),
        "sketch:shoppers": [b"\x00\xff", None, b"", b"x"],
        "sketch:empty": [None, None, None, None],
        "hash": np.array([0, 1, 2**63, 2**64 - 1], dtype=np.uint64),
    }
    saved = Checkpoint(TOPIC, 7, int(BEFORE_ALL), {"first": SavedTable("f1", columns)}, 123)
    kept(tmp_path).write(LOG, 0, saved, None)
    found = kept(tmp_path).newest(LOG, 0)
    assert found is not None
    assert (found.topic, found.next_offset, found.watermark_ms, found.clock_ms) == (TOPIC, 7, BEFORE_ALL, 123)
    table = found.tables["first"]
    assert table.definition == "f1"
    assert list(table.columns) == list(columns)
    for name, values in columns.items():
        if isinstance(values, np.ndarray):
            assert table.columns[name].dtype == values.dtype
            assert table.columns[name].tobytes() == values.tobytes()
        else:
            assert table.columns[name] == values


def test_checkpoint_comes_back_with_tables_that_have_no_rows(tmp_path: Path) -> None:
    """A worker that has just started has windows of every definition, and none of them is open."""
    aggregates = [
        Aggregate(name="total", function=AggregateFunction.SUM, field="price"),
        Aggregate(name="median", function=AggregateFunction.QUANTILE, field="price", quantile=0.5),
    ]
    nothing = np.empty(0, dtype=np.int64)
    columns = {"key": [], "start_ms": nothing, "end_ms": nothing, **Accumulators(aggregates).state(nothing)}
    kept(tmp_path).write(LOG, 0, Checkpoint(TOPIC, 3, 5, {"first": SavedTable("f", columns)}), None)
    found = kept(tmp_path).newest(LOG, 0)
    assert found is not None
    assert {name: len(values) for name, values in found.tables["first"].columns.items()} == dict.fromkeys(columns, 0)


def test_checkpoint_without_tables_is_where_counting_begins(tmp_path: Path) -> None:
    kept(tmp_path).write(LOG, 0, Checkpoint.empty(TOPIC, 100), None)
    assert kept(tmp_path).newest(LOG, 0) == Checkpoint.empty(TOPIC, 100)
    assert kept(tmp_path).newest(LOG, 1) is None
    assert kept(tmp_path).newest("another", 0) is None
    assert kept(tmp_path).ids_until(LOG, 0, 100) == []


def test_last_two_checkpoints_are_kept(tmp_path: Path) -> None:
    checkpoints = kept(tmp_path)
    for next_offset in (5, 9, 1000, 1001):
        checkpoints.write(LOG, 0, at_offset(next_offset), None)
    names = sorted(int(path.stem) for path in folder(tmp_path).glob("*.arrow"))
    assert names == [1000, 1001]
    assert checkpoints.newest(LOG, 0) == at_offset(1001)


def test_checkpoint_at_the_same_offset_replaces_the_one_before(tmp_path: Path) -> None:
    """The clock has moved the watermark on, and no record has come."""
    checkpoints = kept(tmp_path)
    checkpoints.write(LOG, 0, at_offset(5), None)
    checkpoints.write(LOG, 0, Checkpoint(TOPIC, 5, 99_999), None)
    assert checkpoints.newest(LOG, 0) == Checkpoint(TOPIC, 5, 99_999)
    assert len(list(folder(tmp_path).glob("*.arrow"))) == 1


@pytest.mark.parametrize("damage", ["empty", "cut", "junk", "flipped"])
def test_checkpoint_that_cannot_be_read_gives_way_to_the_one_before(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever a disk did to it; the log line names the file."""
    checkpoints = kept(tmp_path)
    columns = {"key": ["a"] * 50, "events": np.arange(50)}
    checkpoints.write(LOG, 0, at_offset(5), None)
    path = checkpoints.write(LOG, 0, Checkpoint(TOPIC, 9, 0, {"first": SavedTable("f", columns)}), None)
    content = path.read_bytes()
    if damage == "flipped":
        # The end of the stream is a marker of its own; what is before it are the compressed columns.
        middle = len(content) * 3 // 4
        content = (
            content[:middle] + bytes(255 - byte for byte in content[middle : middle + 64]) + content[middle + 64 :]
        )
    path.write_bytes({"empty": b"", "cut": content[: len(content) // 2], "junk": b"junk" * 100}.get(damage, content))
    assert checkpoints.newest(LOG, 0) == at_offset(5)
    assert str(path) in caplog.text


def test_checkpoint_whose_ids_cannot_be_read_gives_way_to_the_one_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Without them repeated events would count twice; the replay brings them again and writes them anew."""
    checkpoints = kept(tmp_path)
    checkpoints.write(LOG, 0, at_offset(5), SavedIds(0, 5, [(1, hashes(1))]))
    checkpoints.write(LOG, 0, at_offset(9), SavedIds(5, 9, [(1, hashes(2))]))
    damaged = folder(tmp_path) / "ids" / f"{5:020d}-{8:020d}.arrow"
    damaged.write_bytes(damaged.read_bytes()[:40])
    assert checkpoints.newest(LOG, 0) == at_offset(5)
    assert "checkpoint_unreadable" in caplog.text
    checkpoints.write(LOG, 0, at_offset(9), SavedIds(5, 9, [(1, hashes(2))]))
    assert checkpoints.newest(LOG, 0) == at_offset(9)
    assert as_lists(checkpoints.ids_until(LOG, 0, 9)) == [(1, [1, 2])]


def test_checkpoints_of_which_none_can_be_read_are_an_error_with_the_remedy(tmp_path: Path) -> None:
    """To begin anew would be to lose what the windows held, in silence."""
    checkpoints = kept(tmp_path)
    for next_offset in (5, 9):
        checkpoints.write(LOG, 0, at_offset(next_offset), None).write_bytes(b"junk")
    with pytest.raises(CheckpointsDamaged, match="Restore the folder, or remove it"):
        checkpoints.newest(LOG, 0)


def test_checkpoints_go_on_below_one_that_cannot_be_read(tmp_path: Path) -> None:
    """The replay passes its offset in time; until then the readable ones count."""
    checkpoints = kept(tmp_path)
    checkpoints.write(LOG, 0, at_offset(5), None)
    checkpoints.write(LOG, 0, at_offset(20), None).write_bytes(b"junk")
    for next_offset in (8, 12, 20, 30):
        checkpoints.write(LOG, 0, at_offset(next_offset), None)
        assert checkpoints.newest(LOG, 0) == at_offset(next_offset)


def test_checkpoint_that_fails_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk at either of the two files: the state that is there has all of its ids."""
    checkpoints = kept(tmp_path)
    checkpoints.write(LOG, 0, at_offset(5), SavedIds(0, 5, [(1, hashes(1, 2))]))
    real = checkpoints_module.replace  # type: ignore[attr-defined]  # imported there
    for failing in (1, 2):
        calls = 0

        def fails(path: Path, content: bytes, failing: int = failing) -> None:
            nonlocal calls
            calls += 1
            if calls == failing:
                raise OSError(errno.ENOSPC, "No space left on device")
            real(path, content)

        with monkeypatch.context() as patched:
            patched.setattr(checkpoints_module, "replace", fails)
            with pytest.raises(OSError, match="No space"):
                checkpoints.write(LOG, 0, at_offset(9), SavedIds(5, 9, [(1, hashes(3))]))
        assert checkpoints.newest(LOG, 0) == at_offset(5)
        assert as_lists(checkpoints.ids_until(LOG, 0, 5)) == [(1, [1, 2])]
    checkpoints.write(LOG, 0, at_offset(9), SavedIds(5, 9, [(1, hashes(3))]))
    assert as_lists(checkpoints.ids_until(LOG, 0, 9)) == [(1, [1, 2, 3])]


def test_ids_of_consecutive_checkpoints_add_up_by_bucket(tmp_path: Path) -> None:
    checkpoints = kept(tmp_path)
    checkpoints.write(LOG, 0, at_offset(5), SavedIds(0, 5, [(10, hashes(1)), (11, hashes(2**64 - 1))]))
    checkpoints.write(LOG, 0, at_offset(6), SavedIds(5, 6, []))
    checkpoints.write(LOG, 0, at_offset(9), SavedIds(6, 9, [(11, hashes(3)), (12, hashes(4))]))
    found = checkpoints.ids_until(LOG, 0, 9)
    assert as_lists(found) == [(10, [1]), (11, [3, 2**64 - 1]), (12, [4])]
    assert all(array.dtype == np.uint64 for _, array in found)
    assert as_lists(checkpoints.ids_until(LOG, 0, 5)) == [(10, [1]), (11, [2**64 - 1])]


def test_ids_past_the_horizon_are_not_read_back(tmp_path: Path) -> None:
    """Buckets up to three before the newest; nothing before a file that is past it as a whole is opened."""
    checkpoints = kept(tmp_path)
    (folder(tmp_path) / "ids").mkdir(parents=True)
    (folder(tmp_path) / "ids" / f"{0:020d}-{1:020d}.arrow").write_bytes(b"junk")
    checkpoints.write(LOG, 0, at_offset(4), SavedIds(2, 4, [(5, hashes(1)), (6, hashes(2))]))
    checkpoints.write(LOG, 0, at_offset(6), SavedIds(4, 6, [(6, hashes(3)), (7, hashes(4))]))
    checkpoints.write(LOG, 0, at_offset(9), SavedIds(6, 9, [(10, hashes(5))]))
    assert as_lists(checkpoints.ids_until(LOG, 0, 9)) == [(7, [4]), (10, [5])]


def test_ids_of_longer_buckets_are_kept_until_the_end_of_theirs(tmp_path: Path) -> None:
    """A worker that was upgraded goes on with the ids of the one before it, and forgets none of them too early."""
    kept(tmp_path, 2 * BUCKET_MS).write(LOG, 0, at_offset(5), SavedIds(0, 5, [(4, hashes(1)), (5, hashes(2))]))
    assert as_lists(kept(tmp_path).ids_until(LOG, 0, 5)) == [(9, [1]), (11, [2])]


def test_ids_of_a_file_that_names_no_length_are_of_buckets_of_40_s(tmp_path: Path) -> None:
    """As the files of earlier releases are."""
    kept(tmp_path).write(LOG, 0, at_offset(5), SavedIds(0, 5, [(4, hashes(1)), (5, hashes(2))]))
    (path,) = (folder(tmp_path) / "ids").iterdir()
    rows = pa.ipc.open_stream(path.read_bytes()).read_all().replace_schema_metadata(None)
    with pa.ipc.new_stream(str(path), rows.schema) as writer:
        writer.write_table(rows)
    assert as_lists(kept(tmp_path).ids_until(LOG, 0, 5)) == [(9, [1]), (11, [2])]


def test_ids_of_a_life_that_did_not_get_far_are_ignored(tmp_path: Path) -> None:
    """It died between its ids and its state; the next one went on from the checkpoint before, by other steps."""
    checkpoints = kept(tmp_path)
    checkpoints.write(LOG, 0, at_offset(5), SavedIds(0, 5, [(1, hashes(1))]))
    dead = checkpoints.write(LOG, 0, at_offset(12), SavedIds(5, 12, [(1, hashes(2, 3))]))
    dead.unlink()
    assert as_lists(checkpoints.ids_until(LOG, 0, 5)) == [(1, [1])]
    checkpoints.write(LOG, 0, at_offset(8), SavedIds(5, 8, [(1, hashes(2))]))
    assert as_lists(checkpoints.ids_until(LOG, 0, 8)) == [(1, [1, 2])]
    checkpoints.write(LOG, 0, at_offset(15), SavedIds(8, 15, [(1, hashes(3, 4))]))
    assert as_lists(checkpoints.ids_until(LOG, 0, 15)) == [(1, [1, 2, 3, 4])]


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_ids_of_any_lives_are_those_that_the_log_brought_up_to_the_checkpoint(data: st.DataObject) -> None:
    """Each offset brings one id; lives die before or after the state, and go on from the newest one that is there."""
    with TemporaryDirectory() as name:
        checkpoints = kept(Path(name))
        checkpoints.write(LOG, 0, at_offset(0), None)
        for _ in range(data.draw(st.integers(1, 8))):
            newest = checkpoints.newest(LOG, 0)
            assert newest is not None
            position = newest.next_offset
            for _ in range(data.draw(st.integers(0, 3))):
                upto = position + data.draw(st.integers(1, 4))
                brought = np.arange(position + 1, upto + 1, dtype=np.uint64)
                path = checkpoints.write(LOG, 0, at_offset(upto), SavedIds(position, upto, [(1, brought)]))
                if data.draw(st.booleans()):
                    path.unlink()
                    break
                position = upto
            newest = checkpoints.newest(LOG, 0)
            assert newest is not None
            found = checkpoints.ids_until(LOG, 0, newest.next_offset)
            wanted = [(1, list(range(1, newest.next_offset + 1)))] if newest.next_offset else []
            assert as_lists(found) == wanted


def test_id_files_that_hold_nothing_above_an_offset_are_removed(tmp_path: Path) -> None:
    checkpoints = kept(tmp_path)
    for first in (0, 5, 10):
        checkpoints.write(LOG, 0, at_offset(first + 5), SavedIds(first, first + 5, [(first, hashes(first + 1))]))
    checkpoints.prune_ids(LOG, 0, 9)
    assert len(list((folder(tmp_path) / "ids").iterdir())) == 2
    checkpoints.prune_ids(LOG, 0, 10)
    assert [path.name[:20] for path in (folder(tmp_path) / "ids").iterdir()] == [f"{10:020d}"]
    checkpoints.prune_ids(LOG, 7, 10)


def test_unfinished_incarnations_of_a_topic_are_found_by_partition_and_removed(tmp_path: Path) -> None:
    """A broker that forgot its log left their windows open."""
    checkpoints = kept(tmp_path)
    for log, topic, partition in (
        ("old", TOPIC, 0),
        ("older", TOPIC, 0),
        ("old", TOPIC, 1),
        ("other", "windows.partials.v1", 0),
        (LOG, TOPIC, 0),
    ):
        checkpoints.write(log, partition, Checkpoint.empty(topic, 3), SavedIds(0, 3, [(1, hashes(1))]))
    assert [log for log, _ in checkpoints.unfinished(TOPIC, LOG, 0)] == ["old", "older"]
    checkpoints.remove("old", 0)
    assert [log for log, _ in checkpoints.unfinished(TOPIC, LOG, 0)] == ["older"]
    assert [log for log, _ in checkpoints.unfinished(TOPIC, LOG, 1)] == ["old"]
    checkpoints.remove("old", 1)
    assert not (tmp_path / "state" / "tests" / "log=old").exists()
    checkpoints.remove("never was", 0)
