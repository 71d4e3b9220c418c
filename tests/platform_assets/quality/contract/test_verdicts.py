"""Five enforcers of one contract come to one verdict about each of ten thousand events."""

from collections.abc import Callable
from typing import Any

import duckdb
import jinja2
import pandera.errors
import pyarrow as pa
import pytest
import yaml

from platform_assets.contracts.event_batches import decode_new_events
from platform_assets.contracts.events import (
    ENVELOPE_FIELDS,
    MAX_EVENT_BYTES,
    InvalidEvent,
    accept,
    decode_event,
    encode_event,
)
from platform_assets.contracts.landed_rows import EVENT_ROWS
from platform_assets.contracts.landing import EVENT_COLUMNS
from platform_assets.quality.contract.frames import frame_of, landed_rows_schema
from platform_assets.quality.contract.rules import rules_of
from resources.contracts.dbt_sources import SOURCES_FILE
from resources.landing_zone import arrow_schema
from resources.warehouse.contract_checks import ContractCheck, check_rows
from streaming.decoding import decode_events_together
from tests.contract_events import LOG, RECEIVED_AT, candidates, row_of_record
from tests.dbt_project.dbt_build import DBT_PROJECT
from tests.odd_events import VARIANTS, with_field
from tests.streaming_records import a_batch, an_event

EVENTS = list(candidates(10_000, seed=5))
ROWS = [candidate.row for candidate in EVENTS if candidate.row is not None]

Good = set[int]
"""The numbers of the events that an enforcer takes."""


@pytest.fixture(scope="module")
def rows() -> pa.Table:
    """Those that can be rows of raw.events, unseen by any decoder."""
    return pa.Table.from_pylist(ROWS, schema=arrow_schema(EVENT_COLUMNS))


@pytest.fixture(scope="module")
def warehouse(rows: pa.Table) -> duckdb.DuckDBPyConnection:
    """The same in a warehouse, as one load."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'; CREATE SCHEMA raw")
    connection.register("landed", rows)
    connection.execute("CREATE TABLE raw.events AS SELECT *, now() AS loaded_at FROM landed")
    return connection


@pytest.fixture(scope="module")
def check(warehouse: duckdb.DuckDBPyConnection) -> ContractCheck:
    """What the check of the raw table finds in it."""
    return check_rows(warehouse, EVENT_ROWS, shown=len(EVENTS))


@pytest.fixture(scope="module")
def at_the_door() -> Good:
    """What the API would accept."""
    together = decode_new_events([candidate.sent for candidate in EVENTS])
    good = set()
    for number, new in enumerate(together):
        if not isinstance(new, InvalidEvent):
            event = accept(new, received_at=RECEIVED_AT, correlation_id="request-1")
            if len(encode_event(event)) <= MAX_EVENT_BYTES:
                good.add(number)
    return good


def test_half_of_the_events_are_good_and_most_others_can_be_rows(at_the_door: Good) -> None:
    """So that no verdict below is one about nothing."""
    bad_rows = {row["kafka_offset"] for row in ROWS} - at_the_door
    assert 4_000 < len(at_the_door) < 7_000
    assert len(bad_rows) > 2_000
    assert at_the_door <= {row["kafka_offset"] for row in ROWS}


def test_door_takes_in_a_batch_what_it_takes_alone(at_the_door: Good) -> None:
    one_by_one = {
        number
        for number, candidate in enumerate(EVENTS)
        if not isinstance(decode_new_events([candidate.sent])[0], InvalidEvent)
    }
    # Only with the server's fields are some too large.
    assert at_the_door <= one_by_one
    assert all(len(EVENTS[number].record) > MAX_EVENT_BYTES for number in one_by_one - at_the_door)


def test_contract_s_decoder_of_records_takes_what_the_door_takes(at_the_door: Good) -> None:
    assert _difference({number for number, one in enumerate(EVENTS) if _is_event(one.record)}, at_the_door) == {}


@pytest.mark.parametrize("land", [True, False])
def test_stream_takes_what_the_door_takes(at_the_door: Good, land: bool) -> None:
    """In batches as they come, with all others rejected."""
    good: Good = set()
    for start in range(0, len(EVENTS), 500):
        part = [(start + place, one.record) for place, one in enumerate(EVENTS[start : start + 500])]
        batch = a_batch(part, start=start, next_offset=start + 500)
        (decoded,) = decode_events_together([batch], LOG, RECEIVED_AT, land=land)
        assert decoded.events is not None
        taken = set(decoded.events.offsets.tolist())
        rejected = {one.source_offset for one in decoded.rejections}
        assert taken | rejected == {number for number, _ in part}
        assert not taken & rejected
        good |= taken
    assert _difference(good, at_the_door) == {}


def test_pandera_takes_what_the_door_takes(rows: pa.Table, at_the_door: Good) -> None:
    assert _difference(_taken_by_pandera(rows), at_the_door) == {}


def test_dbt_s_tests_of_the_source_take_what_the_door_takes(
    warehouse: duckdb.DuckDBPyConnection, at_the_door: Good
) -> None:
    """As they stand in the project, each run as its SQL."""
    document = yaml.safe_load((DBT_PROJECT / SOURCES_FILE).read_text())
    table = next(table for table in document["sources"][0]["tables"] if table["name"] == "events")
    bad = {number for query in _queries(table) for (number,) in warehouse.execute(query).fetchall()}
    assert _difference(_numbers_of_rows() - bad, at_the_door) == {}


def test_check_of_the_raw_table_takes_what_the_door_takes(check: ContractCheck, at_the_door: Good) -> None:
    bad = {row["kafka_offset"] for row in check.first_rows}
    assert (check.rows, check.broken_rows) == (len(ROWS), len(bad))
    assert _difference(_numbers_of_rows() - bad, at_the_door) == {}


def test_each_rule_of_the_raw_table_is_broken_by_some_event(check: ContractCheck) -> None:
    """A rule that no event breaks would not have been tried. The others are about what is not up to the sender."""
    untried = {rule.name for rule in rules_of(EVENT_ROWS)} - set(check.broken_rules)
    stamped = ("event_id", "occurred_at", "received_at", "payload", "log", "kafka_partition", "kafka_offset")
    assert untried == {*(f"{name}_is_not_null" for name in stamped), "received_at_is_in_range"}


@pytest.mark.parametrize("field", [field for field in ENVELOPE_FIELDS if field != "payload"])
def test_each_odd_value_of_a_record_is_judged_alike(field: str) -> None:
    """Also where the door would have filled in its own."""
    whole = encode_event(an_event("e-1"))
    odd = [with_field(whole, field, value) for value in VARIANTS[field]]
    rows = {number: row for number, value in enumerate(odd) if (row := row_of_record(value, number)) is not None}
    table = pa.Table.from_pylist(list(rows.values()), schema=arrow_schema(EVENT_COLUMNS))
    good = {number for number, value in enumerate(odd) if _is_event(value)}
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; CREATE SCHEMA raw")
        connection.register("odd_rows", table)
        connection.execute("CREATE TABLE raw.events AS SELECT *, now() AS loaded_at FROM odd_rows")
        check = check_rows(connection, EVENT_ROWS, shown=len(odd))
    assert set(rows) - {row["kafka_offset"] for row in check.first_rows} == good
    assert _taken_by_pandera(table) == good


def _is_event(record: bytes) -> bool:
    try:
        decode_event(record)
    except InvalidEvent:
        return False
    return True


def _taken_by_pandera(rows: pa.Table) -> Good:
    frame = frame_of(rows)
    bad: set[int] = set()
    try:
        landed_rows_schema(EVENT_ROWS).validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as found:
        bad = set(found.failure_cases["index"].astype(int))
    return {int(offset) for place, offset in enumerate(frame["kafka_offset"]) if place not in bad}


def _numbers_of_rows() -> Good:
    return {row["kafka_offset"] for row in ROWS}


def _difference(one: Good, other: Good) -> dict[int, bytes]:
    """Which events they differ about; the records say which those are."""
    return {number: EVENTS[number].record[:500] for number in sorted(one ^ other)}


def _queries(table: dict[str, Any]) -> list[str]:
    """The numbers of the rows that each test of a table finds."""
    queries = []
    for column in table["columns"]:
        for test in column.get("data_tests", []):
            name, arguments = (test, {}) if isinstance(test, str) else next(iter(test.items()))
            if name != "unique":
                queries.append(_QUERIES[name](column["name"], arguments.get("arguments", {})))
    macro = jinja2.Template((DBT_PROJECT / "macros" / "broken_rules.sql").read_text()).module
    for test in table["data_tests"]:
        broken = macro.broken_rules(test["rows_keep_the_contract"]["arguments"]["rules"])  # type: ignore[attr-defined]
        queries.append(f"SELECT kafka_offset FROM raw.events WHERE len({broken}) > 0")  # noqa: S608 - our own rules
    return queries


_QUERIES: dict[str, Callable[[str, dict[str, Any]], str]] = {
    "not_null": lambda column, _: f"SELECT kafka_offset FROM raw.events WHERE {column} IS NULL",  # noqa: S608
    "accepted_values": lambda column, arguments: (
        f"SELECT kafka_offset FROM raw.events WHERE {column} NOT IN {tuple(arguments['values'])}"  # noqa: S608
    ),
}
