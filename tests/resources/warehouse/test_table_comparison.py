"""Two warehouses are equal, or it is said where not and by which rows."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from resources.warehouse import table_comparison
from resources.warehouse.table_comparison import NEW, OLD, Comparison, compare_warehouses

TABLES = """
CREATE SCHEMA raw; CREATE SCHEMA marts;
CREATE TABLE raw.loads (topic VARCHAR, log VARCHAR, kafka_partition INTEGER, first_offset BIGINT, last_offset BIGINT,
    row_count BIGINT, new_row_count BIGINT, duplicate_count BIGINT, loaded_at TIMESTAMPTZ);
CREATE TABLE raw.load_times (topic VARCHAR, listed_at TIMESTAMPTZ);
CREATE TABLE raw.events (event_id VARCHAR, received_at TIMESTAMPTZ, payload VARCHAR, kafka_offset BIGINT,
    loaded_at TIMESTAMPTZ);
CREATE TABLE marts."odd ""name" (id INTEGER, "a value" DOUBLE);
CREATE VIEW marts.looking AS FROM raw.events;
INSERT INTO raw.events
SELECT 'event-' || n, TIMESTAMPTZ '2026-01-01 00:00:00+00', '{}', n, now() FROM range(100) AS numbers (n);
INSERT INTO marts."odd ""name" SELECT n % 10, n % 3 FROM range(50) AS numbers (n);
"""


@pytest.fixture
def both(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Two files with the same rows."""
    with duckdb.connect() as connection:
        for name in (OLD, NEW):
            connection.execute(f"ATTACH '{tmp_path / name}.duckdb' AS {name}; USE {name}")
            connection.execute(TABLES)
        yield connection


def loads(connection: duckdb.DuckDBPyConnection, catalog: str, *ranges: tuple[int, int]) -> None:
    for first, last in ranges:
        connection.execute(
            f"INSERT INTO {catalog}.raw.loads VALUES ('events.v1', 'log', 0, $first, $last, $rows, 0, 0, now())",  # noqa: S608 - our own names
            {"first": first, "last": last, "rows": last - first + 1},
        )


def tables(comparison: Comparison) -> dict[str, tuple[int, int]]:
    return {one.table: (one.only_old, one.only_new) for one in comparison.differences}


def test_equal_files_have_no_differences(both: duckdb.DuckDBPyConnection) -> None:
    found = compare_warehouses(both)
    assert (found.tables, found.rows, found.differences) == (3, 150, [])


def test_row_on_one_side_is_found_and_shown(both: duckdb.DuckDBPyConnection) -> None:
    both.execute("DELETE FROM new_one.raw.events WHERE event_id = 'event-7'")
    both.execute("UPDATE new_one.raw.events SET payload = '[]' WHERE event_id = 'event-8'")
    found = compare_warehouses(both)
    assert tables(found) == {"raw.events": (2, 1)}
    (difference,) = found.differences
    assert [row[0] for row in difference.old_rows] == ["event-7", "event-8"]
    assert [row[2] for row in difference.new_rows] == ["[]"]


def test_repeated_rows_are_counted(both: duckdb.DuckDBPyConnection) -> None:
    """A plain EXCEPT would call two and three equal rows the same."""
    both.execute('INSERT INTO new_one.marts."odd ""name" VALUES (0, 0)')
    assert tables(compare_warehouses(both)) == {'marts.odd "name': (0, 1)}


def test_rows_that_moved_between_columns_differ(both: duckdb.DuckDBPyConnection) -> None:
    for catalog, row in ((OLD, "(1001, 1002)"), (NEW, "(1002, 1001)")):
        both.execute(f'INSERT INTO {catalog}.marts."odd ""name" VALUES {row}')  # noqa: S608 - our own rows
    assert tables(compare_warehouses(both)) == {'marts.odd "name': (1, 1)}


def test_missing_table_counts_as_empty(both: duckdb.DuckDBPyConnection) -> None:
    both.execute("CREATE TABLE old_one.marts.gone AS FROM range(3); CREATE TABLE new_one.marts.fresh AS FROM range(2)")
    both.execute("CREATE TABLE new_one.marts.empty (id INTEGER)")
    assert tables(compare_warehouses(both)) == {"marts.fresh": (0, 2), "marts.gone": (3, 0)}


def test_missing_column_is_a_difference(both: duckdb.DuckDBPyConnection) -> None:
    both.execute("ALTER TABLE new_one.raw.events ADD COLUMN colour VARCHAR")
    (difference,) = compare_warehouses(both).differences
    assert (difference.only_old, difference.only_new, difference.columns_of_new) == (0, 0, ("colour",))


def test_bookkeeping_and_what_a_killed_build_left_is_not_compared(both: duckdb.DuckDBPyConnection) -> None:
    both.execute("UPDATE new_one.raw.events SET loaded_at = TIMESTAMPTZ '2020-01-01 00:00:00+00'")
    both.execute("INSERT INTO new_one.raw.load_times VALUES ('events.v1', now())")
    both.execute("CREATE TABLE old_one.marts.fct_orders__dbt_tmp AS FROM range(3)")
    assert compare_warehouses(both).differences == []


def test_loads_are_compared_by_what_they_add_up_to(both: duckdb.DuckDBPyConnection) -> None:
    loads(both, OLD, (0, 9), (10, 99))
    loads(both, NEW, (0, 99))
    assert compare_warehouses(both).differences == []
    loads(both, OLD, (100, 100))
    assert tables(compare_warehouses(both)) == {"raw.loads": (1, 1)}


def test_another_copy_of_an_id_with_the_same_content_is_no_difference(both: duckdb.DuckDBPyConnection) -> None:
    """Which copy comes first depends on the portions of the loads."""
    both.execute("UPDATE new_one.raw.events SET kafka_offset = 500, received_at = now() WHERE event_id = 'event-3'")
    found = compare_warehouses(both)
    assert (found.other_copies, found.differences) == ({"raw.events": 1}, [])
    both.execute("UPDATE new_one.raw.events SET payload = '[]' WHERE event_id = 'event-3'")
    assert tables(compare_warehouses(both)) == {"raw.events": (1, 1)}


def test_large_tables_are_compared_in_the_parts_that_differ(
    both: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_comparison, "WHOLE_UP_TO_ROWS", 10)
    assert compare_warehouses(both).differences == []
    later = dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
    both.execute("UPDATE old_one.raw.events SET payload = 'x' WHERE event_id = 'event-50'")
    both.execute("INSERT INTO new_one.raw.events VALUES ('new', $at, '{}', 1, $at)", {"at": later})
    assert tables(compare_warehouses(both)) == {"raw.events": (1, 2)}
