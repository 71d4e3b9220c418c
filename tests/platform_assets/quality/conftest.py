"""Data sets of a few rows."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import duckdb
import pyarrow as pa
import pytest

from platform_assets.quality.dataset import Dataset, FoundRows
from platform_assets.quality.row_rules import CannotJudge, Reference
from platform_assets.quality.sql_text import quoted

Table: TypeAlias = dict[str, Sequence[Any]]
"""Columns of values, or an Arrow table's worth of them with types."""
MakeDataset: TypeAlias = Callable[..., Dataset]


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """An engine of the test's own; its times are UTC."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


@pytest.fixture
def make_dataset(connection: duckdb.DuckDBPyConnection) -> MakeDataset:
    """Makes a data set of columns, and the data sets that it refers to by name."""

    def make(columns: Table | pa.Table, **references: Table | pa.Table) -> Dataset:
        for name, values in {"people": columns, **references}.items():
            table = values if isinstance(values, pa.Table) else pa.table(dict(values))
            connection.register("made", table)
            connection.execute(f"CREATE TABLE {quoted(name)} AS FROM made")
            connection.unregister("made")

        def reference(name: str) -> Reference:
            if name not in references:
                raise CannotJudge(f"There is no data set {name}")
            described = connection.execute(f"DESCRIBE {quoted(name)}").fetchall()
            return Reference(quoted(name), {row[0]: row[1] for row in described})

        return Dataset("people", connection, '"people"', reference, _no_custom_sql)

    return make


def _no_custom_sql(sql: str, most_rows: int) -> FoundRows:
    raise CannotJudge(f"No SQL here, not {sql!r} for {most_rows} rows")
