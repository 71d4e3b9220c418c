"""`analytics sql`: look at what has landed and at the published marts, beside running builds and without a lock."""

import click
import duckdb
from rich.table import Table

from platform_assets.contracts.landing import (
    EVENT_COLUMNS,
    LATE_COLUMNS,
    PREDICTION_COLUMNS,
    REJECTION_COLUMNS,
    WINDOW_COLUMNS,
)
from platform_assets.contracts.topics import EVENTS, LATE, PREDICTIONS, REJECTED, WINDOWS
from resources.csv_export import csv_text
from resources.landing_zone import LandingZone, arrow_schema
from resources.settings import Settings
from resources.settings.console import err, out
from resources.settings.options import with_settings
from resources.warehouse.snapshots import read_pointer

_MOST_ROWS = 1000
_LANDED = (
    ("events", EVENTS, EVENT_COLUMNS),
    ("rejected_events", REJECTED, REJECTION_COLUMNS),
    ("window_results", WINDOWS, WINDOW_COLUMNS),
    ("late_events", LATE, LATE_COLUMNS),
    ("predictions", PREDICTIONS, PREDICTION_COLUMNS),
)


@click.command()
@click.argument("query", required=False)
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values.")
@with_settings
def sql(settings: Settings, query: str | None, as_csv: bool) -> None:
    """Query landed events and published marts; without QUERY, list the tables.

    landing.events, rejected_events, window_results, late_events and predictions are the log's records within seconds
    of their arrival; marts.* is the newest published snapshot. Your session's tables are its own and vanish with it.
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
        click.echo(csv_text(columns, rows[:_MOST_ROWS]), nl=False)
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
        connection.execute("CREATE SCHEMA marts")
        for name, table in snapshot.tables.items():
            path = str(settings.snapshots_dir / table.file).replace("'", "''")
            connection.execute(f"ATTACH '{path}' AS published_{name} (READ_ONLY)")
            connection.execute(f"CREATE VIEW marts.{name} AS FROM published_{name}.marts.{name}")
    connection.execute("CREATE SCHEMA landing")
    landing = LandingZone(settings.landing_dir)
    for view, topic, columns in _LANDED:
        # By name, not by pattern: files that compaction has merged into others are still there for a while.
        paths = [str(landing.root / file.path).replace("'", "''") for file in landing.files(topic.name)]
        if paths:
            files = ", ".join(f"'{path}'" for path in paths)
            connection.execute(f"CREATE VIEW landing.{view} AS FROM read_parquet([{files}], hive_partitioning = false)")
        else:
            connection.register("nothing_yet", arrow_schema(columns).empty_table())
            connection.execute(f"CREATE TABLE landing.{view} AS FROM nothing_yet")
    return connection
