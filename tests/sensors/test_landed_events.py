"""When the sensor asks for a load, and that it asks once."""

import datetime as dt
import os
import time
from pathlib import Path

import msgspec
import pytest
from dagster import (
    DagsterInstance,
    DagsterRunStatus,
    JobDefinition,
    RunRequest,
    SensorResult,
    SkipReason,
    build_sensor_context,
    job,
)

from platform_assets.contracts.landing import EVENT_COLUMNS, REJECTION_COLUMNS, LandingFile
from platform_assets.contracts.topics import EVENTS, REJECTED
from platform_assets.definitions import defs
from platform_assets.defs.jobs import WAREHOUSE_JOB, warehouse_job
from platform_assets.defs.stages import Stage
from resources.landing_zone import LandingZone, arrow_schema
from resources.settings import Settings
from resources.warehouse.snapshots import POINTER, LoadedTo, Snapshot
from sensors.landed_events import (
    MOST_DEATHS,
    SETTLED_AFTER_S,
    UNFINISHED,
    WAITS_AT_MOST_S,
    landed_events_sensor,
)
from tests.landed_records import event, land_events

SETTLED = SETTLED_AFTER_S + 1
STEP_FAILED = {"dagster/failure_reason": "STEP_FAILURE"}


@pytest.fixture
def landing(tmp_path: Path) -> LandingZone:
    return LandingZone(tmp_path / "landing")


def land(landing: LandingZone, first: int, last: int, *, age_s: float = SETTLED, topic: str = EVENTS.name) -> None:
    """An empty file that covers a range and was closed some seconds ago: the sensor reads names and times only."""
    columns = EVENT_COLUMNS if topic == EVENTS.name else REJECTION_COLUMNS
    path = landing.write(arrow_schema(columns).empty_table(), LandingFile(topic, "log-1", 0, first, last))
    closed_at = time.time() - age_s
    os.utime(path, (closed_at, closed_at))


def tick(landing: LandingZone, instance: DagsterInstance, cursor: str | None = None) -> SensorResult | SkipReason:
    settings = Settings(data_dir=landing.root.parent)
    context = build_sensor_context(
        instance=instance,
        cursor=cursor,
        resources={"landing_zone": landing, "settings": settings},
        repository_def=defs.get_repository_def(),
    )
    result = landed_events_sensor(context)
    assert isinstance(result, SensorResult | SkipReason)
    return result


def publish(landing: LandingZone, **next_offsets: int) -> None:
    """The pointer that a load leaves behind: how far the warehouse has taken each topic."""
    folder = Settings(data_dir=landing.root.parent).snapshots_dir
    folder.mkdir(parents=True, exist_ok=True)
    topics = {"events": EVENTS.name, "rejected": REJECTED.name}
    ends = [LoadedTo(topics[name], "log-1", 0, next_offset) for name, next_offset in next_offsets.items()]
    pointer = Snapshot("marts-1.duckdb", dt.datetime.now(dt.UTC), {}, ends)
    (folder / POINTER).write_bytes(msgspec.json.encode(pointer))


def requested(result: SensorResult | SkipReason) -> tuple[RunRequest, str]:
    assert isinstance(result, SensorResult)
    assert result.run_requests is not None
    assert result.cursor is not None
    (request,) = result.run_requests
    return request, result.cursor


def _stand_in_job() -> JobDefinition:
    """A job of the same name, since a run's name is all that the sensor looks at."""

    @job(name=WAREHOUSE_JOB)
    def nothing() -> None:
        return None

    return nothing


def reason(result: SensorResult | SkipReason) -> str:
    assert isinstance(result, SkipReason)
    return result.skip_message or ""


@pytest.fixture
def instance() -> DagsterInstance:
    return DagsterInstance.ephemeral()


def test_sensor_waits_while_nothing_has_landed(landing: LandingZone, instance: DagsterInstance) -> None:
    assert "Nothing has landed" in reason(tick(landing, instance))


def test_first_tick_asks_for_what_has_landed_and_lets_it_retry_once(
    landing: LandingZone, instance: DagsterInstance
) -> None:
    land(landing, 0, 9)
    land(landing, 0, 0, topic=REJECTED.name)
    request, _ = requested(tick(landing, instance))
    assert request.run_key
    assert request.tags["analytics/landed_files"] == "2"
    assert request.tags["dagster/max_retries"] == "1"


def test_nothing_new_asks_for_nothing(landing: LandingZone, instance: DagsterInstance) -> None:
    land(landing, 0, 9)
    publish(landing, events=10)
    assert "has been loaded" in reason(tick(landing, instance))


def test_new_files_of_both_topics_make_one_request_with_another_key(
    landing: LandingZone, instance: DagsterInstance
) -> None:
    land(landing, 0, 9)
    first, cursor = requested(tick(landing, instance))
    publish(landing, events=10)
    land(landing, 10, 19)
    land(landing, 0, 3, topic=REJECTED.name)
    second, newer = requested(tick(landing, instance, cursor))
    assert second.run_key != first.run_key
    assert second.tags["analytics/landed_files"] == "2"
    assert newer != cursor


def test_first_load_takes_the_reference_data_and_later_ones_leave_it(
    landing: LandingZone, instance: DagsterInstance
) -> None:
    land(landing, 0, 9)
    first, _ = requested(tick(landing, instance))
    assert first.asset_selection is None
    publish(landing, events=5)
    later, _ = requested(tick(landing, instance))
    assert later.asset_selection is not None
    assert Stage.RAW.key("events") in later.asset_selection
    assert Stage.RAW.key("products") not in later.asset_selection


def test_load_of_new_events_makes_the_checks_of_its_job_and_no_proof_over_all_history(
    landing: LandingZone, instance: DagsterInstance
) -> None:
    """A run that names assets alone makes every check of them."""
    land(landing, 0, 9)
    publish(landing, events=5)
    request, _ = requested(tick(landing, instance))
    assert request.asset_selection is not None
    assert request.asset_check_keys is not None
    whole = set(warehouse_job.selection.resolve_checks(defs.get_repository_def().asset_graph))
    assert set(request.asset_check_keys) == {key for key in whole if key.asset_key in request.asset_selection}
    events = {key.name for key in request.asset_check_keys if key.asset_key == Stage.RAW.key("events")}
    assert "rows_keep_the_contract" in events
    assert not events & {"every_id_is_unique", "every_row_keeps_the_contract"}


def test_load_that_a_stop_cancelled_is_asked_for_again_with_another_key(
    landing: LandingZone, instance: DagsterInstance
) -> None:
    land(landing, 0, 9)
    first, cursor = requested(tick(landing, instance))
    instance.create_run_for_job(_stand_in_job(), status=DagsterRunStatus.CANCELED)
    again, _ = requested(tick(landing, instance, cursor))
    assert again.run_key != first.run_key


def test_load_that_failed_waits_for_new_data_or_a_person(landing: LandingZone, instance: DagsterInstance) -> None:
    land(landing, 0, 9)
    _, cursor = requested(tick(landing, instance))
    instance.create_run_for_job(_stand_in_job(), status=DagsterRunStatus.FAILURE, tags=STEP_FAILED)
    assert "failed" in reason(tick(landing, instance, cursor))
    land(landing, 10, 19)
    requested(tick(landing, instance, cursor))


def test_load_whose_process_was_killed_is_asked_for_again_but_not_for_ever(
    landing: LandingZone, instance: DagsterInstance
) -> None:
    land(landing, 0, 9)
    _, cursor = requested(tick(landing, instance))
    keys = set()
    for _ in range(MOST_DEATHS):
        request, _ = requested(tick(landing, instance, cursor))
        keys.add(request.run_key)
        instance.create_run_for_job(_stand_in_job(), status=DagsterRunStatus.FAILURE)
    assert len(keys) == MOST_DEATHS
    assert "were killed" in reason(tick(landing, instance, cursor))
    land(landing, 10, 19)
    requested(tick(landing, instance, cursor))


def test_load_that_dagster_is_about_to_retry_is_left_to_it(landing: LandingZone, instance: DagsterInstance) -> None:
    """The retry comes with the daemon's next look; asked for now, the same load would run twice."""
    land(landing, 0, 9)
    run = instance.create_run_for_job(_stand_in_job(), status=DagsterRunStatus.STARTED)
    instance.report_run_failed(run)
    instance.add_run_tags(run.run_id, {"dagster/will_retry": "true"})
    assert "about to be retried" in reason(tick(landing, instance))
    instance.add_run_tags(run.run_id, {"dagster/auto_retry_run_id": "another"})
    requested(tick(landing, instance))


def land_at(landing: LandingZone, *times: str) -> None:
    rows = [
        event(number, log="log-1", occurred_at=dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC))
        for number, text in enumerate(times)
    ]
    closed_at = time.time() - SETTLED
    os.utime(land_events(landing, rows), (closed_at, closed_at))


def test_load_is_asked_for_with_the_days_that_its_events_touch(landing: LandingZone, instance: DagsterInstance) -> None:
    """A late event of last year is marked beside the range, and no day between is."""
    land_at(landing, "2026-01-05T15:00", "2026-01-06T01:00", "2026-01-06T15:00", "2025-03-02T12:00")
    request, _ = requested(tick(landing, instance))
    assert request.tags["dagster/asset_partition_range_start"] == "2026-01-05"
    assert request.tags["dagster/asset_partition_range_end"] == "2026-01-06"
    assert request.tags["analytics/other_days"] == "2025-03-02"


def test_first_load_of_a_year_marks_its_newest_days_only(landing: LandingZone, instance: DagsterInstance) -> None:
    land_at(landing, *(f"2025-{month:02}-{day:02}T12:00" for month in range(1, 13) for day in range(1, 29)))
    request, _ = requested(tick(landing, instance))
    assert request.tags["dagster/asset_partition_range_start"] == "2025-12-01"
    assert request.tags["dagster/asset_partition_range_end"] == "2025-12-28"
    assert request.tags["analytics/other_days"] == "2025-11-26/2025-11-28"


def test_days_without_a_partition_are_not_asked_for(landing: LandingZone, instance: DagsterInstance) -> None:
    """Before the first day, and of a clock that is ahead; their events are loaded all the same."""
    land_at(landing, "2016-12-31T12:00", (dt.datetime.now() + dt.timedelta(days=3)).isoformat())  # noqa: DTZ005
    request, _ = requested(tick(landing, instance))
    assert not {tag for tag in request.tags if "partition" in tag or "days" in tag}


def test_tick_that_is_repeated_asks_for_the_same_run(landing: LandingZone, instance: DagsterInstance) -> None:
    land(landing, 0, 9)
    first, _ = requested(tick(landing, instance))
    again, _ = requested(tick(landing, instance))
    assert first.run_key == again.run_key


def test_compacted_file_over_known_offsets_asks_for_nothing(landing: LandingZone, instance: DagsterInstance) -> None:
    land(landing, 0, 4)
    land(landing, 5, 9)
    publish(landing, events=10)
    land(landing, 0, 9)
    assert "has been loaded" in reason(tick(landing, instance))


def test_burst_is_awaited_until_it_settles(landing: LandingZone, instance: DagsterInstance) -> None:
    land(landing, 0, 4, age_s=WAITS_AT_MOST_S - 10)
    land(landing, 5, 9, age_s=1)
    assert "still landing" in reason(tick(landing, instance))


def test_stream_that_never_settles_is_loaded_when_the_oldest_waited_long_enough(
    landing: LandingZone, instance: DagsterInstance
) -> None:
    land(landing, 0, 4, age_s=WAITS_AT_MOST_S + 10)
    land(landing, 5, 9, age_s=1)
    request, _ = requested(tick(landing, instance))
    assert request.tags["analytics/landed_files"] == "2"


@pytest.mark.parametrize(
    "status",
    # A queued run cannot be made without a daemon; that the sensor asks for that status too is asserted below.
    [DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING],
)
def test_run_under_way_is_awaited_and_the_cursor_stays(
    landing: LandingZone, instance: DagsterInstance, status: DagsterRunStatus
) -> None:
    land(landing, 0, 9)
    instance.create_run_for_job(_stand_in_job(), status=status)
    assert "under way" in reason(tick(landing, instance))
    assert DagsterRunStatus.QUEUED in UNFINISHED


@pytest.mark.parametrize("status", [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED])
def test_finished_run_is_not_awaited(landing: LandingZone, instance: DagsterInstance, status: DagsterRunStatus) -> None:
    land(landing, 0, 9)
    instance.create_run_for_job(_stand_in_job(), status=status)
    requested(tick(landing, instance))


def test_sensor_belongs_to_the_job_and_runs_by_default() -> None:
    assert landed_events_sensor.job_name == warehouse_job.name == WAREHOUSE_JOB
    assert landed_events_sensor.default_status.value == "RUNNING"
    assert landed_events_sensor.minimum_interval_seconds == 5
