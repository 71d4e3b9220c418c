"""The landing zone: the finished names alone say what has landed."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from platform_assets.contracts.landing import EVENT_COLUMNS, LandingFile
from resources.landing_zone import LandingZone, LandingZoneDamaged, PartitionTakenOver, arrow_schema


def table(rows: int) -> pa.Table:
    return pa.table({"kafka_offset": pa.array(range(rows), pa.int64())})


def landed(zone: LandingZone, first: int, last: int, partition: int = 0) -> Path:
    return zone.write(table(last - first + 1), LandingFile("events.v1", "log-a", partition, first, last))


def test_next_offset_follows_the_last_file(tmp_path: Path) -> None:
    zone = LandingZone(tmp_path)
    assert zone.next_offset("events.v1", "log-a", 0) == 0
    landed(zone, 0, 9)
    landed(zone, 10, 14)
    assert zone.next_offset("events.v1", "log-a", 0) == 15
    assert zone.next_offset("events.v1", "log-b", 0) == 0


def test_recover_removes_half_written_files_and_goes_on_after_the_last_whole_one(tmp_path: Path) -> None:
    zone = LandingZone(tmp_path)
    whole = landed(zone, 0, 9)
    leftover = whole.parent / f".{'0' * 18}10-{'0' * 18}19.parquet.1.tmp"
    leftover.write_bytes(b"half")
    assert zone.recover("events.v1", "log-a", 0) == 10
    assert not leftover.exists()


@pytest.mark.parametrize("second", [(11, 20), (9, 20)])
def test_recover_refuses_a_gap_or_an_overlap(tmp_path: Path, second: tuple[int, int]) -> None:
    zone = LandingZone(tmp_path)
    landed(zone, 0, 9)
    landed(zone, *second)
    with pytest.raises(LandingZoneDamaged, match="offset 10 should come next"):
        zone.recover("events.v1", "log-a", 0)


def test_recover_shuts_out_the_writer_before(tmp_path: Path) -> None:
    """Whoever recovers last may write; a file that another one has half done never gets a finished name."""
    sleeper, successor = LandingZone(tmp_path), LandingZone(tmp_path)
    assert sleeper.recover("events.v1", "log-a", 0) == 0
    landed(sleeper, 0, 9)
    assert successor.recover("events.v1", "log-a", 0) == 10
    with pytest.raises(PartitionTakenOver, match="offsets 10 to 30"):
        landed(sleeper, 10, 30)
    landed(successor, 10, 19)
    assert sleeper.recover("events.v1", "log-a", 0) == 20
    with pytest.raises(PartitionTakenOver, match="offsets 20 to 29"):
        landed(successor, 20, 29)
    assert len(list(tmp_path.rglob(".*"))) == 1  # only the folder of the writer in force


def test_recover_shuts_out_a_writer_between_its_last_look_and_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The moment that no look at the names can protect: the process sleeps right before the rename."""
    sleeper, successor = LandingZone(tmp_path), LandingZone(tmp_path)
    sleeper.recover("events.v1", "log-a", 0)
    rename = Path.replace

    def asleep(temporary: Path, target: Path) -> Path:
        monkeypatch.undo()
        assert successor.recover("events.v1", "log-a", 0) == 0
        landed(successor, 0, 4)
        return rename(temporary, target)

    monkeypatch.setattr(Path, "replace", asleep)
    with pytest.raises(PartitionTakenOver):
        landed(sleeper, 0, 9)
    assert successor.check("events.v1", "log-a", 0) == 5


def test_check_changes_nothing(tmp_path: Path) -> None:
    writer = LandingZone(tmp_path)
    writer.recover("events.v1", "log-a", 0)
    landed(writer, 0, 9)
    assert LandingZone(tmp_path).check("events.v1", "log-a", 0) == 10
    landed(writer, 10, 19)


@pytest.mark.parametrize("remaining", [0, 3, 11, 100, -1])
def test_recover_sets_a_torn_last_file_aside(tmp_path: Path, remaining: int) -> None:
    """It was finished and the disk lost its end; the log has its offsets."""
    zone = LandingZone(tmp_path)
    landed(zone, 0, 9)
    torn = landed(zone, 10, 19)
    torn.write_bytes(torn.read_bytes()[:remaining])
    assert zone.recover("events.v1", "log-a", 0) == 10
    assert [file.first for file in zone.files("events.v1")] == [0]
    assert landed(zone, 10, 25).exists()


def test_recover_goes_back_to_a_torn_file_in_the_middle(tmp_path: Path) -> None:
    """What follows it is set aside too, since offsets land in order; no content is deleted."""
    zone = LandingZone(tmp_path)
    for first in (0, 10, 20):
        landed(zone, first, first + 9)
    middle = next(path for path in tmp_path.rglob("*10-*19.parquet"))
    middle.write_bytes(b"")
    assert zone.recover("events.v1", "log-a", 0) == 10
    assert len(list(tmp_path.rglob(".torn-*.parquet"))) == 2


def test_recover_falls_back_on_superseded_files_where_the_merged_one_is_torn(tmp_path: Path) -> None:
    zone = LandingZone(tmp_path)
    landed(zone, 0, 9)
    landed(zone, 10, 19)
    landed(zone, 0, 19).write_bytes(b"PAR1")
    assert zone.recover("events.v1", "log-a", 0) == 20


def test_write_leaves_a_file_that_is_there_already(tmp_path: Path) -> None:
    zone = LandingZone(tmp_path)
    path = landed(zone, 0, 9)
    before = path.stat().st_mtime_ns
    landed(zone, 0, 9)
    assert path.stat().st_mtime_ns == before


def test_failed_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", broken)
    zone = LandingZone(tmp_path)
    with pytest.raises(OSError, match="No space left"):
        landed(zone, 0, 9)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_files_are_listed_by_log_partition_and_offset(tmp_path: Path) -> None:
    zone = LandingZone(tmp_path)
    landed(zone, 10, 14)
    landed(zone, 0, 9)
    landed(zone, 0, 3, partition=1)
    assert [(file.partition, file.first) for file in zone.files("events.v1")] == [(0, 0), (0, 10), (1, 0)]
    assert zone.files("events.v1", "log-b") == []
    assert zone.logs("events.v1") == ["log-a"]


def test_files_that_were_merged_into_another_are_not_listed_and_hinder_nobody(tmp_path: Path) -> None:
    """A compaction that was killed after it had written the merged file leaves some of its inputs."""
    zone = LandingZone(tmp_path)
    for first, last in ((0, 4), (5, 9), (0, 9), (10, 14)):
        landed(zone, first, last)
    assert [(file.first, file.last) for file in zone.files("events.v1")] == [(0, 9), (10, 14)]
    assert len(zone.finished_files("events.v1")) == 4
    assert zone.recover("events.v1", "log-a", 0) == 15


def test_arrow_schema_has_every_column_of_the_contract() -> None:
    schema = arrow_schema(EVENT_COLUMNS)
    assert schema.names == list(EVENT_COLUMNS)
    assert schema.field("occurred_at").type == pa.timestamp("us", tz="UTC")
