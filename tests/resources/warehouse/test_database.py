"""One writer, short readers, all or nothing."""

from pathlib import Path

import pytest

from resources.warehouse import LockTimeout, Warehouse, WarehouseMissing


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "w's" / "analytics.duckdb", lock_timeout_s=0.2)


def fail_in_the_middle(warehouse: Warehouse) -> None:
    with warehouse.write("second") as connection:
        connection.execute("INSERT INTO kept VALUES (2)")
        connection.execute("CREATE TABLE lost (n INTEGER)")
        raise RuntimeError("in the middle")


def test_block_that_ends_is_committed_and_one_that_fails_leaves_nothing(warehouse: Warehouse) -> None:
    with warehouse.write("first") as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
    with pytest.raises(RuntimeError, match="in the middle"):
        fail_in_the_middle(warehouse)
    with warehouse.read() as connection:
        assert connection.execute("SELECT n FROM kept").fetchall() == [(1,)]
        assert connection.execute("SELECT table_name FROM information_schema.tables").fetchall() == [("kept",)]


def test_missing_warehouse_names_the_job_that_makes_it(warehouse: Warehouse) -> None:
    with pytest.raises(WarehouseMissing, match="run warehouse_job"), warehouse.read():
        pytest.fail("read what is not there")


def test_reader_waits_for_the_writer_instead_of_meeting_its_lock_error(warehouse: Warehouse) -> None:
    with warehouse.write("build") as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
    with warehouse.write("build"), pytest.raises(LockTimeout, match=": build"), warehouse.read():
        pytest.fail("read beside the writer")


def test_readers_stand_beside_each_other_and_cannot_write(warehouse: Warehouse) -> None:
    with warehouse.write("build") as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
    with warehouse.read() as one, warehouse.read() as other:
        assert one.execute("FROM kept").fetchall() == other.execute("FROM kept").fetchall()
        with pytest.raises(Exception, match="read-only"):
            one.execute("INSERT INTO kept VALUES (2)")


def test_sessions_speak_utc(warehouse: Warehouse) -> None:
    with warehouse.write("x") as connection:
        connection.execute("CREATE TABLE zone AS SELECT current_setting('TimeZone') AS name")
        assert connection.execute("SELECT name FROM zone").fetchone() == ("UTC",)
