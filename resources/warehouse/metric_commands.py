"""`analytics metrics`: the declared metrics, and their values from the published marts, as the API answers them."""

import datetime as dt

import click
from rich.table import Table

from platform_assets.contracts.metric_queries import (
    DEFAULT_ROWS,
    MAX_ROWS,
    MetricQueryInvalid,
    UnknownMetric,
    find_metric,
    metric_query,
)
from platform_assets.contracts.metrics import METRICS, Grain
from resources.settings import Settings
from resources.settings.console import err, out
from resources.settings.options import with_settings

_DAY = click.DateTime(["%Y-%m-%d"])


@click.group()
def metrics() -> None:
    """Metrics of the published marts."""


@metrics.command("list")
def list_metrics() -> None:
    """Every metric, its unit and what it may be cut along."""
    table = Table("metric", "unit", "dimensions", "description", box=None, pad_edge=False)
    for name in sorted(METRICS):
        metric = METRICS[name]
        dimensions = ", ".join(dimension.name for dimension in metric.dimensions)
        table.add_row(name, metric.unit, dimensions, metric.description)
    out.print(table)


@metrics.command()
@click.argument("name")
@click.option(
    "--grain", type=click.Choice([grain.value for grain in Grain]), default=Grain.DAY.value, show_default=True
)
@click.option("--dimension", "dimensions", multiple=True, help="Cut along it; may be repeated.")
@click.option("--filter", "filters", multiple=True, metavar="DIMENSION:OPERATOR:VALUE", help="May be repeated.")
@click.option("--from", "first_day", type=_DAY, help="First business day.")
@click.option("--to", "last_day", type=_DAY, help="Last business day, inclusive.")
@click.option("--order", multiple=True, help="period, value or a dimension; with - before it, descending.")
@click.option("--limit", type=click.IntRange(1, MAX_ROWS), default=DEFAULT_ROWS, show_default=True)
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values.")
@with_settings
def show(
    settings: Settings,
    *,
    name: str,
    grain: str,
    dimensions: tuple[str, ...],
    filters: tuple[str, ...],
    first_day: dt.datetime | None,
    last_day: dt.datetime | None,
    order: tuple[str, ...],
    limit: int,
    as_csv: bool,
) -> None:
    """The values of metric NAME."""
    from resources.csv_export import csv_text
    from resources.warehouse.hardened import QueryTooLarge, QueryTooLong
    from resources.warehouse.metric_queries import compile_query
    from resources.warehouse.person_sql import QueryInvalid
    from resources.warehouse.snapshot_reader import NoSnapshot, SnapshotReader
    from resources.warehouse.snapshots import SnapshotUnreadable

    try:
        query = metric_query(
            find_metric(name),
            grain=grain,
            dimensions=dimensions,
            filters=filters,
            first_day=first_day.date() if first_day else None,
            last_day=last_day.date() if last_day else None,
            order=order,
            limit=limit,
        )
        compiled = compile_query(query, settings.warehouse.business_timezone)
        opened = SnapshotReader(settings.snapshots_dir).look()
        found = opened.database.run(compiled.sql, compiled.parameters, rows=limit)
    except QueryInvalid:
        raise click.ClickException(f"The published marts do not have {name} yet; run warehouse_job.") from None
    except (UnknownMetric, MetricQueryInvalid, NoSnapshot, SnapshotUnreadable, QueryTooLong, QueryTooLarge) as error:
        raise click.ClickException(str(error)) from None
    if as_csv:
        click.echo(csv_text(query.columns, found.rows), nl=False)
    else:
        table = Table(*query.columns, box=None, pad_edge=False)
        for row in found.rows:
            table.add_row(*("" if value is None else str(value) for value in row))
        out.print(table)
        err.print(f"{query.metric.unit}; published {opened.snapshot.published_at:%Y-%m-%d %H:%M} UTC", markup=False)
    if found.truncated:
        err.print(f"Only the first {limit} rows are shown.")
