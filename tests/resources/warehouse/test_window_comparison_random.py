"""The recomputation agrees with the engine's oracle on random logs, and finds what is changed in its results."""

import dataclasses
import datetime as dt
import json
import random
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from platform_assets.contracts.landing import EVENT_COLUMNS, LATE_COLUMNS, WINDOW_COLUMNS
from platform_assets.contracts.topics import EVENTS
from platform_assets.contracts.windows import WindowType
from resources.landing_zone import arrow_schema
from resources.warehouse.landed_tables import LANDED_TABLES, create_landed_table
from resources.warehouse.window_comparison import compare_windows
from tests.landed_records import LOG, event, late_event, window_result
from tests.platform_assets.windows.oracle import Expected, Record, exact, expected_windows
from tests.platform_assets.windows.random_streams import Stream, random_stream

ENVELOPE = ("user_id",)
SEEDS = range(12)

_ONE_MORE = """
UPDATE raw.window_results SET event_count = event_count + 1
WHERE result_id = (SELECT max(result_id) FROM raw.window_results)
RETURNING result_id
"""

Rows = list[dict[str, Any]]


def time_of(milliseconds: int) -> dt.datetime:
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=milliseconds)


def landed(partition: int, record: Record) -> dict[str, Any]:
    return event(
        record.offset,
        partition=partition,
        event_id=record.event_id,
        event_name=record.event_name,
        user_id=record.fields["user_id"],
        occurred_at=time_of(record.occurred_ms),
        received_at=time_of(record.received_ms),
        payload=json.dumps({name: value for name, value in record.fields.items() if name not in ENVELOPE}),
    )


def results_of(partition: int, records: tuple[Record, ...], expected: Expected, stream: Stream) -> Rows:
    definitions = {definition.name: definition for definition in stream.definitions}
    return [
        window_result(
            0,
            name,
            key,
            time_of(start),
            dt.timedelta(milliseconds=end - start),
            event_count=len(window.events),
            aggregates=json.dumps(
                {
                    aggregate.name: exact(aggregate, window.values(aggregate))
                    for aggregate in definitions[name].aggregates
                }
            ),
            source_partition=partition,
            next_offset=records[-1].offset + 1,
            watermark=time_of(expected.watermark_ms or 0),
        )
        for (name, key, start, end), window in expected.final.items()
    ]


def late_of(partition: int, records: tuple[Record, ...], expected: Expected) -> Rows:
    rows = []
    reached: int | None = None
    for record in records:
        names = sorted(name for offset, name in expected.late if offset == record.offset)
        if names:
            rows.append(
                late_event(
                    0,
                    source_offset=record.offset,
                    source_partition=partition,
                    windows=json.dumps(names),
                    watermark=time_of(reached or 0),
                )
            )
        reached = max(reached or 0, min(record.occurred_ms, record.received_ms))
    return rows


def fill(connection: duckdb.DuckDBPyConnection, stream: Stream) -> None:
    """Put the landed log and the oracle's results into raw tables, repeated ids in their own."""
    events, results, late = [], [], []
    for partition, records in enumerate(stream.partitions):
        expected = expected_windows(records, stream.definitions)
        events += [landed(partition, record) for record in records]
        results += results_of(partition, records, expected, stream)
        late += late_of(partition, records, expected)
    kept: dict[str, dict[str, Any]] = {}
    for row in sorted(events, key=lambda row: row["received_at"]):
        kept.setdefault(row["event_id"], row)
    repeated = [row for row in events if kept[row["event_id"]] is not row]
    for table in LANDED_TABLES:
        create_landed_table(connection, table)
        connection.execute("INSERT INTO raw.load_times VALUES ($topic, now())", {"topic": table.topic})
    for partition, records in enumerate(stream.partitions):
        connection.execute(
            "INSERT INTO raw.loads VALUES ($topic, $log, $partition, 0, $last, 0, 0, 0, now())",
            {"topic": EVENTS.name, "log": LOG, "partition": partition, "last": records[-1].offset},
        )
    for name, columns, rows in (
        ("raw.events", EVENT_COLUMNS, list(kept.values())),
        ("raw.repeated_events", EVENT_COLUMNS, repeated),
        ("raw.window_results", WINDOW_COLUMNS, results),
        ("raw.late_events", LATE_COLUMNS, late),
    ):
        connection.register("given", pa.Table.from_pylist(rows, schema=arrow_schema(columns)))
        connection.execute(f"INSERT INTO {name} BY NAME FROM given")
        connection.unregister("given")


@pytest.mark.parametrize("window_type", list(WindowType))
def test_results_of_random_logs_are_equal_and_one_more_event_in_any_is_found(window_type: WindowType) -> None:
    """Shuffled, late and repeated events, silences beyond the horizon, several partitions, null keys and odd values."""
    compared = 0
    for seed in SEEDS:
        stream = random_stream(random.Random(f"{window_type}-{seed}"), window_type)  # noqa: S311 - repeatable, not secret
        definitions = tuple(dataclasses.replace(one, key_field="user_id") for one in stream.definitions)
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'; SET threads = 1")
            fill(connection, dataclasses.replace(stream, definitions=definitions))
            for comparison in compare_windows(connection, definitions):
                assert comparison.is_equal, (seed, comparison)
                compared += comparison.equal
            changed = connection.execute(_ONE_MORE).fetchall()
            found = [row["verdict"] for one in compare_windows(connection, definitions) for row in one.wrong]
            assert found == ["differing"] * len(changed), seed
    assert compared > 100
