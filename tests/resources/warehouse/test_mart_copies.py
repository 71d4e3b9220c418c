"""The copy of a mart holds the mart's rows, whether it was written as a whole or renewed by the days that changed."""

import random
from pathlib import Path

import duckdb
import pytest

from resources.warehouse import Warehouse
from resources.warehouse.mart_copies import ServedMart, SnapshotTable, describe_mart
from resources.warehouse.snapshots import publish_snapshot, read_pointer

MART = ServedMart("visits", ("day", "id"), has_days=True)
DAYS = 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "it's published"


def change(warehouse: Warehouse, *statements: str) -> None:
    with warehouse.write("change") as connection:
        for statement in statements:
            connection.execute(statement)


def build(warehouse: Warehouse) -> None:
    change(
        warehouse,
        "CREATE SCHEMA IF NOT EXISTS marts",
        f"CREATE OR REPLACE TABLE marts.visits AS SELECT DATE '2026-01-01' + (i % {DAYS})::INTEGER AS day, i AS id, "  # noqa: S608
        "1.0::DOUBLE AS value FROM range(1000) AS t(i)",
    )


def publish(warehouse: Warehouse, folder: Path) -> SnapshotTable:
    """Publish and hold the copy against the warehouse."""
    table = publish_snapshot(warehouse, folder, [MART])[0].tables["visits"]
    with duckdb.connect(folder / table.file, read_only=True) as copy, warehouse.read() as connection:
        copied, held = describe_mart(copy, "marts.visits"), describe_mart(connection, "marts.visits")
        days = mart_days(copy)
        rows = "FROM marts.visits ORDER BY ALL"
        assert copy.execute(rows).fetchall() == connection.execute(rows).fetchall()
    assert copied == held
    assert table.holds_the_rows_of(held)
    assert sum(days.values()) == held.rows
    return table


def mart_days(copy: duckdb.DuckDBPyConnection) -> dict[object, int]:
    return dict(copy.execute("SELECT day, row_count FROM days").fetchall())


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE marts.visits SET value = 2 WHERE id = 7",
        "DELETE FROM marts.visits WHERE day = DATE '2026-01-05'",
        "DELETE FROM marts.visits WHERE id = 7",
        "INSERT INTO marts.visits VALUES (DATE '2026-03-01', 5000, 1), (DATE '2025-12-01', 5001, NULL)",
        "INSERT INTO marts.visits FROM marts.visits WHERE id = 7",
        "UPDATE marts.visits SET day = DATE '2026-01-09' WHERE id = 7",
    ],
)
def test_a_changed_day_is_replaced_in_a_clone(warehouse: Warehouse, folder: Path, statement: str) -> None:
    build(warehouse)
    first = publish(warehouse, folder)
    change(warehouse, statement)
    second = publish(warehouse, folder)
    assert (first.renewals, second.renewals) == (0, 1)
    assert first.file != second.file
    assert publish(warehouse, folder) == second


@pytest.mark.parametrize(
    "statements",
    [
        ["UPDATE marts.visits SET value = 2"],
        ["ALTER TABLE marts.visits ADD COLUMN other INTEGER", "UPDATE marts.visits SET value = 2 WHERE id = 7"],
        ["ALTER TABLE marts.visits ALTER value TYPE DECIMAL(9, 2)"],
        ["ALTER TABLE marts.visits RENAME value TO worth", "DELETE FROM marts.visits WHERE id = 7"],
        ["DELETE FROM marts.visits"],
        ["UPDATE marts.visits SET day = NULL WHERE id = 7"],
    ],
    ids=["most days", "new column", "other type", "other name", "all gone", "no day"],
)
def test_where_days_do_not_do_the_whole_is_written(warehouse: Warehouse, folder: Path, statements: list[str]) -> None:
    build(warehouse)
    publish(warehouse, folder)
    change(warehouse, *statements)
    assert publish(warehouse, folder).renewals == 0


def test_many_renewals_end_in_a_whole(warehouse: Warehouse, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resources.warehouse.mart_copies.MAX_RENEWALS", 3)
    build(warehouse)
    renewals = []
    for value in range(6):
        change(warehouse, f"UPDATE marts.visits SET value = {value + 10} WHERE id = {value}")  # noqa: S608
        renewals.append(publish(warehouse, folder).renewals)
    assert renewals == [0, 1, 2, 3, 0, 1]


@pytest.mark.parametrize("seed", range(3))
def test_after_any_changes_the_copy_holds_what_the_mart_holds(warehouse: Warehouse, folder: Path, seed: int) -> None:
    choices = random.Random(seed)  # noqa: S311
    build(warehouse)
    publish(warehouse, folder)
    for _ in range(8):
        day = f"DATE '2026-01-01' + {choices.randrange(DAYS + 4)}"
        kinds = (
            f"DELETE FROM marts.visits WHERE day = {day}",  # noqa: S608
            f"UPDATE marts.visits SET value = value + 1 WHERE day = {day}",  # noqa: S608
            f"INSERT INTO marts.visits SELECT {day}, {choices.randrange(10**6)}, 3 FROM range(9)",  # noqa: S608
            f"UPDATE marts.visits SET day = {day} WHERE id % 50 = {choices.randrange(50)}",  # noqa: S608
        )
        change(warehouse, choices.choice(kinds))
        publish(warehouse, folder)


def test_a_publication_that_fails_leaves_the_one_before(
    warehouse: Warehouse, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(warehouse)
    first = publish(warehouse, folder)
    change(warehouse, "UPDATE marts.visits SET value = 2 WHERE id = 7")

    def full(path: Path) -> None:
        raise OSError(28, f"No space left on device: {path.name}")

    with monkeypatch.context() as patched:
        patched.setattr("resources.warehouse.mart_copies.sync", full)
        with pytest.raises(OSError, match="No space left"):
            publish_snapshot(warehouse, folder, [MART])
    serving = read_pointer(folder)
    assert serving is not None
    assert serving.tables["visits"] == first
    assert list(folder.glob("*.tmp*")) == []
    assert publish(warehouse, folder).renewals == 1
