"""Metrics are declared in one place, over marts and columns that dbt builds."""

import json
from pathlib import Path
from typing import Any

import pytest

from platform_assets.contracts.metrics import (
    METRICS,
    Count,
    Dimension,
    Grain,
    Metric,
    Operator,
    Ratio,
    Sum,
    TimeColumn,
    ValueType,
)
from resources.warehouse.snapshots import SERVED_MARTS

MANIFEST = Path(__file__).parents[3] / "dbt_project" / "target" / "manifest.json"
_DBT_TYPES = {
    ValueType.TEXT: {"varchar"},
    ValueType.INTEGER: {"integer", "bigint"},
    ValueType.NUMBER: {"double"},
    ValueType.BOOLEAN: {"boolean"},
    ValueType.DATE: {"date"},
    ValueType.TIMESTAMP: {"timestamptz"},
}
_NUMBERS = _DBT_TYPES[ValueType.INTEGER] | _DBT_TYPES[ValueType.NUMBER]


@pytest.fixture(scope="module")
def marts() -> dict[str, dict[str, str]]:
    """The columns of dbt's models and their types."""
    if not MANIFEST.exists():
        pytest.skip("no dbt manifest: run make manifest")
    nodes: dict[str, Any] = json.loads(MANIFEST.read_text())["nodes"]
    return {
        node["name"]: {name: column["data_type"] for name, column in node["columns"].items()}
        for node in nodes.values()
        if node["resource_type"] == "model"
    }


def summed_columns(metric: Metric) -> set[str]:
    """The columns that have to be numbers."""
    measure = metric.measure
    parts = (measure.numerator, measure.denominator) if isinstance(measure, Ratio) else (measure,)
    return {column for part in parts if isinstance(part, Sum) for column in part.columns}


@pytest.mark.parametrize("metric", METRICS.values(), ids=list(METRICS))
def test_metric_reads_columns_that_its_mart_has_with_fitting_types(
    metric: Metric, marts: dict[str, dict[str, str]]
) -> None:
    columns = marts[metric.mart]
    assert metric.columns <= set(columns)
    assert columns[metric.time.name] in _DBT_TYPES[metric.time.type]
    for dimension in metric.dimensions:
        assert columns[dimension.name] in _DBT_TYPES[dimension.type], dimension.name
    for column in summed_columns(metric):
        assert columns[column] in _NUMBERS, column


@pytest.mark.parametrize("metric", METRICS.values(), ids=list(METRICS))
def test_metric_s_mart_is_served_and_ordered_by_its_time(metric: Metric) -> None:
    served = {mart.name: mart for mart in SERVED_MARTS}
    assert served[metric.mart].order_by[0] == metric.time.name


@pytest.mark.parametrize("metric", METRICS.values(), ids=list(METRICS))
def test_metric_says_what_it_is(metric: Metric) -> None:
    assert metric.description.endswith(".")
    assert metric.owner.startswith("team:")
    assert metric.freshness.total_seconds() > 0
    assert Grain.DAY in metric.grains


@pytest.mark.parametrize("names", [("a", "a"), ("period",), ("value",)])
def test_dimension_whose_name_is_taken_is_refused(names: tuple[str, ...]) -> None:
    dimensions = tuple(Dimension(name, ValueType.TEXT, "x") for name in names)
    with pytest.raises(ValueError, match="rename it"):
        Metric(
            name="m",
            title="M",
            description="M.",
            unit="1",
            mart="m",
            time=TimeColumn("day"),
            measure=Count(),
            dimensions=dimensions,
        )


def test_operators_fit_the_type() -> None:
    assert Operator.GT in Dimension("d", ValueType.DATE, "x").operators
    assert Operator.GT not in Dimension("d", ValueType.TEXT, "x").operators
    assert Dimension("d", ValueType.BOOLEAN, "x").operators == (Operator.EQ, Operator.NULL)


def test_sums_and_counts_add_up_and_nothing_else_does() -> None:
    additive = {name for name, metric in METRICS.items() if metric.is_additive}
    assert {"sales", "orders", "events"} <= additive
    assert additive.isdisjoint({"active_households", "average_order_value", "discount_share", "orders_per_household"})
