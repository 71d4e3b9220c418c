"""Everything is described: each column of each table, who may read a model and who does; dbt makes its pages of it."""

from typing import Any

from platform_assets.contracts.metrics import METRICS
from resources.warehouse.snapshots import SERVED_MARTS
from tests.dbt_project.dbt_build import DBT_PROJECT, Built, run_dbt


def test_every_column_of_every_built_table_and_view_is_described(built: Built) -> None:
    """What YAML names and the warehouse does not have is found too."""
    real: dict[str, set[str]] = {}
    for table, column in built.rows("select schema_name || '.' || table_name, column_name from duckdb_columns()"):
        real.setdefault(table, set()).add(column)
    described = {
        f"{node['schema']}.{node['name']}": {name for name, column in node["columns"].items() if column["description"]}
        for node in built.artefact("manifest")["nodes"].values()
        if node["resource_type"] in ("model", "snapshot")
    }
    assert {table: real.get(table) for table in described} == described


def test_marts_are_public_and_what_they_are_made_of_is_private(built: Built) -> None:
    access = {
        (node["schema"], node["access"], node["group"])
        for node in built.artefact("manifest")["nodes"].values()
        if node["resource_type"] == "model"
    }
    assert access == {
        ("staging", "private", "warehouse"),
        ("intermediate", "private", "warehouse"),
        ("marts", "public", "warehouse"),
        ("inference", "protected", "inference"),
    }


def test_exposures_name_the_marts_that_their_code_reads(built: Built) -> None:
    exposures = _exposures(built)
    nodes = built.artefact("manifest")["nodes"].values()
    marts = {node["name"] for node in nodes if node["resource_type"] == "model" and node["schema"] == "marts"}
    assert exposures["marts_snapshot"] == {mart.name for mart in SERVED_MARTS}
    assert exposures["metrics_route"] == {metric.mart for metric in METRICS.values()}
    assert exposures["churn_model"] == {"fct_orders", "fct_order_lines"}
    assert exposures["lineage_graph"] == marts


def test_every_exposure_has_an_owner_a_maturity_and_a_description(built: Built) -> None:
    for exposure in built.artefact("manifest")["exposures"].values():
        assert exposure["owner"]["name"], exposure["name"]
        assert exposure["maturity"], exposure["name"]
        assert exposure["description"], exposure["name"]


def test_dbt_docs_are_generated(built: Built) -> None:
    """From what was compiled before: 2 s."""
    variables = {"ANALYTICS_WAREHOUSE__PATH": str(built.warehouse), "DBT_TARGET_PATH": str(built.artefacts)}
    logs = {"DBT_LOG_PATH": str(built.artefacts.parent / "logs")}
    run_dbt(DBT_PROJECT, variables | logs, "docs", "generate", "--no-compile", "--static")
    assert (built.artefacts / "static_index.html").stat().st_size > 1_000_000


def _exposures(built: Built) -> dict[str, set[str]]:
    exposures: dict[str, Any] = built.artefact("manifest")["exposures"]
    return {
        exposure["name"]: {unique_id.rpartition(".")[2] for unique_id in exposure["depends_on"]["nodes"]}
        for exposure in exposures.values()
    }
