"""How landed columns are encoded: every reader finds what was written, in fewer bytes."""

import datetime as dt
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources.landing_encoding import parquet_options
from streaming.decoding import EVENT_SCHEMA, REJECTION_SCHEMA
from streaming.stream_decoders import LATE_SCHEMA, PREDICTION_SCHEMA, WINDOW_SCHEMA

SCHEMAS = [EVENT_SCHEMA, REJECTION_SCHEMA, WINDOW_SCHEMA, LATE_SCHEMA, PREDICTION_SCHEMA]
# DuckDB has its earliest and latest values for the two infinities.
TIMES = st.datetimes(
    dt.datetime(1, 1, 2),  # noqa: DTZ001 - hypothesis wants them so, and the zone beside them
    dt.datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=st.just(dt.UTC),
)
VALUES: dict[pa.DataType, st.SearchStrategy[object]] = {
    pa.timestamp("us", "UTC"): TIMES,
    pa.date32(): st.dates(dt.date(1, 1, 2), dt.date(9999, 12, 30)),
    pa.int32(): st.integers(-(2**31), 2**31 - 1),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float64(): st.floats(allow_nan=False),
    pa.string(): st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
}


@st.composite
def tables(draw: st.DrawFn, schema: pa.Schema) -> pa.Table:
    count = draw(st.integers(0, 20))
    columns = [
        draw(
            st.lists(
                st.none() | VALUES[field.type] if field.nullable else VALUES[field.type],
                min_size=count,
                max_size=count,
            )
        )
        for field in schema
    ]
    return pa.table([pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema)


@pytest.mark.parametrize("schema", SCHEMAS, ids=["events", "rejections", "windows", "late", "predictions"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_arrow_and_duckdb_read_what_was_written(tmp_path: Path, schema: pa.Schema, data: st.DataObject) -> None:
    """Whatever the values are like, the largest and smallest among them."""
    table = data.draw(tables(schema))
    path = tmp_path / "file.parquet"
    pq.write_table(table, path, **parquet_options(schema))
    assert pq.ParquetFile(path).read().equals(table)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.execute("SELECT * FROM read_parquet(?, hive_partitioning = false)", [str(path)])
        assert found.to_arrow_table().cast(schema).to_pylist() == table.to_pylist()


def test_ids_times_and_offsets_take_less_than_in_dictionaries(tmp_path: Path) -> None:
    """A dictionary holds each of them once, and its place as well."""
    count = 20_000
    times = [dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=7 * row) for row in range(count)]
    repeated: dict[str, list[object]] = {field.name: ["some"] * count for field in EVENT_SCHEMA}
    own: dict[str, list[object]] = {
        "event_id": [f"{row * 7919 % 2**31:08x}" for row in range(count)],
        "payload": [f'{{"amount":{row * 31 % 9973}}}' for row in range(count)],
        "occurred_at": list(times),
        "received_at": list(times),
        "schema_version": [1] * count,
        "kafka_partition": [0] * count,
        "kafka_offset": list(range(count)),
    }
    table = pa.table(repeated | own, EVENT_SCHEMA)
    pq.write_table(table, tmp_path / "own.parquet", **parquet_options(EVENT_SCHEMA))
    pq.write_table(table, tmp_path / "plain.parquet", compression="zstd")
    assert (tmp_path / "own.parquet").stat().st_size < 0.5 * (tmp_path / "plain.parquet").stat().st_size
