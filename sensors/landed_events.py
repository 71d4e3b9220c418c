"""Asks for a load when records have landed.

The sensor never opens the warehouse, so it can never stand in a writer's way: it compares the names of the landed
files with the positions that it asked for last, which it keeps in its cursor.
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from dagster import (
    DagsterInstance,
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
from platform_assets.defs.jobs import WAREHOUSE_JOB, warehouse_job
from resources.landing_zone import LandingZone

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
"""The last offset that was asked for, by topic, log and partition."""


@dataclass(frozen=True)
class Waiting:
    """Landed files that no load was asked for. Ages in seconds; a file's age is the time since it was closed."""

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
    context: SensorEvaluationContext, landing_zone: ResourceParam[LandingZone]
) -> SensorResult | SkipReason:
    """One tick; see the module."""
    files = [file for topic in TOPICS for file in landing_zone.files(topic.name)]
    asked_for: Positions = msgspec.json.decode(context.cursor, type=Positions) if context.cursor else {}
    unasked = [file for file in files if file.last > asked_for.get(_place(file), -1)]
    if not unasked:
        return SkipReason("Every landed record has been asked for." if files else "Nothing has landed yet.")
    waiting = _waiting(landing_zone.root, unasked, now=time.time())
    if not waiting.is_due:
        return SkipReason(f"{waiting.files} new files; still landing, the last one {waiting.youngest_age_s:.0f} s ago.")
    if _is_under_way(context.instance):
        return SkipReason(f"{waiting.files} new files wait for the {WAREHOUSE_JOB} that is under way.")
    positions = {**asked_for, **_positions(unasked)}
    return SensorResult(
        run_requests=[
            RunRequest(
                run_key=_run_key(positions),
                tags={"analytics/landed_files": str(waiting.files), MAX_RETRIES_TAG: "1"},
            )
        ],
        cursor=msgspec.json.encode(positions).decode(),
    )


def _waiting(root: Path, files: Sequence[LandingFile], *, now: float) -> Waiting:
    closed_at = [(root / file.path).stat().st_mtime for file in files]
    return Waiting(len(files), youngest_age_s=now - max(closed_at), oldest_age_s=now - min(closed_at))


def _is_under_way(instance: DagsterInstance) -> bool:
    return bool(instance.get_run_ids(RunsFilter(job_name=WAREHOUSE_JOB, statuses=UNFINISHED), limit=1))


def _positions(files: Sequence[LandingFile]) -> Positions:
    positions: Positions = {}
    for file in files:
        positions[_place(file)] = max(file.last, positions.get(_place(file), -1))
    return positions


def _place(file: LandingFile) -> str:
    return f"{file.topic}/{file.log}/{file.partition}"


def _run_key(positions: Mapping[str, int]) -> str:
    """Equal for equal positions, so that a tick that is repeated asks for the same run."""
    return hashlib.sha256(msgspec.json.encode(positions, order="sorted")).hexdigest()[:32]
