"""The landed events as the window engine met them, in temporary tables: what windows are recomputed from.

One row per landed event, repeats included, with the watermark that it met, whether it was the first of its id within
the horizon, and the fields that the definitions read. Times are milliseconds since the epoch.

    window_sources (source, log, kafka_partition, loaded_to)         partitions of the events
    window_closings (source, from_offset, watermark_ms)              what moved a watermark besides the events
    window_events (source, kafka_offset, event_name, occurred_ms, watermark_ms, fields STRUCT[])
    window_late (source, kafka_offset, window_name)                  what the stream put aside
"""

from collections.abc import Sequence

import duckdb

from platform_assets.contracts.events import ENVELOPE_FIELDS
from platform_assets.contracts.topics import EVENTS
from platform_assets.contracts.windows import WindowDefinition
from platform_assets.quality.sql_text import text_literal
from platform_assets.windows.deduplication import BUCKET_MS, HORIZON_BUCKETS

_SOURCES = """
CREATE OR REPLACE TEMP TABLE window_sources AS
SELECT row_number() OVER (ORDER BY log, kafka_partition)::INTEGER AS source, *
FROM (
    SELECT log, kafka_partition, max(last_offset) + 1 AS loaded_to
    FROM raw.loads WHERE topic = $events
    GROUP BY log, kafka_partition
)
"""

# Final results and late events say which watermark their partition had reached: while nothing comes it moves on by the
# clock, which the events do not show.
_CLOSINGS = """
CREATE OR REPLACE TEMP TABLE window_closings AS
WITH moved AS (
    SELECT sources.source, results.next_offset AS from_offset, epoch_ms(results.watermark) AS watermark_ms
    FROM raw.window_results AS results
    INNER JOIN window_sources AS sources
        ON sources.log = results.source_log AND sources.kafka_partition = results.source_partition
    WHERE results.source_topic = $events AND results.watermark IS NOT NULL
    UNION ALL
    SELECT sources.source, late.source_offset, epoch_ms(late.watermark)
    FROM raw.late_events AS late
    INNER JOIN window_sources AS sources
        ON sources.log = late.source_log AND sources.kafka_partition = late.source_partition
)
SELECT
    source, from_offset,
    max(max(watermark_ms)) OVER (PARTITION BY source ORDER BY from_offset) AS watermark_ms
FROM moved
GROUP BY source, from_offset
"""

_LATE = """
CREATE OR REPLACE TEMP TABLE window_late AS
SELECT DISTINCT sources.source, late.source_offset AS kafka_offset, unnest(late.windows::JSON::VARCHAR[]) AS window_name
FROM raw.late_events AS late
INNER JOIN window_sources AS sources
    ON sources.log = late.source_log AND sources.kafka_partition = late.source_partition
"""

# Only ids that came twice are looked at one by one: the first of an id counts, and the next one that comes when the
# horizon of that one is over.
_EVENTS = """
CREATE OR REPLACE TEMP TABLE window_events AS
WITH RECURSIVE landed AS (
    SELECT {columns} FROM raw.events
    UNION ALL
    SELECT {columns} FROM raw.repeated_events
),
in_order AS (
    SELECT
        sources.source, landed.kafka_offset, landed.event_id, landed.event_name,
        epoch_ms(landed.occurred_at) AS occurred_ms,
        max(least(epoch_ms(landed.occurred_at), epoch_ms(landed.received_at))) OVER (
            before ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS watermark_ms,
        max(epoch_ms(landed.received_at)) OVER before // {bucket_ms} AS bucket,
        [{fields}] AS fields
    FROM (SELECT *, json_extract(payload, [{paths}]) AS given FROM landed) AS landed
    INNER JOIN window_sources AS sources USING (log, kafka_partition)
    WINDOW before AS (PARTITION BY sources.source ORDER BY landed.kafka_offset)
),
repeated AS (
    SELECT source, event_id, kafka_offset, bucket FROM in_order
    WHERE event_id IN (SELECT event_id FROM raw.repeated_events)
),
firsts AS (
    SELECT source, event_id, min(kafka_offset) AS kafka_offset, arg_min(bucket, kafka_offset) AS bucket
    FROM repeated
    GROUP BY source, event_id
    UNION ALL
    SELECT firsts.source, firsts.event_id, min(repeated.kafka_offset), arg_min(repeated.bucket, repeated.kafka_offset)
    FROM firsts
    INNER JOIN repeated USING (source, event_id)
    WHERE repeated.bucket > firsts.bucket + {horizon_buckets}
    GROUP BY firsts.source, firsts.event_id
)
SELECT
    in_order.source, in_order.kafka_offset, in_order.event_name, in_order.occurred_ms, in_order.fields,
    greatest(in_order.watermark_ms, closings.watermark_ms) AS watermark_ms
FROM in_order
ASOF LEFT JOIN window_closings AS closings
    ON in_order.source = closings.source AND in_order.kafka_offset >= closings.from_offset
ANTI JOIN (SELECT source, kafka_offset FROM repeated EXCEPT SELECT source, kafka_offset FROM firsts) AS repeats
    ON in_order.source = repeats.source AND in_order.kafka_offset = repeats.kafka_offset
"""


def fields_of(definitions: Sequence[WindowDefinition]) -> tuple[str, ...]:
    """The fields that the definitions read, in the order of `window_events.fields`."""
    named = [
        (definition.key_field, *(aggregate.field for aggregate in definition.aggregates)) for definition in definitions
    ]
    return tuple(dict.fromkeys(field for fields in named for field in fields))


def stage_window_events(connection: duckdb.DuckDBPyConnection, definitions: Sequence[WindowDefinition]) -> None:
    """Make the temporary tables; see the module. A read-only connection will do."""
    fields = fields_of(definitions)
    wanted = [
        "log",
        "kafka_partition",
        "kafka_offset",
        "event_id",
        "event_name",
        "occurred_at",
        "received_at",
        "payload",
    ]
    columns = dict.fromkeys([*wanted, *(field for field in fields if field in _ENVELOPE)])
    connection.execute(_SOURCES, {"events": EVENTS.name})
    connection.execute(_CLOSINGS, {"events": EVENTS.name})
    connection.execute(_LATE)
    connection.execute(
        _EVENTS.format(
            columns=", ".join(columns),
            paths=", ".join(text_literal(f'$."{field}"') for field in fields),
            fields=", ".join(_field(number, field) for number, field in enumerate(fields, start=1)),
            bucket_ms=BUCKET_MS,
            horizon_buckets=HORIZON_BUCKETS,
        )
    )


_ENVELOPE = frozenset(ENVELOPE_FIELDS) - {"payload", "occurred_at", "received_at"}


def _field(number: int, field: str) -> str:
    """A field as {kind, text}: the payload's, else the envelope's. The kind is JSON's type, null without a field."""
    given = f"landed.given[{number}]"
    kind, text = f"json_type({given})", f"{given} ->> '$'"
    if field in _ENVELOPE:
        envelope = f"landed.{field}::VARCHAR"
        kind = f"coalesce({kind}, CASE WHEN {envelope} IS NULL THEN 'NULL' ELSE 'VARCHAR' END)"
        text = f"CASE WHEN {given} IS NULL THEN {envelope} ELSE {text} END"
    return f"{{'kind': {kind}, 'text': {text}}}"
