"""`analytics sql`: look at what has landed and at the published marts, beside running builds and without a lock."""

import click
import duckdb
from rich.table import Table

from platform_assets.contracts.landing import EVENT_COLUMNS, REJECTION_COLUMNS
from platform_assets.contracts.topics import EVENTS, REJECTED
from resources.landing_zone import arrow_schema
from resources.settings import Settings
from resources.settings.console import err, out
from resources.settings.options import with_settings
from resources.warehouse.snapshots import read_pointer

_MOST_ROWS = 1000


@click.command()
@click.argument("query", required=False)
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values.")
@with_settings
def sql(settings: Settings, query: str | None, as_csv: bool) -> None:
    """Query landed events and published marts; without QUERY, list the tables.

    landing.events and landing.rejected_events are the log's records within seconds of their arrival; marts.* is the
    newest published snapshot. Your session's tables are its own and vanish with it.
    """
    connection = _open(settings)
    try:
        # A statement without a result gives None, whatever the stubs say.
        result: duckdb.DuckDBPyRelation | None = connection.sql(
            query
            or "SELECT table_schema || '.' || table_name AS name FROM information_schema.tables "
            "WHERE table_schema IN ('landing', 'marts') ORDER BY 1"
        )
        if result is None:
            return
        columns, rows = result.columns, result.fetchmany(_MOST_ROWS + 1)
    except duckdb.Error as error:
        raise click.ClickException(str(error)) from None
    finally:
        connection.close()
    if as_csv:
        _print_csv(columns, rows[:_MOST_ROWS])
    else:
        table = Table(*columns, box=None, pad_edge=False)
        for row in rows[:_MOST_ROWS]:
            table.add_row(*("" if value is None else str(value) for value in row))
        out.print(table)
    if len(rows) > _MOST_ROWS:
        err.print(f"Only the first {_MOST_ROWS} rows are shown.")


def _open(settings: Settings) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    snapshot = read_pointer(settings.snapshots_dir)
    if snapshot is not None:
        path = str(settings.snapshots_dir / snapshot.file).replace("'", "''")
        connection.execute(f"ATTACH '{path}' AS snapshot (READ_ONLY)")
        connection.execute("CREATE SCHEMA marts")
        for name in snapshot.tables:
            connection.execute(f"CREATE VIEW marts.{name} AS FROM snapshot.marts.{name}")
    connection.execute("CREATE SCHEMA landing")
    for view, topic, columns in (
        ("events", EVENTS, EVENT_COLUMNS),
        ("rejected_events", REJECTED, REJECTION_COLUMNS),
    ):
        folder = settings.landing_dir / topic.name
        if any(folder.glob("log=*/part=*/*.parquet")):
            pattern = str(folder / "log=*" / "part=*" / "*.parquet").replace("'", "''")
            connection.execute(
                f"CREATE VIEW landing.{view} AS FROM read_parquet('{pattern}', hive_partitioning = false)"
            )
        else:
            connection.register("nothing_yet", arrow_schema(columns).empty_table())
            connection.execute(f"CREATE TABLE landing.{view} AS FROM nothing_yet")
    return connection


def _print_csv(columns: list[str], rows: list[tuple[object, ...]]) -> None:
    import csv
    import sys

    writer = csv.writer(sys.stdout)
    writer.writerow(columns)
    writer.writerows(rows)
