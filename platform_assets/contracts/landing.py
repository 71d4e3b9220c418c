"""The landing zone: where the records of the log become files, and how their names say what they cover.

    <topic>/log=<incarnation>/part=<partition>/<first offset>-<last offset>.parquet

The names are the sink's commit log. A log is one incarnation of a topic: its id is minted by the broker when the
topic is made (Kafka's topic id), and an offset means nothing without it. A file covers [first, last]; offsets that
the log legitimately skips inside that range are covered too.

Compaction writes one file over the range of several and deletes those later; meanwhile they are superseded, and nobody
reads them.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

FILE_NAME = re.compile(r"^(?P<first>\d{20})-(?P<last>\d{20})\.parquet$")
_PATH = re.compile(
    r"(?P<topic>[^/]+)/log=(?P<log>[^/]+)/part=(?P<partition>\d+)/(?P<first>\d{20})-(?P<last>\d{20})\.parquet$"
)

# Logical column types; the sink maps them to Arrow, the warehouse to SQL.
TEXT, TIMESTAMP, DATE, INT32, INT64, FLOAT64 = "text", "timestamp", "date", "int32", "int64", "float64"

LOG_COLUMNS: dict[str, str] = {"log": TEXT, "kafka_partition": INT32, "kafka_offset": INT64}

EVENT_COLUMNS: dict[str, str] = {
    "event_id": TEXT,
    "event_type": TEXT,
    "event_name": TEXT,
    "user_id": TEXT,
    "session_id": TEXT,
    "occurred_at": TIMESTAMP,
    "received_at": TIMESTAMP,
    "source_service": TEXT,
    "schema_version": INT32,
    "correlation_id": TEXT,
    "traceparent": TEXT,
    "payload": TEXT,
    **LOG_COLUMNS,
}

REJECTION_COLUMNS: dict[str, str] = {
    "rejection_id": TEXT,
    "event_id": TEXT,
    "origin": TEXT,
    "reason": TEXT,
    "body": TEXT,
    "rejected_at": TIMESTAMP,
    "correlation_id": TEXT,
    "source_topic": TEXT,
    "source_log": TEXT,
    "source_partition": INT32,
    "source_offset": INT64,
    **LOG_COLUMNS,
}

# One row per final window; a record of windows.v1 holds several. `aggregates` is a JSON object of name and value.
WINDOW_COLUMNS: dict[str, str] = {
    "result_id": TEXT,
    "window_name": TEXT,
    "version": INT32,
    "key": TEXT,
    "window_start": TIMESTAMP,
    "window_end": TIMESTAMP,
    "event_count": INT64,
    "aggregates": TEXT,
    "source_topic": TEXT,
    "source_log": TEXT,
    "source_partition": INT32,
    "next_offset": INT64,
    "watermark": TIMESTAMP,
    "emitted_at": TIMESTAMP,
    **LOG_COLUMNS,
}

# `windows` is a JSON array of the names of the definitions that the event is not counted in.
LATE_COLUMNS: dict[str, str] = {
    "late_id": TEXT,
    "event_id": TEXT,
    "event_name": TEXT,
    "user_id": TEXT,
    "occurred_at": TIMESTAMP,
    "received_at": TIMESTAMP,
    "watermark": TIMESTAMP,
    "windows": TEXT,
    "source_topic": TEXT,
    "source_log": TEXT,
    "source_partition": INT32,
    "source_offset": INT64,
    **LOG_COLUMNS,
}

PREDICTION_COLUMNS: dict[str, str] = {
    "prediction_id": TEXT,
    "model": TEXT,
    "model_version": TEXT,
    "entity_id": TEXT,
    "probability": FLOAT64,
    "features_as_of": DATE,
    "predicted_at": TIMESTAMP,
    "source_topic": TEXT,
    "source_log": TEXT,
    "source_partition": INT32,
    "source_offset": INT64,
    **LOG_COLUMNS,
}


@dataclass(frozen=True, order=True)
class LandingFile:
    """One landed range of one partition of one incarnation of a topic; both offsets are included."""

    topic: str
    log: str
    partition: int
    first: int
    last: int

    @property
    def path(self) -> PurePosixPath:
        """Relative to the root of the landing zone."""
        return partition_folder(self.topic, self.log, self.partition) / f"{self.first:020d}-{self.last:020d}.parquet"


def partition_folder(topic: str, log: str, partition: int) -> PurePosixPath:
    """The folder of one partition's files, relative to the root of the landing zone."""
    return PurePosixPath(topic) / f"log={log}" / f"part={partition}"


def parse_path(path: str) -> LandingFile | None:
    """What a path below the landing zone covers, or None for any other file (temporary ones, say)."""
    found = _PATH.search(path)
    if found is None:
        return None
    return LandingFile(found["topic"], found["log"], int(found["partition"]), int(found["first"]), int(found["last"]))


def without_superseded(files: Iterable[LandingFile]) -> list[LandingFile]:
    """The files that count, in order: those that lie wholly in another one of their partition are left out."""
    kept: list[LandingFile] = []
    # A file that covers others comes before them.
    for file in sorted(files, key=lambda file: (*_place(file), file.first, -file.last)):
        if not kept or _place(kept[-1]) != _place(file) or file.last > kept[-1].last:
            kept.append(file)
    return kept


def _place(file: LandingFile) -> tuple[str, str, int]:
    return file.topic, file.log, file.partition
