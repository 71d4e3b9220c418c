"""Asks for a load when records have landed.

The sensor never opens the warehouse, so it can never stand in a writer's way: it compares the names of the landed
files with how far the published marts say the warehouse has taken them. What its last request did not bring in is asked
for again when that run was cancelled, as a stop of the platform does, or when its process was killed, but not for ever;
when a step failed, new data or a person has to come.

The run is asked for with the business days that the new files touch, which it marks as built. A run has one range of
partitions: it gets the one that ends last, and the days apart from it, as of a late event, stand in a tag of their own.
Both together are the newest `MOST_DAYS_OF_A_RUN`; older ones are built too, and `built_days_sensor` marks them.
"""

import datetime as dt
import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from dagster import (
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    DefaultSensorStatus,
    ResourceParam,
    RunRequest,
    RunsFilter,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    sensor,
)
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    MAX_RETRIES_TAG,
    RUN_FAILURE_REASON_TAG,
)

from platform_assets.contracts.landing import LandingFile
from platform_assets.contracts.topics import EVENTS, TOPICS
from platform_assets.defs.jobs import WAREHOUSE_JOB, WITHOUT_REFERENCE, checks_without_reference, warehouse_job
from platform_assets.defs.partitions import (
    LANDED_FILES_TAG,
    MOST_DAYS_OF_A_RUN,
    OTHER_DAYS_TAG,
    tag_of,
)
from resources.business_days import BusinessCalendar, ranges_of
from resources.landing_days import touched_days
from resources.landing_zone import LandingZone
from resources.settings import Settings
from resources.warehouse.snapshots import Snapshot, read_pointer

SETTLED_AFTER_S = 5.0
"""A load starts when no file came for this long: one run for a burst instead of one for each file."""

WAITS_AT_MOST_S = 120.0
"""While events keep coming, a load starts when the oldest of them waited this long."""

UNFINISHED = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]

MOST_DEATHS = 4
"""So many runs in a row whose process was killed, their own retries included, are no accident: memory, for one."""

RETRY_COMES_WITHIN_S = 60.0
"""A failed run is left to Dagster to retry for this long; where the code server is gone, Dagster forgets it."""

Positions = dict[str, int]
"""The last landed offset, by topic, log and partition."""


@dataclass(frozen=True)
class Waiting:
    """Landed files that the published marts do not know. Ages in seconds since a file was closed."""

    files: int
    youngest_age_s: float
    oldest_age_s: float

    @property
    def is_due(self) -> bool:
        """Whether to load now rather than wait for more."""
        return self.youngest_age_s >= SETTLED_AFTER_S or self.oldest_age_s >= WAITS_AT_MOST_S


@sensor(
    job=warehouse_job,
    name="landed_events_sensor",
    minimum_interval_seconds=5,
    default_status=DefaultSensorStatus.RUNNING,
    description="Requests one warehouse_job when new events have landed and settled, and none is under way.",
)
def landed_events_sensor(
    context: SensorEvaluationContext, landing_zone: ResourceParam[LandingZone], settings: ResourceParam[Settings]
) -> SensorResult | SkipReason:
    """One tick; see the module."""
    files = [file for topic in TOPICS for file in landing_zone.files(topic.name)]
    published = read_pointer(settings.snapshots_dir)
    new = _not_loaded(files, published)
    if not new:
        return SkipReason("Every landed record has been loaded." if files else "Nothing has landed yet.")
    waiting = _waiting(landing_zone.root, new, now=time.time())
    if not waiting.is_due:
        return SkipReason(f"{waiting.files} new files; still landing, the last one {waiting.youngest_age_s:.0f} s ago.")
    last = _last_run(context.instance)
    positions = _positions(files)
    asked_for = msgspec.json.decode(context.cursor, type=Positions) if context.cursor else None
    obstacle = _obstacle(context.instance, last, is_new=positions != asked_for)
    if obstacle is not None:
        return SkipReason(f"{waiting.files} new files wait: {obstacle}")
    return SensorResult(
        run_requests=[
            RunRequest(
                run_key=_run_key(positions, last.run_id if last else ""),
                # The first load takes the reference data too; from then on it has a schedule of its own.
                **({} if published is None else _part_without_reference(context)),
                tags={
                    LANDED_FILES_TAG: str(waiting.files),
                    MAX_RETRIES_TAG: "1",
                    **_day_tags(landing_zone, new, BusinessCalendar.of(settings)),
                },
            )
        ],
        cursor=msgspec.json.encode(positions, order="sorted").decode(),
    )


def _part_without_reference(context: SensorEvaluationContext) -> dict[str, Any]:
    assert context.repository_def is not None  # noqa: S101 - a sensor belongs to one
    checks = checks_without_reference(context.repository_def)
    return {"asset_selection": WITHOUT_REFERENCE, "asset_check_keys": checks}


def _obstacle(instance: DagsterInstance, last: DagsterRun | None, *, is_new: bool) -> str | None:
    """What the last run has against another one, in words; `is_new` where more has landed since it was asked for."""
    if last is None:
        return None
    if last.status in UNFINISHED:
        return f"{WAREHOUSE_JOB} is under way."
    if _is_about_to_be_retried(instance, last):
        return f"{WAREHOUSE_JOB} is about to be retried."
    if is_new or last.status is not DagsterRunStatus.FAILURE:
        return None
    return _why_not_again(instance, last)


def _why_not_again(instance: DagsterInstance, failed: DagsterRun) -> str | None:
    """Why what failed is not tried again as it is; None where that may be an accident."""
    if not _was_killed(failed):
        return f"{WAREHOUSE_JOB} failed on them; mend the cause and run it by hand."
    latest = _latest_runs(instance, MOST_DEATHS)
    if len(latest) < MOST_DEATHS or not all(map(_was_killed, latest)):
        return None
    return f"the last {MOST_DEATHS} runs were killed; look for who ends them, then run {WAREHOUSE_JOB} by hand."


def _not_loaded(files: Sequence[LandingFile], published: Snapshot | None) -> list[LandingFile]:
    loaded = {(end.topic, end.log, end.partition): end.next_offset for end in published.loaded} if published else {}
    return [file for file in files if file.last >= loaded.get((file.topic, file.log, file.partition), 0)]


def _waiting(root: Path, files: Sequence[LandingFile], *, now: float) -> Waiting:
    closed_at = [(root / file.path).stat().st_mtime for file in files]
    return Waiting(len(files), youngest_age_s=now - max(closed_at), oldest_age_s=now - min(closed_at))


def _day_tags(landing: LandingZone, files: Sequence[LandingFile], calendar: BusinessCalendar) -> dict[str, str]:
    """The days that the files' events touch, as a run names them; none where no event is among the records."""
    touched = touched_days(landing, (file for file in files if file.topic == EVENTS.name), calendar)
    today = calendar.day_of(dt.datetime.now(dt.UTC))
    # A clock that is ahead makes events of days that have no partition yet.
    shown = sorted(day for day in touched if calendar.first_day <= day <= today)[-MOST_DAYS_OF_A_RUN:]
    if not shown:
        return {}
    *others, newest = ranges_of(shown)
    return {
        ASSET_PARTITION_RANGE_START_TAG: newest.first.isoformat(),
        ASSET_PARTITION_RANGE_END_TAG: newest.last.isoformat(),
        **({OTHER_DAYS_TAG: tag_of(others)} if others else {}),
    }


def _last_run(instance: DagsterInstance) -> DagsterRun | None:
    return next(iter(_latest_runs(instance, 1)), None)


def _latest_runs(instance: DagsterInstance, most: int) -> Sequence[DagsterRun]:
    return instance.get_runs(RunsFilter(job_name=WAREHOUSE_JOB), limit=most)


def _is_about_to_be_retried(instance: DagsterInstance, run: DagsterRun) -> bool:
    record = instance.get_run_record_by_id(run.run_id)
    ended_at = record.end_time if record is not None else None
    return run.is_complete_and_waiting_to_retry and time.time() - (ended_at or 0.0) < RETRY_COMES_WITHIN_S


def _was_killed(run: DagsterRun) -> bool:
    """Its process went without a word: a step that fails, or a job that does not start, says so."""
    said = run.tags.get(RUN_FAILURE_REASON_TAG)
    return run.status is DagsterRunStatus.FAILURE and said in (None, "UNEXPECTED_TERMINATION", "UNKNOWN")


def _positions(files: Sequence[LandingFile]) -> Positions:
    positions: Positions = {}
    for file in files:
        place = f"{file.topic}/{file.log}/{file.partition}"
        positions[place] = max(file.last, positions.get(place, -1))
    return positions


def _run_key(positions: Mapping[str, int], last_run: str) -> str:
    """Equal for equal positions after the same run, so that a tick that is repeated asks for the same run."""
    return hashlib.sha256(msgspec.json.encode((positions, last_run), order="sorted")).hexdigest()[:32]
