"""The published copy is checked against the marts as they are now."""

from dagster import MaterializeResult

from platform_assets.defs.serving.marts_snapshot import marts_snapshot, snapshot_equals_marts
from resources.settings import Settings
from resources.warehouse import Warehouse
from resources.warehouse.snapshots import SERVED_MARTS
from tests.check_results import evaluate, shown


def build(warehouse: Warehouse, rows: int) -> None:
    with warehouse.write("marts") as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS marts")
        for mart in SERVED_MARTS:
            columns = ", ".join(f"n AS {column}" for column in mart.order_by)
            connection.execute(
                f"CREATE OR REPLACE TABLE marts.{mart.name} AS SELECT {columns} FROM range({rows}) AS t(n)"  # noqa: S608
            )


def publish(settings: Settings, warehouse: Warehouse) -> dict[str, object]:
    result = marts_snapshot(settings=settings, warehouse=warehouse)
    assert isinstance(result, MaterializeResult)
    return dict(result.metadata or {})


def test_published_copy_passes_until_a_mart_changes(settings: Settings, warehouse: Warehouse) -> None:
    build(warehouse, 3)
    assert publish(settings, warehouse)["published"] is True
    assert publish(settings, warehouse)["published"] is False
    assert evaluate(snapshot_equals_marts, settings=settings, warehouse=warehouse).passed
    with warehouse.write("change") as connection:
        connection.execute("UPDATE marts.dim_products SET product_id = 7 WHERE product_id = 0")
    result = evaluate(snapshot_equals_marts, settings=settings, warehouse=warehouse)
    assert not result.passed
    assert shown(result)["differing_marts"] == ["dim_products"]


def test_publication_reports_rows_by_mart(settings: Settings, warehouse: Warehouse) -> None:
    build(warehouse, 3)
    metadata = publish(settings, warehouse)
    assert metadata["dagster/row_count"] == 3 * len(SERVED_MARTS)
    assert metadata["fct_orders_rows"] == 3
