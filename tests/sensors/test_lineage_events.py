"""Another catalogue is told what ran and what it made, beside the runs and never at their expense."""

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dagster import (
    AssetExecutionContext,
    AssetSelection,
    DagsterInstance,
    Definitions,
    MaterializeResult,
    SensorDefinition,
    StaticPartitionsDefinition,
    asset,
    build_sensor_context,
    define_asset_job,
    instance_for_test,
)
from pydantic import SecretStr

from platform_assets.lineage.graph import Asset, AssetKind, Column, Edge, Influence, LineageGraph
from resources.lineage.store import LineageStore
from resources.settings import Settings
from resources.settings.lineage import LineageEvents, LineageSettings
from sensors.lineage_events import LINEAGE_EVENT_SENSORS
from tests.local_receiver import Receiver, receiver
from tests.open_lineage_events import faults


@asset(key=["raw", "events"])
def raw_events() -> MaterializeResult[None]:
    return MaterializeResult(metadata={"dagster/row_count": 7, "bytes": 700})


@asset(key=["marts", "fct_orders"], deps=[raw_events], config_schema={"fails": bool})
def orders(context: AssetExecutionContext) -> None:
    if context.op_execution_context.op_config["fails"]:
        raise RuntimeError("the password is s3cret-pass")


@asset(key=["marts", "days"], partitions_def=StaticPartitionsDefinition(["2026-01-01", "2026-01-02"]))
def days() -> None: ...


DEFINITIONS = Definitions(
    assets=[raw_events, orders, days],
    jobs=[
        define_asset_job("warehouse_job", AssetSelection.assets(["raw", "events"], ["marts", "fct_orders"])),
        define_asset_job("days_job", AssetSelection.assets(["marts", "days"])),
    ],
)


def published(settings: Settings) -> None:
    """raw/events.payload.units → marts/fct_orders.units, and a filter."""
    raw = Asset(name="raw/events", kind=AssetKind.TABLE, columns=(Column("payload.units", "integer"), Column("name")))
    mart = Asset(
        name="marts/fct_orders", kind=AssetKind.TABLE, description="One row per order.", columns=(Column("units"),)
    )

    def edge(source_column: str, target_column: str, influence: Influence = Influence.DIRECT) -> Edge:
        return Edge(
            source=raw.name, source_column=source_column, target=mart.name, target_column=target_column,
            influence=influence, found_in="dbt model fct_orders",
        )  # fmt: skip

    edges = [edge("payload.units", "units"), edge("name", "*", Influence.CONDITION), edge("*", "*")]
    graph = LineageGraph([raw, mart], edges)
    LineageStore(settings.lineage_dir).publish(graph)


class Platform:
    """A Dagster instance, and the sensors with their cursors."""

    def __init__(self, instance: DagsterInstance, folder: Path) -> None:
        self.instance = instance
        self.settings = Settings(data_dir=folder, lineage=LineageSettings(events=LineageEvents.FILE))
        self._cursors: dict[str, str | None] = {}
        self.tick()  # the first one sets the cursors

    def run(self, job: str = "warehouse_job", *, fails: bool = False, partition: str | None = None) -> str:
        config = {"ops": {"marts__fct_orders": {"config": {"fails": fails}}}} if job == "warehouse_job" else {}
        result = DEFINITIONS.resolve_job_def(job).execute_in_process(
            run_config=config, instance=self.instance, raise_on_error=False, partition_key=partition
        )
        return result.run_id

    def tick(self) -> list[str]:
        """One evaluation of each; returns what went wrong in them."""
        return [error for sensor in LINEAGE_EVENT_SENSORS for error in self._tick(sensor)]

    def _tick(self, sensor: SensorDefinition) -> list[str]:
        with build_sensor_context(
            instance=self.instance,
            cursor=self._cursors.get(sensor.name),
            repository_def=DEFINITIONS.get_repository_def(),
            resources={"settings": self.settings},
        ) as context:
            data = sensor.evaluate_tick(context)
        self._cursors[sensor.name] = data.cursor
        reactions = [reaction.error for reaction in data.dagster_run_reactions or []]
        return [error.to_string() for error in reactions if error is not None]

    @property
    def told(self) -> list[dict[str, Any]]:
        path = self.settings.root / "lineage" / "events.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    with instance_for_test(temp_dir=str(tmp_path)) as instance:
        yield Platform(instance, tmp_path / "data")


@pytest.fixture
def catalogue() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


def by_job(events: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(event["job"]["name"], event["eventType"]): event for event in events}


def test_run_and_each_asset_that_it_made_are_told_with_columns_and_counts(platform: Platform) -> None:
    published(platform.settings)
    run_id = platform.run()
    assert platform.tick() == []
    told = by_job(platform.told)
    assert set(told) == {
        (name, state) for name in ("raw/events", "marts/fct_orders", "warehouse_job") for state in ("START", "COMPLETE")
    }
    assert len(platform.told) == 6
    assert [fault for event in platform.told for fault in faults(event)] == []
    assert told["warehouse_job", "COMPLETE"]["run"]["runId"] == run_id
    raw = told["raw/events", "COMPLETE"]
    assert raw["run"]["facets"]["parent"]["run"]["runId"] == run_id
    assert raw["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 7
    assert raw["outputs"][0]["outputFacets"]["outputStatistics"]["size"] == 700
    orders = told["marts/fct_orders", "COMPLETE"]
    assert [one["name"] for one in orders["inputs"]] == ["raw/events"]
    lineage = orders["outputs"][0]["facets"]["columnLineage"]
    [units] = lineage["fields"]["units"]["inputFields"]
    assert (units["name"], units["field"]) == ("raw/events", "payload.units")
    assert units["transformations"] == [{"type": "DIRECT", "description": "dbt model fct_orders"}]
    assert [(one["field"], one["transformations"][0]["type"]) for one in lineage["dataset"]] == [("name", "INDIRECT")]
    started = told["marts/fct_orders", "START"]
    assert started["run"]["runId"] == orders["run"]["runId"] != run_id
    assert dt.datetime.fromisoformat(started["eventTime"]) <= dt.datetime.fromisoformat(orders["eventTime"])


def test_failed_run_names_the_step_and_keeps_the_reason_to_itself(platform: Platform) -> None:
    """What was made before the failure is made; what failed says so. Nothing is told twice."""
    published(platform.settings)
    run_id = platform.run(fails=True)
    assert platform.tick() == []
    assert platform.tick() == []
    told = by_job(platform.told)
    assert set(told) == {
        ("raw/events", "START"), ("raw/events", "COMPLETE"), ("marts/fct_orders", "START"),
        ("marts/fct_orders", "FAIL"), ("warehouse_job", "START"), ("warehouse_job", "FAIL"),
    }  # fmt: skip
    assert len(platform.told) == 6
    assert [fault for event in platform.told for fault in faults(event)] == []
    message = told["warehouse_job", "FAIL"]["run"]["facets"]["errorMessage"]["message"]
    assert message == f"Failed in marts__fct_orders; run {run_id} of Dagster says why."
    assert "s3cret-pass" not in json.dumps(platform.told)


def test_days_are_told_apart_and_what_lineage_does_not_know_is_told_without_columns(platform: Platform) -> None:
    """Before any lineage is published, too."""
    for day in ("2026-01-01", "2026-01-02"):
        platform.run("days_job", partition=day)
    assert platform.tick() == []
    events = [event for event in platform.told if event["job"]["name"] == "marts/days"]
    assert len({event["run"]["runId"] for event in events}) == 2
    assert events[0]["outputs"] == [{"facets": {}, "name": "marts/days", "namespace": "analytics", "outputFacets": {}}]
    assert [fault for event in platform.told for fault in faults(event)] == []


def test_catalogue_gets_the_same_over_http_with_the_key(platform: Platform, catalogue: Receiver) -> None:
    key = SecretStr("catalogue-key-0123456789")
    chosen = LineageSettings(events=LineageEvents.HTTP, url=catalogue.url.removesuffix("/hook"), api_key=key)
    platform.settings = platform.settings.model_copy(update={"lineage": chosen})
    platform.run()
    assert platform.tick() == []
    assert {got.path for got in catalogue.received} == {"/api/v1/lineage"}
    assert {got.headers["authorization"] for got in catalogue.received} == {f"Bearer {key.get_secret_value()}"}
    events = [json.loads(got.body) for got in catalogue.received]
    assert ("warehouse_job", "COMPLETE") in by_job(events)
    assert [fault for event in events for fault in faults(event)] == []


def test_catalogue_that_fails_costs_its_tick_and_nothing_else(platform: Platform, catalogue: Receiver) -> None:
    """The tick says so without the key, the other events of that run are not tried, and the next run is told."""
    key = SecretStr("catalogue-key-0123456789")
    chosen = LineageSettings(events=LineageEvents.HTTP, url=catalogue.url.removesuffix("/hook"), api_key=key)
    platform.settings = platform.settings.model_copy(update={"lineage": chosen})
    catalogue.answers += [200, 500]  # it takes the start of the run, and of its end not the first event
    run_id = platform.run()
    [error] = platform.tick()
    assert "CatalogueUnreachable" in error
    assert key.get_secret_value() not in error
    assert len(catalogue.received) == 2
    run = platform.instance.get_run_by_id(run_id)
    assert run is not None
    assert run.is_success
    platform.run()
    assert platform.tick() == []
    assert len(catalogue.received) == 8


def test_http_without_an_address_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="events=http needs url"):
        LineageSettings(events=LineageEvents.HTTP)
