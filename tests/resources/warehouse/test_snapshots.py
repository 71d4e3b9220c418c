"""Readers of the published marts see an old copy or a new one, whole, and never the warehouse."""

import threading
from pathlib import Path

import duckdb
import pytest

from resources.warehouse import Warehouse
from resources.warehouse.hardened import DatabaseUnreadable
from resources.warehouse.mart_copies import ServedMart
from resources.warehouse.person_sql import QueryInvalid, QueryRefused
from resources.warehouse.snapshot_reader import NoSnapshot, SnapshotReader, open_snapshot
from resources.warehouse.snapshots import (
    KEPT_SNAPSHOTS,
    POINTER,
    SnapshotUnreadable,
    publish_snapshot,
    read_pointer,
)

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


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.duckdb"))


def test_unchanged_marts_are_not_copied_again(warehouse: Warehouse, folder: Path) -> None:
    fill(warehouse, 1)
    first, is_new = publish_snapshot(warehouse, folder, MARTS)
    fill(warehouse, 1)
    second, is_new_again = publish_snapshot(warehouse, folder, MARTS)
    assert (is_new, is_new_again) == (True, False)
    assert (first.version, first.published_at, first.tables) == (second.version, second.published_at, second.tables)
    assert second.checked_at is not None
    assert second.checked_at > first.published_at
    assert read_pointer(folder) == second
    assert names(folder) == sorted(first.files)


def test_only_the_mart_that_changed_is_copied(warehouse: Warehouse, folder: Path) -> None:
    fill(warehouse, 1)
    first, _ = publish_snapshot(warehouse, folder, MARTS)
    with warehouse.write("change") as connection:
        connection.execute("UPDATE marts.totals SET n = 2")
    second, is_new = publish_snapshot(warehouse, folder, MARTS)
    assert is_new
    assert second.tables["others"] == first.tables["others"]
    assert second.tables["totals"].file != first.tables["totals"].file
    with open_snapshot(folder, first) as old, open_snapshot(folder, second) as new:
        query = "SELECT max(marts.totals.n) - max(marts.others.n) FROM marts.totals, marts.others"
        assert (old.run(query).rows, new.run(query).rows) == ([(0,)], [(1,)])


def test_change_of_one_value_is_published_under_a_new_name_and_old_copies_go(
    warehouse: Warehouse, folder: Path
) -> None:
    for value in range(5):
        fill(warehouse, value)
        publish_snapshot(warehouse, folder, MARTS)
    pointer = read_pointer(folder)
    assert pointer is not None
    assert len(names(folder)) == KEPT_SNAPSHOTS * len(MARTS)
    assert set(pointer.files) < set(names(folder))
    assert pointer.tables["totals"].rows == 50


@pytest.mark.parametrize("damage", ["lose a file", "lose the pointer", "damage the pointer"])
def test_what_was_lost_is_published_again(warehouse: Warehouse, folder: Path, damage: str) -> None:
    fill(warehouse, 1)
    lost, _ = publish_snapshot(warehouse, folder, MARTS)
    match damage:
        case "lose a file":
            (folder / lost.files[0]).unlink()
        case "lose the pointer":
            (folder / POINTER).unlink()
        case _:
            (folder / POINTER).write_text("{")
    found, is_new = publish_snapshot(warehouse, folder, MARTS)
    assert is_new
    assert all((folder / file).exists() for file in found.files)
    assert SnapshotReader(folder).look().database.run("SELECT count(*) FROM marts.totals").rows == [(50,)]


def test_only_the_named_marts_leave_the_warehouse(warehouse: Warehouse, folder: Path) -> None:
    fill(warehouse, 1)
    publish_snapshot(warehouse, folder, MARTS[:1])
    database = SnapshotReader(folder).look().database
    listed = database.run("SELECT DISTINCT table_schema, table_name FROM information_schema.tables").rows
    assert listed == [("marts", "totals")]
    with pytest.raises(QueryInvalid, match="others does not exist"):
        database.run("FROM marts.others")


def test_missing_mart_publishes_nothing(warehouse: Warehouse, folder: Path) -> None:
    fill(warehouse, 1)
    with pytest.raises(duckdb.CatalogException, match="nobody_built_it"):
        publish_snapshot(warehouse, folder, (*MARTS, ServedMart("nobody_built_it", ("n",))))
    assert read_pointer(folder) is None
    assert [path.name for path in folder.iterdir()] == [".lock"]


def test_reader_sees_the_old_copy_or_the_new_one_and_never_half(warehouse: Warehouse, folder: Path) -> None:
    fill(warehouse, 0)
    publish_snapshot(warehouse, folder, MARTS)
    reader, seen, stop = SnapshotReader(folder), set(), threading.Event()
    mixed: list[object] = []

    def look() -> None:
        query = "SELECT n, count(*) FROM (FROM marts.totals UNION ALL FROM marts.others) GROUP BY n"
        while not stop.is_set():
            found = reader.look().database.run(query).rows
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
    assert reader.look().database.run("SELECT max(n) FROM marts.totals").rows == [(5,)]
    assert mixed == []
    assert len(seen) > 1


def test_reader_that_was_away_for_long_finds_the_newest_files(warehouse: Warehouse, folder: Path) -> None:
    """The files of the pointer that it read may be gone when it opens them."""
    fill(warehouse, 0)
    old, _ = publish_snapshot(warehouse, folder, MARTS)
    for value in range(1, KEPT_SNAPSHOTS + 1):
        fill(warehouse, value)
        publish_snapshot(warehouse, folder, MARTS)
    with pytest.raises(DatabaseUnreadable):
        open_snapshot(folder, old)
    assert SnapshotReader(folder).look().database.run("SELECT max(n) FROM marts.totals").rows == [(KEPT_SNAPSHOTS,)]


def test_reader_can_neither_write_nor_reach_outside(warehouse: Warehouse, folder: Path, tmp_path: Path) -> None:
    fill(warehouse, 1)
    publish_snapshot(warehouse, folder, MARTS)
    database = SnapshotReader(folder).look().database
    for query in ("INSERT INTO totals.marts.totals VALUES (2)", "SET enable_external_access = true"):
        with pytest.raises(QueryInvalid):
            database.run(query)
    for query in (f"FROM read_csv('{tmp_path}/secret.csv')", f"ATTACH '{warehouse.path}'"):
        with pytest.raises(QueryRefused):
            database.run(query)


def test_reader_says_what_is_missing_before_the_first_publication_and_after_damage(folder: Path) -> None:
    reader = SnapshotReader(folder)
    with pytest.raises(NoSnapshot, match="run warehouse_job"):
        reader.look()
    folder.mkdir()
    (folder / POINTER).write_text("{")
    with pytest.raises(SnapshotUnreadable, match="publish again"):
        reader.look()


def test_damaged_file_is_said_with_its_remedy(warehouse: Warehouse, folder: Path) -> None:
    fill(warehouse, 1)
    snapshot, _ = publish_snapshot(warehouse, folder, MARTS)
    (folder / snapshot.files[0]).write_bytes(b"no database" * 1000)
    with pytest.raises(SnapshotUnreadable, match="publish again"):
        SnapshotReader(folder).look()
