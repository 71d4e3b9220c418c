"""Suites are read strictly, and say which rows they look at."""

import datetime as dt

import duckdb
import pytest

from platform_assets.quality.expectations import Range
from platform_assets.quality.reading import BadExpectation
from platform_assets.quality.sql_text import Bindings
from platform_assets.quality.suite import Suite, read_suite

USERS = b"""
name: users
dataset: data/users.parquet
mask: [nickname]
expectations:
  - {type: not_null, column: user_id}
  - {type: range, column: born, min: 1900-01-01, severity: warn}
"""


def test_suite_is_read_from_yaml_with_dates_as_dates() -> None:
    suite = read_suite(USERS)
    assert (suite.name, suite.dataset, suite.mask) == ("users", "data/users.parquet", ["nickname"])
    born = suite.expectations[1]
    assert isinstance(born, Range)
    assert born.min == dt.date(1900, 1, 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"[", "This is no YAML"),
        (b"- a", "A suite is a mapping"),
        (b"name: a", "`expectations` is empty"),
        (b"name: a\nexpectation: []", "unknown key 'expectation'; allowed are name, expectations, dataset"),
        (b"expectations: [{type: row_count}]", "missing required field `name`"),
        (b"name: a\nexpectations: [{type: nul}]", r"expectations\[0\]: unknown type 'nul'"),
        (b"name: a\nquarantine: true\nexpectations: [{type: row_count}]", "needs `watermark`"),
        (b"name: a\npayload: {x: BLOB}\nexpectations: [{type: row_count}]", "Invalid enum value 'BLOB'"),
        (b"name: a\nname: b\nexpectations: !!python/object/apply:os.system [true]", "no YAML"),
        (b" " * 1_000_001, "at most 1,000,000 bytes"),
    ],
)
def test_mistake_is_refused_and_named(text: bytes, said: str) -> None:
    with pytest.raises(BadExpectation, match=said):
        read_suite(text)


def test_fingerprint_changes_with_the_expectations() -> None:
    suite = read_suite(USERS)
    assert suite.fingerprint == read_suite(USERS).fingerprint
    assert suite.fingerprint != read_suite(USERS.replace(b"1900", b"1901")).fingerprint


def test_rows_are_chosen_by_value_and_fields_come_out_of_the_payload(connection: duckdb.DuckDBPyConnection) -> None:
    """A field of another type is null, and one that is named like SQL is a name."""
    connection.execute("CREATE TABLE events (event_name VARCHAR, payload VARCHAR)")
    connection.executemany(
        "INSERT INTO events VALUES (?, ?)",
        [("sale", '{"units": 3, "it\'s \\"x\\"": "y"}'), ("sale", '{"units": "many"}'), ("view", '{"units": 1}')],
    )
    suite = Suite(
        name="sales", expectations=[], only={"event_name": "sale"}, payload={"units": "BIGINT", 'it\'s "x"': "VARCHAR"}
    )
    bindings = Bindings()
    relation = suite.relation('"events"', bindings)
    rows = connection.execute(f"SELECT * EXCLUDE (event_name, payload) FROM {relation}", bindings.values)  # noqa: S608
    assert rows.fetchall() == [(3, "y"), (None, None)]
