"""Asks for the reference data when one of its files has changed; the daily schedule is there for what this misses."""

import hashlib
from pathlib import Path

import msgspec
from dagster import (
    AssetObservation,
    DataVersion,
    DefaultSensorStatus,
    RunRequest,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    sensor,
)
from dagster._core.definitions.data_version import DATA_VERSION_TAG
from dagster._core.storage.tags import MAX_RETRIES_TAG

from platform_assets.defs.ingestion.complete_journey import COMPLETE_JOURNEY
from platform_assets.defs.jobs import REFERENCE_JOB, reference_job
from resources.warehouse.reference_loads import REFERENCE_TABLES, SourceMissing, source_file, source_folder


class SeenFile(msgspec.Struct, frozen=True):
    """A file as it was: its content is read only when size or time have changed."""

    size: int
    changed_ns: int
    digest: str


Seen = dict[str, SeenFile]


@sensor(
    job=reference_job,
    name="reference_files_sensor",
    minimum_interval_seconds=60,
    default_status=DefaultSensorStatus.RUNNING,
    description="Requests one reference_job when a file of the reference data has other content than before.",
)
def reference_files_sensor(context: SensorEvaluationContext) -> SensorResult | SkipReason:
    """One tick. The first only remembers: the first load takes the reference data itself."""
    before = msgspec.json.decode(context.cursor, type=Seen) if context.cursor else None
    try:
        folder = source_folder()
        now = {
            table.name: _look(source_file(folder, table), (before or {}).get(table.name)) for table in REFERENCE_TABLES
        }
    except SourceMissing as error:
        return SkipReason(str(error))
    cursor = msgspec.json.encode(now, order="sorted").decode()
    changed = sorted(name for name, seen in now.items() if before and seen.digest != _digest_of(before.get(name)))
    if not changed:
        return SensorResult(skip_reason="The files of the reference data are what they were.", cursor=cursor)
    version = hashlib.sha256("".join(now[name].digest for name in sorted(now)).encode()).hexdigest()
    return SensorResult(
        run_requests=[
            RunRequest(
                # Of the change and not of the content, which may be one that was asked for before.
                run_key=f"{REFERENCE_JOB}/{hashlib.sha256(cursor.encode()).hexdigest()}",
                tags={MAX_RETRIES_TAG: "1", "analytics/changed_files": ",".join(changed)},
            )
        ],
        asset_events=[AssetObservation(COMPLETE_JOURNEY, tags={DATA_VERSION_TAG: DataVersion(version).value})],
        cursor=cursor,
    )


def _look(path: Path, before: SeenFile | None) -> SeenFile:
    found = path.stat()
    if before is not None and (before.size, before.changed_ns) == (found.st_size, found.st_mtime_ns):
        return before
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return SeenFile(found.st_size, found.st_mtime_ns, digest)


def _digest_of(seen: SeenFile | None) -> str | None:
    return seen.digest if seen is not None else None
