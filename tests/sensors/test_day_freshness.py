"""When the days are asked after, and that people are told once when they stay missing."""

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from dagster import (
    AssetCheckEvaluation,
    AssetCheckResult,
    AssetSelection,
    DagsterInstance,
    Definitions,
    RunRequest,
    SensorResult,
    SkipReason,
    asset_check,
    build_sensor_context,
    define_asset_job,
)
from pydantic import SecretStr

from platform_assets.defs.jobs import FRESHNESS_JOB, freshness_job
from platform_assets.defs.warehouse.day_freshness import DAYS_ARE_THERE, DUE_DAY
from resources.business_days import BusinessCalendar
from resources.notifier import notifier_of
from resources.settings import AlertsSettings, Settings, WarehouseSettings
from resources.warehouse.snapshots import POINTER, Snapshot
from sensors.day_freshness import day_freshness_sensor
from tests.local_receiver import Receiver, receiver

KEY = SecretStr("0123456789abcdef0123456789abcdef")
HOUR = dt.timedelta(hours=1)


class Scene:
    """Published marts, an instance that holds what the checks said, and a webhook."""

    def __init__(self, folder: Path, instance: DagsterInstance, hook: Receiver) -> None:
        self.instance = instance
        self.hook = hook
        self.settings = Settings(
            data_dir=folder,
            alerts=AlertsSettings(webhook_url=SecretStr(hook.url), webhook_secret=KEY, repeat_after_s=0),
            warehouse=WarehouseSettings(missing_day_alert_after_s=0),
        )
        self.cursor: str | None = None

    @property
    def due(self) -> dt.date:
        calendar = BusinessCalendar.of(self.settings)
        return calendar.newest_due(dt.datetime.now(dt.UTC), self.settings.warehouse.day_deadline)

    def publish(self, *, ago: dt.timedelta = HOUR) -> str:
        at = dt.datetime.now(dt.UTC) - ago
        self.settings.snapshots_dir.mkdir(parents=True, exist_ok=True)
        version = str(at.timestamp())
        pointer = Snapshot(version, at, {}, [], checked_at=at)
        (self.settings.snapshots_dir / POINTER).write_bytes(msgspec.json.encode(pointer))
        return version

    def say(self, *, passed: bool, due: dt.date | None = None) -> None:
        """What the checks of all marts say now."""
        for key in DAYS_ARE_THERE:
            self.instance.report_runless_asset_event(
                AssetCheckEvaluation(
                    asset_key=key.asset_key,
                    check_name=key.name,
                    passed=passed,
                    description=None if passed else "Missing: 2026-02-09.",
                    metadata={DUE_DAY: (due or self.due).isoformat()},
                )
            )

    def tick(self) -> RunRequest | str:
        """The run that is asked for, or why none is."""
        notifier = notifier_of(self.settings)
        resources = {"settings": self.settings, "notifier": notifier}
        result = day_freshness_sensor(
            build_sensor_context(instance=self.instance, cursor=self.cursor, resources=resources)
        )
        if isinstance(result, SkipReason):
            return result.skip_message or ""
        assert isinstance(result, SensorResult)
        self.cursor = result.cursor
        for request in result.run_requests or ():
            return request
        assert isinstance(result.skip_reason, SkipReason)
        return result.skip_reason.skip_message or ""

    def asked(self) -> str | None:
        request = self.tick()
        assert isinstance(request, RunRequest), request
        return request.run_key

    @property
    def told(self) -> list[str]:
        return [json.loads(got.body)["title"] for got in self.hook.received]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with DagsterInstance.ephemeral() as instance, receiver() as hook:
        yield Scene(tmp_path / "data", instance, hook)


def test_nothing_is_asked_before_marts_are_published(scene: Scene) -> None:
    assert scene.tick() == "Nothing has been published yet."


def test_first_question_waits_until_a_first_start_is_over(scene: Scene) -> None:
    scene.publish(ago=dt.timedelta(seconds=10))
    assert isinstance(scene.tick(), str)
    scene.publish(ago=HOUR)
    assert str(scene.asked()).startswith(f"{FRESHNESS_JOB}/{scene.due}/")


def test_each_day_that_becomes_due_is_asked_after_once(scene: Scene) -> None:
    """A tick that is repeated has the same key, for which Dagster starts one run."""
    scene.publish()
    scene.say(passed=True, due=scene.due - dt.timedelta(days=1))
    assert str(scene.asked()).startswith(f"{FRESHNESS_JOB}/{scene.due}/")
    scene.say(passed=True)
    assert "were asked after" in str(scene.tick())


def test_days_that_are_missing_are_asked_after_again_with_what_is_published_next(scene: Scene) -> None:
    scene.publish()
    scene.say(passed=False)
    assert "lack some" in str(scene.tick())
    version = scene.publish(ago=dt.timedelta(0))
    assert scene.asked() == f"{FRESHNESS_JOB}/{scene.due}/{version}"


def test_days_that_stay_missing_are_told_once_and_so_is_their_coming(scene: Scene) -> None:
    scene.publish()
    for _ in range(3):
        scene.say(passed=False)
        scene.tick()
    lacking = [f"{len(DAYS_ARE_THERE)} daily marts lack business days"]
    assert scene.told == lacking
    assert "2026-02-09" in json.loads(scene.hook.received[0].body)["body"]
    for _ in range(2):
        scene.say(passed=True)
        scene.tick()
    assert scene.told == [*lacking, "The daily marts hold every business day that is due"]


def test_days_that_are_missing_for_less_than_the_patience_are_not_told(scene: Scene) -> None:
    scene.settings = scene.settings.model_copy(update={"warehouse": WarehouseSettings(missing_day_alert_after_s=60)})
    scene.publish()
    scene.say(passed=False)
    scene.tick()
    assert scene.told == []


def test_run_that_is_to_say_it_is_not_taken_for_what_it_says(scene: Scene) -> None:
    """A check that is planned stands in the history too, and for good where its run was killed."""
    scene.publish()
    scene.say(passed=True)

    @asset_check(asset=DAYS_ARE_THERE[0].asset_key, name=DAYS_ARE_THERE[0].name)
    def planned() -> AssetCheckResult:
        return AssetCheckResult(passed=True)

    job = Definitions(asset_checks=[planned], jobs=[define_asset_job("asks", AssetSelection.all_asset_checks())])
    scene.instance.create_run_for_job(job.resolve_job_def("asks"))
    assert scene.tick() == f"{scene.due} and the days before it were asked after; 0 marts lack some."


def test_sensor_belongs_to_the_job_and_runs_by_default() -> None:
    assert day_freshness_sensor.job_name == freshness_job.name == FRESHNESS_JOB
    assert day_freshness_sensor.default_status.value == "RUNNING"
