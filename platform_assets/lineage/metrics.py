"""Metrics: which columns of the published marts each one reads, and the route that serves them."""

from collections.abc import Iterable

from platform_assets.contracts.metrics import METRICS, Count, CountDistinct, Metric, Ratio, Sum, columns_of
from platform_assets.lineage.building import GraphBuilder
from platform_assets.lineage.graph import ROWS, AssetKind, Column, Influence, Place
from platform_assets.lineage.routes import METRIC
from platform_assets.lineage.serving import SNAPSHOT


def add_metrics(builder: GraphBuilder, metrics: Iterable[Metric] = METRICS.values()) -> None:
    """Each metric of the snapshot, and the route that serves them."""
    builder.asset(METRIC.asset, AssetKind.ROUTE, METRIC.description, facts=METRIC.facts)
    for metric in metrics:
        missing = [one for one in sorted(metric.columns) if not builder.graph.has(_served(metric, one))]
        if missing:
            builder.problems.append(f"metrics/{metric.name}: the snapshot has no {', '.join(missing)} of {metric.mart}")
            continue
        _add_metric(builder, metric)


def _add_metric(builder: GraphBuilder, metric: Metric) -> None:
    name, found_in = f"metrics/{metric.name}", f"metric {metric.name}"
    dimensions = [Column(one.name, one.type.value, one.description) for one in metric.dimensions]
    builder.asset(
        name, AssetKind.METRIC, metric.description,
        [Column("value", metric.unit), Column("period"), *dimensions],
        facts={"unit": metric.unit, "owner": metric.owner},
    )  # fmt: skip
    builder.edge(_served(metric, metric.time.name), Place(name, "period"), found_in)
    for one in metric.dimensions:
        builder.edge(_served(metric, one.name), Place(name, one.name), found_in)
    builder.edge(_served(metric, ROWS), Place(name, ROWS), found_in)
    for condition in metric.filters:
        builder.edge(_served(metric, condition.column), Place(name, ROWS), found_in, Influence.CONDITION)
    parts = (metric.measure.numerator, metric.measure.denominator) if isinstance(metric.measure, Ratio) else (
        metric.measure,
    )  # fmt: skip
    for part in parts:
        _add_measure(builder, metric, part)
    for column in builder.graph.assets[name].columns:
        builder.edge(Place(name, column.name), Place(METRIC.asset), found_in)


def _add_measure(builder: GraphBuilder, metric: Metric, part: Sum | Count | CountDistinct) -> None:
    value, found_in = Place(f"metrics/{metric.name}", "value"), f"metric {metric.name}"
    influence = Influence.CONDITION if isinstance(part, Count) else Influence.DIRECT
    for column in sorted(columns_of(part)):
        builder.edge(_served(metric, column), value, found_in, influence)
    if isinstance(part, Count):
        builder.edge(_served(metric, ROWS), value, found_in)


def _served(metric: Metric, column: str) -> Place:
    return Place(SNAPSHOT, f"{metric.mart}.{column}")
