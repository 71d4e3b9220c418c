"""What feature code needs of the warehouse. A DuckDB connection is one."""

from typing import Protocol

import pandas as pd


class QueryResult(Protocol):
    """The rows of one statement."""

    def df(self) -> pd.DataFrame:
        """All rows as a frame."""

    def fetchone(self) -> tuple[object, ...] | None:
        """The next row."""


class WarehouseConnection(Protocol):
    """Runs one statement with bound parameters."""

    def execute(self, query: str, parameters: object = ...) -> QueryResult:
        """Run the statement; parameters never become part of its text."""
