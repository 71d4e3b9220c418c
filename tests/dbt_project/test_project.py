"""What the project declares: the contract's columns, a grain, tests and an owner for everything."""

from typing import Any

from tests.dbt_project.dbt_build import DBT_PROJECT, Built

MARTS = {
    "fct_order_lines",
    "fct_orders",
    "fct_sessions",
    "fct_daily_sales",
    "fct_event_days",
    "fct_quality_days",
    "fct_rejections",
    "fct_window_results",
    "dim_households",
    "dim_products",
    "dim_campaigns",
    "data_quality_counts",
}


def test_every_mart_of_the_design_stands_with_an_enforced_contract(built: Built) -> None:
    marts = {node["name"]: node for node in _models(built) if node["schema"] == "marts"}
    assert set(marts) == MARTS
    assert all(node["contract"]["enforced"] for node in marts.values())
    assert all(column["data_type"] for node in marts.values() for column in node["columns"].values())


def test_every_model_and_source_says_its_grain_owner_and_group(built: Built) -> None:
    """The group is the schema, but for the predictions: their raw table belongs to what comes after serving."""
    for node in [*_models(built), *_sources(built)]:
        assert node["description"].startswith("One row per "), node["unique_id"]
        group = "inference" if node["name"] == "predictions" else node["schema"]
        assert node["meta"]["dagster"]["group"] == group, node["unique_id"]
        assert node["meta"]["dagster"]["owners"] == ["team:data"], node["unique_id"]
        assert all(column["description"] for column in node["columns"].values()), node["unique_id"]


def test_every_source_has_its_asset_key(built: Built) -> None:
    keys = {node["name"]: node["config"]["meta"]["dagster"]["asset_key"] for node in _sources(built)}
    assert keys.pop("predictions") == ["inference", "raw_predictions"]
    assert keys.pop("quarantined_rows") == ["quality", "quarantined_rows"]
    assert keys == {name: ["raw", name] for name in keys}
    assert len(keys) == 10


def test_every_model_and_source_is_tested(built: Built) -> None:
    manifest = built.artefact("manifest")
    tests = [node for node in manifest["nodes"].values() if node["resource_type"] == "test"]
    tested = {parent for node in tests for parent in node["depends_on"]["nodes"]}
    assert {node["unique_id"] for node in [*_models(built), *_sources(built)]} <= tested


def test_every_test_of_several_models_names_the_one_that_dagster_shows_it_under(built: Built) -> None:
    nodes = built.artefact("manifest")["nodes"].values()
    singular = [node for node in nodes if node["resource_type"] == "test" and not node.get("attached_node")]
    unnamed = [
        node["name"]
        for node in singular
        if len(set(node["depends_on"]["nodes"])) > 1 and "ref" not in node["config"]["meta"].get("dagster", {})
    ]
    assert singular
    assert not unnamed


def test_tests_have_distinct_names(built: Built) -> None:
    nodes = built.artefact("manifest")["nodes"].values()
    names = [node["name"] for node in nodes if node["resource_type"] == "test"]
    assert len(names) == len(set(names))


def test_key_that_is_held_by_counting_names_a_test_that_counts_its_model(built: Built) -> None:
    """Else nothing but the weekly full test would find a row of an earlier load that stands twice."""
    tests = {
        node["name"]: node
        for node in built.artefact("manifest")["nodes"].values()
        if node["resource_type"] == "test"
    }
    counted = {
        test["attached_node"]: test["test_metadata"]["kwargs"]["counted_by"]
        for test in tests.values()
        if "counted_by" in test.get("test_metadata", {}).get("kwargs", {})
    }
    assert len(counted) == 2
    assert all(model in tests[counting]["depends_on"]["nodes"] for model, counting in counted.items())


def test_no_package_comes_from_a_hub() -> None:
    assert not [name for name in ("packages.yml", "dependencies.yml") if (DBT_PROJECT / name).exists()]


def _models(built: Built) -> list[dict[str, Any]]:
    return [node for node in built.artefact("manifest")["nodes"].values() if node["resource_type"] == "model"]


def _sources(built: Built) -> list[dict[str, Any]]:
    return list(built.artefact("manifest")["sources"].values())
