"""Asks for a load when records have landed.

The sensor never opens the warehouse, so it can never stand in a writer's way: it compares the names of the landed
files with how far the published marts say the warehouse has taken them. What its last request did not bring in is asked
for again when that run was cancelled, as a stop of the platform does; when it failed, new data or a person has to come.
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

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
from dagster._core.storage.tags import MAX_RETRIES_TAG

from platform_assets.contracts.landing import LandingFile
from platform_assets.contracts.topics import TOPICS
from platform_assets.defs.jobs import WAREHOUSE_JOB, WITHOUT_REFERENCE, warehouse_job
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
    if last is not None and last.status in UNFINISHED:
        return SkipReason(f"{waiting.files} new files wait for the {WAREHOUSE_JOB} that is under way.")
    positions = _positions(files)
    asked_for = msgspec.json.decode(context.cursor, type=Positions) if context.cursor else None
    if positions == asked_for and last is not None and last.status is DagsterRunStatus.FAILURE:
        return SkipReason(f"The {WAREHOUSE_JOB} for these {waiting.files} files failed; mend it and run it by hand.")
    return SensorResult(
        run_requests=[
            RunRequest(
                run_key=_run_key(positions, last.run_id if last else ""),
                # The first load takes the reference data too; from then on it has a schedule of its own.
                asset_selection=None if published is None else WITHOUT_REFERENCE,
                tags={"analytics/landed_files": str(waiting.files), MAX_RETRIES_TAG: "1"},
            )
        ],
        cursor=msgspec.json.encode(positions, order="sorted").decode(),
    )


def _not_loaded(files: Sequence[LandingFile], published: Snapshot | None) -> list[LandingFile]:
    loaded = {(end.topic, end.log, end.partition): end.next_offset for end in published.loaded} if published else {}
    return [file for file in files if file.last >= loaded.get((file.topic, file.log, file.partition), 0)]


def _waiting(root: Path, files: Sequence[LandingFile], *, now: float) -> Waiting:
    closed_at = [(root / file.path).stat().st_mtime for file in files]
    return Waiting(len(files), youngest_age_s=now - max(closed_at), oldest_age_s=now - min(closed_at))


def _last_run(instance: DagsterInstance) -> DagsterRun | None:
    runs = instance.get_runs(RunsFilter(job_name=WAREHOUSE_JOB), limit=1)
    return runs[0] if runs else None


def _positions(files: Sequence[LandingFile]) -> Positions:
    positions: Positions = {}
    for file in files:
        place = f"{file.topic}/{file.log}/{file.partition}"
        positions[place] = max(file.last, positions.get(place, -1))
    return positions


def _run_key(positions: Mapping[str, int], last_run: str) -> str:
    """Equal for equal positions after the same run, so that a tick that is repeated asks for the same run."""
    return hashlib.sha256(msgspec.json.encode((positions, last_run), order="sorted")).hexdigest()[:32]
