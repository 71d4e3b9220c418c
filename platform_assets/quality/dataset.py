"""A data set that is open for reading, and what a validation needs beside it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import duckdb

from platform_assets.quality.row_rules import References


@dataclass(frozen=True)
class FoundRows:
    """What custom SQL gave: how many rows, and the first of them."""

    count: int
    rows: list[dict[str, Any]]


class PersonSql(Protocol):
    """Runs a person's SELECT, which reads the data set as `dataset`, hardened and within limits."""

    def __call__(self, sql: str, most_rows: int) -> FoundRows:
        """Count the rows and give the first.

        Raises:
            CannotJudge: it is no SELECT, reaches outside, or takes more than it may.
        """


@dataclass(frozen=True)
class Dataset:
    """An open data set.

    Args:
        name: what people call it.
        connection: where it can be read.
        relation: what stands after FROM; its names are quoted.
        references: opens other data sets on the same connection, by name.
        person_sql: runs custom SQL.
        parameters: the values that the relation binds, by name.
    """

    name: str
    connection: duckdb.DuckDBPyConnection
    relation: str
    references: References
    person_sql: PersonSql
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def types(self) -> dict[str, str]:
        """The columns and their types, as DuckDB writes them."""
        described = self.connection.execute(f"DESCRIBE SELECT * FROM {self.relation}", dict(self.parameters))  # noqa: S608
        return {str(row[0]): str(row[1]) for row in described.fetchall()}
