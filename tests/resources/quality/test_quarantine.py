"""Rows that fail are held with their reasons, and released as if they came only now when they pass."""

from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from platform_assets.quality.reading import read_expectations
from platform_assets.quality.row_rules import CannotJudge
from platform_assets.quality.suite import Suite
from resources.quality.quarantine import LoadedTable, Quarantined, quarantine

EVENTS = LoadedTable("raw.events", "event_id")


def suite(*items: dict[str, Any], name: str = "lines") -> Suite:
    return Suite(
        name=name,
        dataset="raw.events",
        watermark="loaded_at",
        only={"event_name": "sale"},
        payload={"units": "BIGINT", "product": "VARCHAR"},
        quarantine=True,
        expectations=read_expectations(items),
    )


FEW = suite({"type": "range", "column": "units", "max": 100, "name": "few_units"})
MORE = suite({"type": "range", "column": "units", "max": 1000, "name": "few_units"})


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(
            "SET TimeZone = 'UTC'; CREATE SCHEMA raw;"
            "CREATE TABLE raw.events (event_id VARCHAR, event_name VARCHAR, payload VARCHAR, loaded_at TIMESTAMPTZ)"
        )
        yield connection


def load(connection: duckdb.DuckDBPyConnection, load: int, **units: int | None) -> None:
    """One load of sales, by their ids."""
    rows = [
        (event, f'{{"units": {"null" if n is None else n}, "product": "p{n}"}}', load) for event, n in units.items()
    ]
    connection.executemany(
        "INSERT INTO raw.events VALUES (?, 'sale', ?, TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_hours(?))", rows
    )


def visible(connection: duckdb.DuckDBPyConnection, since: int = 0) -> list[str]:
    """What the staging model shows of what was loaded after a load."""
    rows = connection.execute(
        "SELECT event_id FROM raw.events WHERE loaded_at > TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_hours(?) "
        "AND NOT EXISTS (FROM quality.quarantined_rows AS q WHERE q.table_name = 'raw.events' "
        "AND q.row_key = event_id AND q.released_at IS NULL) ORDER BY 1",
        [since],
    )
    return [row[0] for row in rows.fetchall()]


def held(connection: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT row_key, suite, reasons, run_id FROM quality.quarantined_rows WHERE released_at IS NULL ORDER BY ALL"
    ).fetchall()


def test_row_that_fails_is_held_with_its_reasons_and_run(connection: duckdb.DuckDBPyConnection) -> None:
    load(connection, 1, a=5, b=500, c=None)
    strict = suite(
        {"type": "range", "column": "units", "max": 100, "name": "few_units"},
        {"type": "in_set", "column": "product", "values": ["p5", "pNone"], "name": "known_product"},
    )
    assert quarantine(connection, EVENTS, [strict], run_id="run-1") == Quarantined("raw.events", 1, 0, 1)
    assert held(connection) == [("b", "lines", "few_units, known_product", "run-1")]
    assert visible(connection) == ["a", "c"]


def test_only_new_rows_are_judged(connection: duckdb.DuckDBPyConnection) -> None:
    """A row that the suite of before let in stays in; what is held is not held twice."""
    load(connection, 1, a=500, b=5000)
    assert quarantine(connection, EVENTS, [MORE], run_id="run-1").new == 1
    load(connection, 2, c=500, d=5)
    assert quarantine(connection, EVENTS, [FEW], run_id="run-2") == Quarantined("raw.events", 1, 0, 2)
    assert [row[0] for row in held(connection)] == ["b", "c"]
    assert quarantine(connection, EVENTS, [FEW], run_id="run-3") == Quarantined("raw.events", 0, 0, 2)


def test_row_that_passes_a_changed_suite_is_released_and_comes_as_if_new(connection: duckdb.DuckDBPyConnection) -> None:
    load(connection, 1, a=5, b=500, c=5000)
    quarantine(connection, EVENTS, [FEW], run_id="run-1")
    load(connection, 2, d=6)
    assert quarantine(connection, EVENTS, [MORE], run_id="run-2") == Quarantined("raw.events", 0, 1, 1)
    assert visible(connection) == ["a", "b", "d"]
    assert visible(connection, since=2) == ["b"]
    assert held(connection) == [("c", "lines", "few_units", "run-1")]
    released = connection.execute(
        "SELECT row_key, released_by FROM quality.quarantined_rows WHERE released_at IS NOT NULL"
    ).fetchall()
    assert released == [("b", "run-2")]
    assert quarantine(connection, EVENTS, [MORE], run_id="run-3") == Quarantined("raw.events", 0, 0, 1)


def test_row_is_released_when_what_it_refers_to_comes(connection: duckdb.DuckDBPyConnection) -> None:
    """With an unchanged suite: another table has changed."""
    connection.execute("CREATE TABLE raw.products AS SELECT 'p5' AS product_id")
    known = suite({"type": "foreign_key", "column": "product", "to": "raw.products", "field": "product_id"})
    load(connection, 1, a=5, b=6)
    assert quarantine(connection, EVENTS, [known], run_id="run-1").held == 1
    connection.execute("INSERT INTO raw.products VALUES ('p6')")
    assert quarantine(connection, EVENTS, [known], run_id="run-2") == Quarantined("raw.events", 0, 1, 0)
    assert visible(connection, since=1) == ["b"]


def test_row_that_two_suites_hold_waits_for_both(connection: duckdb.DuckDBPyConnection) -> None:
    other = suite({"type": "in_set", "column": "product", "values": ["p1"]}, name="others")
    load(connection, 1, a=5000)
    assert quarantine(connection, EVENTS, [FEW, other], run_id="run-1") == Quarantined("raw.events", 2, 0, 1)
    still = suite({"type": "range", "column": "units", "max": 9000, "name": "few_units"})
    assert quarantine(connection, EVENTS, [still, other], run_id="run-2").held == 1
    assert visible(connection) == []
    assert quarantine(connection, EVENTS, [still], run_id="run-3") == Quarantined("raw.events", 0, 1, 0)
    assert visible(connection) == ["a"]


def test_without_any_suite_everything_is_let_in(connection: duckdb.DuckDBPyConnection) -> None:
    load(connection, 1, a=5000)
    quarantine(connection, EVENTS, [FEW], run_id="run-1")
    assert quarantine(connection, EVENTS, [], run_id="run-2") == Quarantined("raw.events", 0, 1, 0)
    assert visible(connection, since=1) == ["a"]


def test_empty_table_and_other_events_are_left_alone(connection: duckdb.DuckDBPyConnection) -> None:
    assert quarantine(connection, EVENTS, [FEW], run_id="run-1") == Quarantined("raw.events", 0, 0, 0)
    load(connection, 1, a=5000)
    connection.execute("UPDATE raw.events SET event_name = 'view'")
    assert quarantine(connection, EVENTS, [FEW], run_id="run-2") == Quarantined("raw.events", 0, 0, 0)


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"type": "not_null", "column": "colour"}, "no column `colour`"),
        ({"type": "unique", "column": "event_id"}, "does not judge rows by themselves"),
        ({"type": "row_count"}, "does not judge rows by themselves"),
        ({"type": "foreign_key", "column": "product", "to": "raw.nothing", "field": "x"}, "raw.nothing, which is not"),
    ],
)
def test_suite_that_cannot_quarantine_says_so(
    connection: duckdb.DuckDBPyConnection, item: dict[str, Any], said: str
) -> None:
    load(connection, 1, a=1)
    with pytest.raises(CannotJudge, match=said):
        quarantine(connection, EVENTS, [suite(item)], run_id="run-1")
