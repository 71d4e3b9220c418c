"""Whether what the stream lands keeps the contract, looked at in the files themselves (pandera)."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
from dagster import AssetCheckResult, AssetChecksDefinition, AssetKey, ResourceParam, asset_check

from platform_assets.contracts.landed_rows import EVENT_ROWS, LATE_ROWS, REJECTION_ROWS, WINDOW_ROWS, LandedRows
from platform_assets.contracts.landing import LandingFile
from platform_assets.defs.ingestion.landing import (
    LANDED_EVENTS,
    LANDED_LATE_EVENTS,
    LANDED_REJECTED_EVENTS,
    LANDED_WINDOWS,
)
from resources.landing_zone import LandingZone

_ROWS_OF_A_FILE = 5_000
_SHOWN_FAILURES = 20


def newest_rows_check(key: AssetKey, rows: LandedRows) -> AssetChecksDefinition:
    """`newest_rows_match_the_contract` of a topic's files; see `check_newest_rows`."""

    @asset_check(
        asset=key,
        name="newest_rows_match_the_contract",
        description="In the newest file of every partition, the first 5,000 rows keep the contract (pandera).",
    )
    def check(landing_zone: ResourceParam[LandingZone]) -> AssetCheckResult:
        return check_newest_rows(landing_zone, rows)

    return check


new_events_match_the_contract = newest_rows_check(LANDED_EVENTS, EVENT_ROWS)
new_rejected_events_match_the_contract = newest_rows_check(LANDED_REJECTED_EVENTS, REJECTION_ROWS)
new_windows_match_the_contract = newest_rows_check(LANDED_WINDOWS, WINDOW_ROWS)
new_late_events_match_the_contract = newest_rows_check(LANDED_LATE_EVENTS, LATE_ROWS)


def check_newest_rows(landing_zone: LandingZone, rows: LandedRows) -> AssetCheckResult:
    """A sample that costs the same however much has landed: every row is judged by the raw table's check.

    Shows where the rows stand and what they break, not what is in them.
    """
    from platform_assets.quality.contract.frames import failures_of, frame_of, landed_rows_schema

    schema = landed_rows_schema(rows)
    file_count = row_count = failure_count = 0
    shown: list[str] = []
    for file in _newest_files(landing_zone, rows):
        file_count += 1
        for batch in _first_rows(landing_zone, file):
            row_count += batch.num_rows
            failures = failures_of(schema, frame_of(batch))
            failure_count += len(failures)
            shown.extend(
                f"{file.path} row {failure.row}: {failure.check}" if failure.row is not None else
                f"{file.path}: {failure.check}"
                for failure in failures[: _SHOWN_FAILURES - len(shown)]
            )  # fmt: skip
    return AssetCheckResult(
        passed=failure_count == 0,
        metadata={"files": file_count, "rows": row_count, "failures": failure_count, "first_failures": shown},
    )


def _newest_files(landing_zone: LandingZone, rows: LandedRows) -> Iterator[LandingFile]:
    newest: dict[tuple[str, int], LandingFile] = {}
    for file in landing_zone.files(rows.topic.name):
        newest[file.log, file.partition] = file
    yield from newest.values()


def _first_rows(landing_zone: LandingZone, file: LandingFile) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(landing_zone.root / file.path) as landed:
        for batch in landed.iter_batches(batch_size=_ROWS_OF_A_FILE):
            yield batch
            return
