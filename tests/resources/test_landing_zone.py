"""The landing zone: the finished names alone say what has landed."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from platform_assets.contracts.landing import EVENT_COLUMNS, LandingFile
from resources.landing_zone import LandingZone, LandingZoneDamaged, arrow_schema


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


def test_arrow_schema_has_every_column_of_the_contract() -> None:
    schema = arrow_schema(EVENT_COLUMNS)
    assert schema.names == list(EVENT_COLUMNS)
    assert schema.field("occurred_at").type == pa.timestamp("us", tz="UTC")
