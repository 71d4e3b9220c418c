"""What was rejected and what became of it, read from the landing zone: beside running builds and without a lock.

A rejection is known within seconds, and its status is read off the log each time: `marts.fct_rejections` says the same
of what the warehouse has loaded.
"""

import contextlib
import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb
import msgspec

from platform_assets.contracts.landing import EVENT_COLUMNS, REJECTION_COLUMNS
from platform_assets.contracts.rejections import NUMBER_IN_A_REASON, REJECTION_FIELDS, REPLAY, KnownRejection, Status
from platform_assets.contracts.topics import EVENTS, REJECTED
from platform_assets.repair.fixes import Match
from resources.landing_zone import LandingZone, arrow_schema

MEMORY_LIMIT = "600MB"
_ROWS_AT_ONCE = 1000

# The same rejection can land twice, after a crash of the worker or a repeated request: the first counts, as in raw.
_KNOWN = f"""
CREATE TEMP VIEW known AS
WITH rejected AS (
    FROM landed_rejections
    QUALIFY row_number() OVER (
        PARTITION BY rejection_id ORDER BY rejected_at, log, kafka_partition, kafka_offset
    ) = 1
),
latest AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY event_id ORDER BY rejected_at DESC, rejection_id DESC) = 1 AS is_latest,
        CASE WHEN json_valid(body) THEN left(json_extract_string(body, '$.event_name'), 128) END AS event_name
    FROM rejected
),
accepted AS (
    SELECT
        event_id,
        arg_min(coalesce(correlation_id, ''), received_at) AS correlation_id,
        min(received_at) AS accepted_at
    FROM landed_events
    WHERE event_id IN (SELECT event_id FROM rejected)
    GROUP BY event_id
)
SELECT
    latest.* EXCLUDE (is_latest),
    regexp_replace(latest.reason, '{NUMBER_IN_A_REASON}', '#', 'g') AS reason_pattern,
    accepted.accepted_at,
    CASE
        WHEN accepted.correlation_id = '{REPLAY}' || latest.rejection_id THEN 'replayed'
        WHEN accepted.event_id IS NOT NULL OR NOT latest.is_latest THEN 'superseded'
        ELSE 'open'
    END AS status
FROM latest
LEFT JOIN accepted USING (event_id)
"""  # noqa: S608 - our own constants
_CONDITIONS = {
    "ids": "list_contains($ids, rejection_id)",
    "reason": "(contains(reason, $reason) OR contains(reason_pattern, $reason))",
    "event_name": "event_name = $event_name",
    "origin": "origin = $origin",
    "since": "rejected_at >= $since",
    "until": "rejected_at < $until",
    "status": "status = $status",
}
_FIELDS = (*REJECTION_FIELDS, "event_name", "status", "accepted_at")


@dataclass(frozen=True)
class RejectionCount:
    """Rejections that are alike. `reason` has every number written as `#`; `example_id` is the newest of them."""

    count: int
    status: Status
    origin: str
    event_name: str | None
    reason: str
    newest_at: dt.datetime
    example_id: str


class LandedRejections:
    """Rejections as they stood when this was opened; close it. Threads do not share one."""

    def __init__(self, landing: LandingZone) -> None:
        """Raises duckdb.Error where a landed file is damaged or compaction removed one meanwhile: try again."""
        self._connection = duckdb.connect()
        try:
            self._connection.execute(f"SET TimeZone = 'UTC'; SET memory_limit = '{MEMORY_LIMIT}'")
            self._view(landing, "landed_rejections", REJECTED.name, REJECTION_COLUMNS)
            self._view(landing, "landed_events", EVENTS.name, EVENT_COLUMNS)
            self._connection.execute(_KNOWN)
        except BaseException:
            self._connection.close()
            raise

    def counts(self, match: Match, status: Status | None = Status.OPEN) -> list[RejectionCount]:
        """How many there are of each kind, the most first; `status` None is any."""
        where, values = _where(match, status)
        rows = self._connection.execute(
            f"""
            SELECT
                count(*), status, origin, event_name, reason_pattern, max(rejected_at),
                arg_max(rejection_id, rejected_at)
            FROM known WHERE {where}
            GROUP BY ALL ORDER BY 1 DESC, 6 DESC
            """,  # noqa: S608 - conditions are our own constants
            values,
        )
        return [RejectionCount(row[0], Status(row[1]), *row[2:]) for row in rows.fetchall()]

    def each(self, match: Match, status: Status | None = Status.OPEN) -> Iterator[KnownRejection]:
        """The rejections with their bodies, oldest first, a thousand in memory at once. Finish one before another."""
        where, values = _where(match, status)
        query = f"SELECT {', '.join(_FIELDS)} FROM known WHERE {where} ORDER BY rejected_at, rejection_id"  # noqa: S608
        rows = self._connection.execute(query, values)
        while batch := rows.fetchmany(_ROWS_AT_ONCE):
            for row in batch:
                yield msgspec.convert(dict(zip(_FIELDS, row, strict=True)), KnownRejection)

    def named(self, beginning: str) -> list[KnownRejection]:
        """Those whose id begins so, at most two: enough to see that there is more than one."""
        query = f"SELECT {', '.join(_FIELDS)} FROM known WHERE starts_with(rejection_id, $beginning) LIMIT 2"  # noqa: S608
        rows = self._connection.execute(query, {"beginning": beginning}).fetchall()
        return [msgspec.convert(dict(zip(_FIELDS, row, strict=True)), KnownRejection) for row in rows]

    def close(self) -> None:
        """Give the memory back."""
        self._connection.close()

    def _view(self, landing: LandingZone, name: str, topic: str, columns: Mapping[str, str]) -> None:
        # By name, not by pattern: files that compaction has merged into others are still there for a while.
        paths = [str(landing.root / file.path).replace("'", "''") for file in landing.files(topic)]
        if paths:
            files = ", ".join(f"'{path}'" for path in paths)
            source = f"read_parquet([{files}], hive_partitioning = false)"
        else:
            source = f"no_{name}"
            self._connection.register(source, arrow_schema(columns).empty_table())
        self._connection.execute(f"CREATE TEMP VIEW {name} AS FROM {source}")


@contextlib.contextmanager
def landed_rejections(landing: LandingZone) -> Iterator[LandedRejections]:
    """Opened for a block."""
    found = LandedRejections(landing)
    try:
        yield found
    finally:
        found.close()


def _where(match: Match, status: Status | None) -> tuple[str, dict[str, Any]]:
    values = {**msgspec.structs.asdict(match), "status": status}
    given = {name: value for name, value in values.items() if value is not None}
    conditions = [_CONDITIONS[name] for name in given]
    return " AND ".join(conditions) or "true", {name: _plain(value) for name, value in given.items()}


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, str) else value
