"""A failed run alerts once, whatever the sensors' ticks go through; its end is said too."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from dagster import (
    DagsterInstance,
    Definitions,
    JobDefinition,
    OpExecutionContext,
    SensorDefinition,
    SkipReason,
    build_sensor_context,
    instance_for_test,
    job,
    op,
)
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run
from dagster._core.storage.tags import MAX_RETRIES_TAG, PARENT_RUN_ID_TAG, PARTITION_NAME_TAG, ROOT_RUN_ID_TAG
from pydantic import SecretStr

from resources.notifier import notifier_of
from resources.settings import AlertsSettings, Settings
from sensors.run_failures import failed_runs_sensor, recovered_runs_sensor, run_page, waiting_alerts_sensor
from tests.local_receiver import Receiver, receiver

KEY = SecretStr("0123456789abcdef0123456789abcdef")


@op(config_schema=bool)
def load(context: OpExecutionContext) -> None:
    if not context.op_config:
        try:
            raise ConnectionError("postgresql://app:s3cret-pass@db is gone")
        except ConnectionError as error:
            raise RuntimeError("the load failed") from error


@job(name="warehouse_job")
def warehouse() -> None:
    load()


@job(name="churn_job")
def churn() -> None:
    load()


class Platform:
    """A Dagster instance, the sensors with their cursors, and a webhook that takes the alerts."""

    def __init__(self, instance: DagsterInstance, settings: Settings, hook: Receiver) -> None:
        self.instance = instance
        self.settings = settings
        self.hook = hook
        self._cursors: dict[str, str | None] = {}

    def run(self, which: JobDefinition, *, ok: bool, tags: Mapping[str, str] | None = None) -> str:
        result = which.execute_in_process(
            run_config={"ops": {"load": {"config": ok}}}, instance=self.instance, tags=tags, raise_on_error=False
        )
        return result.run_id

    def retry(self, which: JobDefinition, failed: str) -> str:
        """The same once more and in vain, as Dagster's daemon starts it."""
        run = self.instance.create_run_for_job(
            which,
            run_config={"ops": {"load": {"config": False}}},
            tags={MAX_RETRIES_TAG: "1", PARENT_RUN_ID_TAG: failed, ROOT_RUN_ID_TAG: failed},
            parent_run_id=failed,
            root_run_id=failed,
        )
        execute_run(InMemoryJob(which), run, self.instance)
        return run.run_id

    def tick(self, *sensors: SensorDefinition, keep_cursor: bool = True) -> None:
        """One evaluation of each; without `keep_cursor`, as when the daemon is killed at its end."""
        for sensor in sensors or (failed_runs_sensor, recovered_runs_sensor):
            notifier = notifier_of(self.settings)
            with build_sensor_context(
                instance=self.instance,
                cursor=self._cursors.get(sensor.name),
                repository_def=Definitions(jobs=[warehouse, churn]).get_repository_def(),
                resources={"notifier": notifier, "settings": self.settings},
            ) as context:
                data = sensor.evaluate_tick(context)
            if keep_cursor:
                self._cursors[sensor.name] = data.cursor

    @property
    def said(self) -> list[str]:
        return [json.loads(got.body)["title"] for got in self.hook.received]


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    overrides = {"run_retries": {"enabled": True, "max_retries": 0}}
    with receiver() as hook, instance_for_test(temp_dir=str(tmp_path), overrides=overrides) as instance:
        alerts = AlertsSettings(webhook_url=SecretStr(hook.url), webhook_secret=KEY)
        found = Platform(instance, Settings(data_dir=tmp_path / "data", alerts=alerts), hook)
        found.tick()  # the first one sets the cursor
        yield found


def test_failed_run_alerts_once_with_its_cause_and_its_page(platform: Platform) -> None:
    run_id = platform.run(warehouse, ok=False)
    platform.tick()
    platform.tick()
    assert platform.said == ["warehouse_job failed"]
    sent = json.loads(platform.hook.received[0].body)
    assert sent["body"].startswith("load: ConnectionError: ")
    assert "s3cret-pass" not in sent["body"]
    assert sent["link"] == f"http://127.0.0.1:3001/runs/{run_id}"
    assert sent["severity"] == "critical"


def test_tick_that_is_repeated_alerts_no_second_time(platform: Platform) -> None:
    """The daemon was killed after the alert and before it had kept the cursor."""
    platform.run(warehouse, ok=False)
    platform.tick(keep_cursor=False)
    platform.tick(keep_cursor=False)
    platform.tick()
    assert platform.said == ["warehouse_job failed"]


def test_run_that_is_retried_alerts_only_when_its_last_attempt_failed(platform: Platform) -> None:
    first = platform.run(warehouse, ok=False, tags={MAX_RETRIES_TAG: "1"})
    platform.tick()
    assert platform.said == []
    run_id = platform.retry(warehouse, first)
    platform.tick()
    assert platform.said == ["warehouse_job failed"]
    assert json.loads(platform.hook.received[0].body)["source"] == f"run {run_id}"


def test_ten_failures_of_one_job_in_a_row_are_one_alert_and_another_job_has_its_own(platform: Platform) -> None:
    for _ in range(10):
        platform.run(warehouse, ok=False)
    platform.run(churn, ok=False)
    for _ in range(3):  # Dagster hands a sensor five runs a tick
        platform.tick()
    assert platform.said == ["warehouse_job failed", "churn_job failed"]


def test_success_after_a_failure_is_said_once(platform: Platform) -> None:
    platform.run(warehouse, ok=True)
    platform.tick()
    platform.run(warehouse, ok=False)
    platform.tick()
    platform.run(churn, ok=True)
    platform.run(warehouse, ok=True)
    platform.run(warehouse, ok=True)
    platform.tick()
    assert platform.said == ["warehouse_job failed", "warehouse_job runs again"]


def test_another_day_that_runs_well_does_not_end_the_trouble_of_this_one(platform: Platform) -> None:
    platform.run(warehouse, ok=False, tags={PARTITION_NAME_TAG: "2026-11-01"})
    platform.run(warehouse, ok=True, tags={PARTITION_NAME_TAG: "2026-11-02"})
    platform.tick()
    assert platform.said == ["warehouse_job for 2026-11-01 failed"]
    platform.run(warehouse, ok=True, tags={PARTITION_NAME_TAG: "2026-11-01"})
    platform.tick()
    assert platform.said[1:] == ["warehouse_job for 2026-11-01 runs again"]


def test_load_of_other_days_that_runs_well_ends_the_trouble_of_the_last_one(platform: Platform) -> None:
    """The days of a load are those of what has landed: the next one has others, and takes what the last one left."""
    for ok, day in ((False, "2026-01-05"), (True, "2026-01-06")):
        days = {"dagster/asset_partition_range_start": day, "dagster/asset_partition_range_end": day}
        platform.run(warehouse, ok=ok, tags={"analytics/landed_files": "1", **days})
        platform.tick()
    assert platform.said == ["warehouse_job failed", "warehouse_job runs again"]


def test_channel_that_is_down_stops_no_tick(platform: Platform) -> None:
    platform.hook.answers = [500] * 3
    platform.run(warehouse, ok=False)
    platform.tick()
    platform.tick()
    assert len(platform.hook.received) == 3  # the attempts of one delivery, and then the channel rests


def test_waiting_alerts_are_tried_by_a_sensor_of_their_own(platform: Platform) -> None:
    with build_sensor_context(resources={"notifier": notifier_of(platform.settings)}) as context:
        result = waiting_alerts_sensor(context)
    assert isinstance(result, SkipReason)
    assert result.skip_message == "0 waiting deliveries succeeded."


def test_page_of_a_run_is_where_the_settings_say() -> None:
    elsewhere = Settings(alerts=AlertsSettings(dagster_url="https://dagster.example/"))
    assert run_page(elsewhere, "7f3a") == "https://dagster.example/runs/7f3a"
