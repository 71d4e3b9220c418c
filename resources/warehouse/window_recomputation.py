"""One definition's windows, recomputed from the staged events: see `window_events` for what is there before.

    window_counted (place, source, kafka_offset, occurred_ms, watermark_ms, key_id, x0, x1, ..., is_put_aside)
    window_expected (place, key_id, start_ms, end_ms, event_count, v0, t0, v1, t1, ...)

A place is what a key's windows are computed from: `log/partition` of the events, or for windows on another key than
the events' the whole log. v is an aggregate's value, t how far the stream's may be from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from platform_assets.contracts.windows import Aggregate, AggregateFunction, WindowDefinition, WindowType
from platform_assets.quality.sql_text import text_literal
from platform_assets.windows.sketches import DISTINCT_STANDARD_ERROR, QUANTILE_RELATIVE_ACCURACY

SUM_TOLERANCE = 1e-9
"""Of the sum of the magnitudes: doubles that are added in another order."""
DISTINCT_DEVIATIONS = 6

_COUNTED = """
CREATE OR REPLACE TEMP TABLE window_counted AS
SELECT
    {place} AS place, events.source, events.kafka_offset, events.occurred_ms, events.watermark_ms,
    CASE WHEN {key}.kind = 'NULL' THEN '-' ELSE concat('=', {key}.text) END AS key_id,
    {values}
    late.window_name IS NOT NULL AS is_put_aside
FROM window_events AS events
INNER JOIN window_sources AS sources USING (source)
{ends}
LEFT JOIN window_late AS late
    ON late.source = events.source AND late.kafka_offset = events.kafka_offset AND late.window_name = $name
WHERE {key}.kind NOT IN ('OBJECT', 'ARRAY') AND ($names IS NULL OR list_contains($names::VARCHAR[], events.event_name))
"""
# Of a partition no more than the stream had certainly read when it said its newest settled result.
_AS_FAR_AS_READ = """
INNER JOIN window_ends AS ends
    ON ends.place = concat(sources.log, '/', sources.kafka_partition) AND events.kafka_offset < ends.processed_to
"""

# Aligned to the epoch; the last window of an event starts at the multiple of the hop at or before it.
_ALIGNED = """
SELECT *, start_ms + $size AS end_ms
FROM (
    SELECT *, unnest(range(
        last_start_ms - (($size - 1 - (occurred_ms - last_start_ms)) // $hop) * $hop, last_start_ms + 1, $hop
    )) AS start_ms
    FROM (SELECT *, occurred_ms - ((occurred_ms % $hop) + $hop) % $hop AS last_start_ms FROM window_counted)
)
WHERE NOT is_put_aside AND coalesce(watermark_ms < start_ms + $size + $lateness, TRUE)
"""

# An event belongs to the ended session of its time, unless that had ended before the event came: then it is one of
# another session, though nearer than the gap. Of several it is one of that which ended first; only of the few keys
# whose sessions lie over each other all are looked at.
_SESSIONS = """
SELECT *, sum(begins::INTEGER) OVER in_time AS session
FROM (
    SELECT *, coalesce(occurred_ms - lag(occurred_ms) OVER in_time >= $size, TRUE) AS begins
    FROM (FROM of_one_session UNION ALL FROM of_several_sessions)
    WINDOW in_time AS (PARTITION BY place, key_id, ended ORDER BY occurred_ms, kafka_offset)
)
WINDOW in_time AS (PARTITION BY place, key_id, ended ORDER BY occurred_ms, kafka_offset)
"""
_ENDED_SESSIONS = """
kept AS (SELECT * FROM window_counted WHERE NOT is_put_aside),
sessions AS (
    SELECT
        row_number() OVER () AS number, place, key_id, start_ms, end_ms,
        CASE WHEN NOT is_merged THEN next_offset END AS ended_at,
        start_ms < max(end_ms) OVER (
            PARTITION BY place, key_id ORDER BY start_ms, end_ms ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS lies_over
    FROM window_results
),
tangled AS (SELECT DISTINCT place, key_id FROM sessions WHERE lies_over),
of_one_session AS (
    SELECT kept.*, {ended} AS ended
    FROM kept
    ANTI JOIN tangled ON tangled.place = kept.place AND tangled.key_id = kept.key_id
    ASOF LEFT JOIN sessions
        ON sessions.place = kept.place AND sessions.key_id = kept.key_id AND kept.occurred_ms >= sessions.start_ms
),
of_several_sessions AS (
    SELECT kept.*, {ended} AS ended
    FROM kept
    SEMI JOIN tangled ON tangled.place = kept.place AND tangled.key_id = kept.key_id
    LEFT JOIN sessions
        ON sessions.place = kept.place AND sessions.key_id = kept.key_id AND kept.occurred_ms >= sessions.start_ms
    QUALIFY row_number() OVER (
        PARTITION BY kept.source, kept.kafka_offset ORDER BY ended IS NULL, sessions.ended_at, sessions.end_ms
    ) = 1
),
"""
_ENDED = """
CASE WHEN kept.occurred_ms < sessions.end_ms
    AND coalesce(kept.kafka_offset < sessions.ended_at, TRUE)
    AND coalesce(kept.watermark_ms < sessions.end_ms + $lateness, TRUE)
THEN sessions.number END
"""

_EXPECTED = """
CREATE OR REPLACE TEMP TABLE window_expected AS
WITH {ended_sessions}
placed AS ({placed})
SELECT place, key_id, {edges}, count(*) AS event_count {aggregates}
FROM placed
GROUP BY place, key_id, {groups}
"""

# An event is put aside where the watermark that it met was at the end of the last of its windows.
_MISJUDGED = """
SELECT count(*) FROM window_counted
WHERE is_put_aside <> coalesce(
    watermark_ms >= occurred_ms - ((occurred_ms % $hop) + $hop) % $hop + $size + $lateness, FALSE
)
"""


def recompute(
    connection: duckdb.DuckDBPyConnection,
    definition: WindowDefinition,
    columns: Sequence["AggregateColumn"],
    fields: Sequence[str],
) -> None:
    """Make both tables, from the events, `window_ends` and, for sessions, `window_results` of the definition."""
    is_session = definition.window_type is WindowType.SESSION
    is_of_a_partition = definition.is_partitioned_like_the_topic
    connection.execute(
        _COUNTED.format(
            place="ends.place" if is_of_a_partition else "sources.log",
            ends=_AS_FAR_AS_READ if is_of_a_partition else "",
            key=f"events.fields[{fields.index(definition.key_field) + 1}]",
            values="".join(f"{column.value}, " for column in columns),
        ),
        {
            "name": definition.name,
            "names": None if definition.event_names is None else sorted(definition.event_names),
        },
    )
    connection.execute(
        _EXPECTED.format(
            ended_sessions=_ENDED_SESSIONS.format(ended=_ENDED) if is_session else "",
            placed=_SESSIONS if is_session else _ALIGNED,
            edges="min(occurred_ms) AS start_ms, max(occurred_ms) + $size AS end_ms"
            if is_session
            else "start_ms, end_ms",
            groups="ended, session" if is_session else "start_ms, end_ms",
            aggregates="".join(f", {column.expected}" for column in columns),
        ),
        _lengths(definition, hop=not is_session),
    )


def count_misjudged(connection: duckdb.DuckDBPyConnection, definition: WindowDefinition) -> int:
    """Events that the stream put aside and should not have, or the reverse, of what `recompute` has just counted.

    Windows of a partition and of fixed length only: for others the events do not say which watermark decided.
    """
    if definition.window_type is WindowType.SESSION or not definition.is_partitioned_like_the_topic:
        return 0
    row = connection.execute(_MISJUDGED, _lengths(definition)).fetchone()
    return int(row[0]) if row else 0


def _lengths(definition: WindowDefinition, *, hop: bool = True) -> dict[str, Any]:
    lengths = {"size": definition.size_ms, "lateness": definition.lateness_ms}
    return {**lengths, "hop": definition.hop_ms} if hop else lengths


@dataclass(frozen=True)
class AggregateColumn:
    """One aggregate in SQL: how it is computed, and when the stream's value is another one."""

    number: int
    aggregate: Aggregate
    fields: Sequence[str]

    @property
    def value(self) -> str:
        """The field's value of an event: a number, or for a distinct count a text that is the same for equal values."""
        field = f"events.fields[{self.fields.index(self.aggregate.field) + 1}]"
        is_number = f"{field}.kind IN ('BIGINT', 'UBIGINT', 'HUGEINT', 'UHUGEINT', 'DOUBLE')"
        number = f"CASE WHEN {is_number} THEN {field}.text::DOUBLE END"
        if self.aggregate.function is not AggregateFunction.APPROX_DISTINCT:
            return f"{number} AS x{self.number}"
        text = f"CASE WHEN {field}.kind IN ('VARCHAR', 'BOOLEAN') THEN concat({field}.kind[1], {field}.text) END"
        return f"coalesce({text}, 'n' || ({number})) AS x{self.number}"

    @property
    def expected(self) -> str:
        """The aggregate, and how far the stream's may be from it."""
        x, v = f"x{self.number}", f"v{self.number}"
        value, allowed = {
            AggregateFunction.SUM: (f"fsum({x})", f"{SUM_TOLERANCE} * sum(abs({x}))"),
            AggregateFunction.MEAN: (f"favg({x})", f"{SUM_TOLERANCE} * avg(abs({x}))"),
            AggregateFunction.MIN: (f"min({x})", "0"),
            AggregateFunction.MAX: (f"max({x})", "0"),
            AggregateFunction.APPROX_DISTINCT: (
                f"count(DISTINCT {x})",
                f"greatest(1, {DISTINCT_DEVIATIONS * DISTINCT_STANDARD_ERROR} * {v})",
            ),
            AggregateFunction.QUANTILE: (
                f"quantile_disc({x}, {self.aggregate.quantile})",
                f"{QUANTILE_RELATIVE_ACCURACY + SUM_TOLERANCE} * abs({v}) + {SUM_TOLERANCE}",
            ),
        }[self.aggregate.function]
        return f"{value} AS {v}, {allowed} AS t{self.number}"

    @property
    def shown(self) -> str:
        return f"{text_literal(self.aggregate.name)}: expected.v{self.number}"

    @property
    def differs(self) -> str:
        path = text_literal(f'$."{self.aggregate.name}"')
        found = f"(json_extract_string(results.aggregates, {path}))::DOUBLE"
        return f"coalesce(abs({found} - expected.v{self.number}) > expected.t{self.number}, " + (
            f"({found} IS NULL) <> (expected.v{self.number} IS NULL))"
        )
