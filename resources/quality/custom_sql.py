"""A person's SELECT on a data set: on a hardened database that holds the data set as `dataset` and nothing else."""

import tempfile
from pathlib import Path

import duckdb

from platform_assets.quality.dataset import FoundRows
from platform_assets.quality.row_rules import CannotJudge
from platform_assets.quality.sql_text import text_literal
from resources.warehouse.hardened import (
    DatabaseUnreadable,
    HardenedDatabase,
    QueryLimits,
    QueryTooLarge,
    QueryTooLong,
)
from resources.warehouse.person_sql import QueryInvalid, QueryRefused

LIMITS = QueryLimits(seconds=60, rows=1000, memory="512MB")


class CustomSql:
    """Runs custom SQL on a copy of the data set, made on disk when the first SELECT comes.

    A copy, since a view over files would need the file system that the hardened database is cut off from.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, relation: str, parameters: dict[str, object]) -> None:
        self._connection = connection
        self._relation = relation
        self._parameters = parameters
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._database: HardenedDatabase | None = None

    def __call__(self, sql: str, most_rows: int) -> FoundRows:
        """See `PersonSql`."""
        select = sql.strip().removesuffix(";")
        try:
            database = self._opened()
            found = database.ask(select, rows=max(1, most_rows))
            count = len(found.rows)
            if found.truncated:
                # It is one SELECT, as we know by now. A comment at its end must not swallow the bracket.
                count = int(database.ask(f"SELECT count(*) FROM (\n{select}\n)").rows[0][0])  # noqa: S608 - see above
        except (QueryRefused, QueryInvalid, QueryTooLong, QueryTooLarge, DatabaseUnreadable) as error:
            raise CannotJudge(str(error)) from None
        rows = [dict(zip(found.columns, row, strict=True)) for row in found.rows[:most_rows]]
        return FoundRows(count, rows)

    def close(self) -> None:
        """Remove the copy."""
        if self._database is not None:
            self._database.close()
        if self._folder is not None:
            self._folder.cleanup()

    def _opened(self) -> HardenedDatabase:
        if self._database is None:
            self._folder = tempfile.TemporaryDirectory(prefix="quality-")
            path = Path(self._folder.name) / "copy.duckdb"
            self._connection.execute(f"ATTACH {text_literal(str(path))} AS quality_copy")
            try:
                self._connection.execute(
                    f"CREATE TABLE quality_copy.dataset AS SELECT * FROM {self._relation}",  # noqa: S608 - quoted names
                    self._parameters,
                )
            finally:
                self._connection.execute("DETACH quality_copy")
            self._database = HardenedDatabase({"copy": path}, limits=LIMITS)
        return self._database
