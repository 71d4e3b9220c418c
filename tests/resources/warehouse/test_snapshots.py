"""Readers of the published marts see an old copy or a new one, whole, and never the warehouse."""

import threading
from pathlib import Path

import duckdb
import pytest

from resources.warehouse import Warehouse
from resources.warehouse.snapshot_reader import NoSnapshot, SnapshotReader
from resources.warehouse.snapshots import KEPT_SNAPSHOTS, ServedMart, SnapshotUnreadable, publish_snapshot, read_pointer

MARTS = (ServedMart("totals", ("n",)), ServedMart("others", ("n",)))


def fill(warehouse: Warehouse, value: int) -> None:
    """Both marts hold the value 50 times."""
    with warehouse.write("fill") as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS marts")
        for mart in MARTS:
            connection.execute(f"CREATE OR REPLACE TABLE marts.{mart.name} (n INTEGER)")
            connection.execute(f"INSERT INTO marts.{mart.name} SELECT $value FROM range(50)", {"value": value})  # noqa: S608


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "snapshots"


def test_unchanged_marts_are_not_copied_again(warehouse: Warehouse, folder: Path) -> None:
    fill(warehouse, 1)
    first, is_new = publish_snapshot(warehouse, folder, MARTS)
    fill(warehouse, 1)
    second, is_new_again = publish_snapshot(warehouse, folder, MARTS)
    assert (is_new, is_new_again) == (True, False)
    assert first == second == read_pointer(folder)
    assert [path.name for path in folder.glob("marts-*")] == [first.file]


def test_change_of_one_value_is_published_under_a_new_name_and_old_copies_go(
    warehouse: Warehouse, folder: Path
) -> None:
    for value in range(5):
        fill(warehouse, value)
        publish_snapshot(warehouse, folder, MARTS)
    names = sorted(path.name for path in folder.glob("marts-*"))
    pointer = read_pointer(folder)
    assert pointer is not None
    assert len(names) == KEPT_SNAPSHOTS
    assert names[-1] == pointer.file
    assert pointer.tables["totals"].rows == 50


def test_lost_file_is_published_again(warehouse: Warehouse, folder: Path) -> None:
    fill(warehouse, 1)
    lost, _ = publish_snapshot(warehouse, folder, MARTS)
    (folder / lost.file).unlink()
    found, is_new = publish_snapshot(warehouse, folder, MARTS)
    assert is_new
    assert (folder / found.file).exists()


def test_only_the_named_marts_leave_the_warehouse(warehouse: Warehouse, folder: Path) -> None:
    fill(warehouse, 1)
    publish_snapshot(warehouse, folder, MARTS[:1])
    reader = SnapshotReader(folder)
    with reader.cursor() as (_, cursor):
        assert cursor.execute("SELECT table_schema, table_name FROM information_schema.tables").fetchall() == [
            ("marts", "totals")
        ]
        with pytest.raises(duckdb.CatalogException):
            cursor.execute("FROM marts.others")
    reader.close()


def test_missing_mart_publishes_nothing(warehouse: Warehouse, folder: Path) -> None:
    fill(warehouse, 1)
    with pytest.raises(duckdb.CatalogException, match="nobody_built_it"):
        publish_snapshot(warehouse, folder, (*MARTS, ServedMart("nobody_built_it", ("n",))))
    assert read_pointer(folder) is None
    assert list(folder.iterdir()) == []


def test_reader_sees_the_old_copy_or_the_new_one_and_never_half(warehouse: Warehouse, folder: Path) -> None:
    fill(warehouse, 0)
    publish_snapshot(warehouse, folder, MARTS)
    reader, seen, stop = SnapshotReader(folder), set(), threading.Event()
    mixed: list[object] = []

    def look() -> None:
        while not stop.is_set():
            with reader.cursor() as (_, cursor):
                found = cursor.execute(
                    "SELECT n, count(*) FROM (FROM marts.totals UNION ALL FROM marts.others) GROUP BY n"
                ).fetchall()
            if len(found) != 1 or found[0][1] != 100:
                mixed.append(found)
            seen.add(found[0][0])

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    for value in range(1, 6):
        fill(warehouse, value)
        publish_snapshot(warehouse, folder, MARTS)
    stop.set()
    for thread in threads:
        thread.join()
    with reader.cursor() as (_, cursor):
        assert cursor.execute("SELECT max(n) FROM marts.totals").fetchone() == (5,)
    reader.close()
    assert mixed == []
    assert len(seen) > 1


def test_reader_can_neither_write_nor_reach_outside(warehouse: Warehouse, folder: Path, tmp_path: Path) -> None:
    fill(warehouse, 1)
    publish_snapshot(warehouse, folder, MARTS)
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    reader = SnapshotReader(folder)
    with reader.cursor() as (_, cursor):
        for query in (
            "INSERT INTO marts.totals VALUES (2)",
            f"FROM read_csv('{secret}')",
            "SET enable_external_access = true",
            f"ATTACH '{warehouse.path}'",
        ):
            with pytest.raises(duckdb.Error):
                cursor.execute(query)
    reader.close()


def test_reader_says_what_is_missing_before_the_first_publication_and_after_damage(folder: Path) -> None:
    reader = SnapshotReader(folder)
    with pytest.raises(NoSnapshot, match="run warehouse_job"), reader.cursor():
        pytest.fail("read what is not there")
    folder.mkdir()
    (folder / "current.json").write_text("{")
    with pytest.raises(SnapshotUnreadable, match="publish again"), reader.cursor():
        pytest.fail("read a damaged pointer")
