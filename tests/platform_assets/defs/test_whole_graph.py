"""The jobs on a data folder of 100 households, one after the other, and the checks of what they made."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from dagster import AssetCheckEvaluation, AssetCheckSeverity, AssetKey, DagsterInstance, ExecuteInProcessResult
from dagster._core.definitions.metadata import FloatMetadataValue, IntMetadataValue

from platform_assets.contracts.features import CUSTOMER_ACTIVITY
from platform_assets.contracts.predictions import CHURN
from platform_assets.definitions import build_definitions
from platform_assets.defs.serving.churn_model import check_export
from platform_assets.defs.serving.customer_activity import online_features_equal_warehouse
from platform_assets.defs.serving.predict_route import known_household, predict_route_serves_the_champion
from resources.landing_zone import LandingZone
from resources.online_store import SqliteOnlineStore
from resources.settings import ApiSettings, ChurnSettings, KafkaSettings, Settings
from resources.warehouse import Warehouse
from tests.check_results import evaluate, shown
from tests.conftest import free_port
from tests.landed_records import land_purchases, land_rejections, rejection
from tests.served_api import served_api

HOUSEHOLDS = 100
# reference_job is a part of the first.
JOBS = ("warehouse_job", "churn_job", "compaction_job", "warehouse_full_tests", "freshness_job")


@dataclass(frozen=True)
class Graph:
    """A data folder after the jobs."""

    settings: Settings
    instance: DagsterInstance
    lines: int
    results: dict[str, ExecuteInProcessResult]

    def numbers(self, job: str, *key: str) -> dict[str, float]:
        """The numeric metadata of an asset's materialisation."""
        (made,) = [
            event.step_materialization_data.materialization
            for event in self.results[job].get_asset_materialization_events()
            if event.asset_key == AssetKey(key)
        ]
        return {
            name: value.value
            for name, value in made.metadata.items()
            if isinstance(value, FloatMetadataValue | IntMetadataValue) and value.value is not None
        }


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory, embedded_broker: str) -> Iterator[Graph]:
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("whole") / "data",
        api=ApiSettings(port=free_port()),
        kafka=KafkaSettings(bootstrap_servers=embedded_broker),
        churn=ChurnSettings(expects_full_data=False),
    )
    landing = LandingZone(settings.landing_dir)
    lines = land_purchases(landing, HOUSEHOLDS)
    land_rejections(landing, [rejection(0)])
    definitions = build_definitions(settings)
    with DagsterInstance.ephemeral() as instance:
        results = {
            job: definitions.resolve_job_def(job).execute_in_process(instance=instance, raise_on_error=False)
            for job in JOBS
        }
        yield Graph(settings, instance, lines, results)


def checks(graph: Graph) -> list[AssetCheckEvaluation]:
    return [check for result in graph.results.values() for check in result.get_asset_check_evaluations()]


def test_every_job_succeeds_and_every_check_of_error_severity_passes(graph: Graph) -> None:
    assert {job: result.success for job, result in graph.results.items()} == dict.fromkeys(JOBS, True)
    failed = [
        f"{check.asset_key}: {check.check_name}"
        for check in checks(graph)
        if not check.passed and check.severity is AssetCheckSeverity.ERROR
    ]
    assert failed == []
    assert len(checks(graph)) > 100


def test_every_asset_that_dagster_makes_is_made_once(graph: Graph) -> None:
    made = [
        event.asset_key
        for result in graph.results.values()
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None
    ]
    assert sorted(made) == sorted(build_definitions(graph.settings).resolve_asset_graph().materializable_asset_keys)


def test_numbers_add_up_from_landing_to_serving(graph: Graph) -> None:
    raw = graph.numbers("warehouse_job", "raw", "events")
    trained = graph.numbers("churn_job", "models", "churn")
    served = graph.numbers("churn_job", "serving", "customer_activity")
    assert raw["dagster/row_count"] == raw["new_rows"] == graph.lines
    assert raw["duplicate_rows"] == 0
    assert 0 < served["entities"] <= HOUSEHOLDS
    assert 0 <= trained["auc"] <= 1
    assert {"auc", "rule_auc", "logistic_auc", "gradient_boosting_auc"} <= trained.keys()
    with Warehouse.of(graph.settings).read() as connection:
        assert connection.execute("SELECT count(*) FROM marts.fct_order_lines").fetchone() == (graph.lines,)


def test_model_shows_its_picture_and_the_first_one_is_promoted_as_bootstrap(graph: Graph) -> None:
    (made,) = graph.results["churn_job"].asset_materializations_for_node("models__churn")
    assert str(made.metadata["picture"].value).startswith("![churn](data:image/png;base64,")
    assert str(made.metadata["gate"].value).startswith("bootstrap: ")
    assert made.metadata["champion"].value == made.metadata["version"].value == "1"


def test_columns_and_their_lineage_are_on_the_marts(graph: Graph) -> None:
    (orders,) = [
        event.step_materialization_data.materialization
        for event in graph.results["warehouse_job"].get_asset_materialization_events()
        if event.asset_key == AssetKey(["marts", "fct_orders"])
    ]
    assert {"dagster/column_schema", "dagster/column_lineage"} <= orders.metadata.keys()


def test_platform_checks_pass_while_the_api_runs(graph: Graph) -> None:
    job = build_definitions(graph.settings).resolve_job_def("platform_checks_job")
    with served_api(graph.settings):
        result = job.execute_in_process(instance=graph.instance)
    failed = {check.check_name: check.metadata for check in result.get_asset_check_evaluations() if not check.passed}
    assert failed == {}
    assert len(result.get_asset_check_evaluations()) == 18


def test_prediction_route_that_does_not_answer_fails_with_its_address(graph: Graph) -> None:
    store = SqliteOnlineStore(graph.settings.online_store_path)
    assert known_household(graph.settings, store) is not None
    result = evaluate(predict_route_serves_the_champion, settings=graph.settings, online_store=store)
    assert not result.passed
    assert "/v1/predictions/churn" in str(shown(result)["cause"])


def test_changed_and_missing_online_features_are_found(graph: Graph, tmp_path: Path) -> None:
    store, warehouse = SqliteOnlineStore(tmp_path / "online.sqlite"), Warehouse.of(graph.settings)
    good = SqliteOnlineStore(graph.settings.online_store_path)
    household = known_household(graph.settings, good)
    assert household is not None
    vector = good.get_features(CUSTOMER_ACTIVITY, household)
    assert vector is not None
    store.put_features(CUSTOMER_ACTIVITY, vector.as_of, [(household, {**vector.values, "orders_7d": 99.0})])
    assert evaluate(online_features_equal_warehouse, warehouse=warehouse, online_store=good).passed
    result = evaluate(online_features_equal_warehouse, warehouse=warehouse, online_store=store)
    assert not result.passed
    assert shown(result)["differing"] == shown(result)["entities_in_warehouse"]


def test_export_that_was_tampered_with_does_not_answer(graph: Graph, tmp_path: Path) -> None:
    settings = graph.settings.model_copy(update={"data_dir": tmp_path})
    shutil.copytree(graph.settings.models_dir, settings.models_dir)
    assert check_export(settings)[0].passed
    model_file = settings.models_dir / CHURN / "1" / "model.skops"
    model_file.write_bytes(model_file.read_bytes() + b" ")
    check, _ = check_export(settings)
    assert not check.passed
    assert "digest" in str(shown(check)["cause"])
