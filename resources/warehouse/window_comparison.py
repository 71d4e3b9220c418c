"""Final windows of the stream beside the same windows recomputed from the landed events.

The stream is believed in two things only: which events it put aside as late (`raw.late_events`), and, where a
partition's watermark moved by the clock because nothing came, how far it moved (the results' watermark). What is in a
window, and which windows there are, is computed anew.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb

from platform_assets.contracts.topics import EVENTS, LATE, PARTIALS, WINDOWS
from platform_assets.contracts.windows import Aggregate, AggregateFunction, WindowDefinition, WindowType
from platform_assets.windows.sketches import DISTINCT_STANDARD_ERROR, QUANTILE_RELATIVE_ACCURACY
from resources.warehouse.window_events import fields_of, stage_window_events

SETTLES_AFTER = dt.timedelta(seconds=60)
"""A result and the late events of its batch become files of two topics; the slower one is there after this time."""

SUM_TOLERANCE = 1e-9
"""Of the sum of the magnitudes: doubles that are added in another order."""
DISTINCT_DEVIATIONS = 6
SHOWN_DIFFERENCES = 10

# Only what has settled is compared, and of a partition no more than has been loaded of it. `processed_to` is as far as
# the stream certainly was, `watermark_ms` what it had reached.
_RESULTS = """
CREATE OR REPLACE TEMP TABLE window_found AS
WITH merges AS (
    SELECT source_log AS place, min(emitted_at) AS first_emitted_at
    FROM raw.window_results WHERE source_topic = $partials
    GROUP BY source_log
),
logs AS (
    SELECT log, min(received_at) AS first_received_at FROM raw.events GROUP BY log
),
-- The parts of a log of events go to the log of parts that was there first after it.
feeds AS (
    SELECT merges.place, arg_max(logs.log, logs.first_received_at) AS log
    FROM merges INNER JOIN logs ON logs.first_received_at <= merges.first_emitted_at
    GROUP BY merges.place
)
SELECT
    results.window_name, results.version, results.key, results.event_count, results.aggregates,
    results.source_topic = $partials AS is_merged,
    CASE WHEN is_merged THEN results.source_log ELSE concat(results.source_log, '/', results.source_partition) END
        AS place,
    feeds.log AS fed_by,
    results.source_partition,
    epoch_ms(results.window_start) AS start_ms, epoch_ms(results.window_end) AS end_ms,
    epoch_ms(results.watermark) AS watermark_ms, results.next_offset,
    results.emitted_at <= $settled_at
        AND (is_merged OR coalesce(results.next_offset <= sources.loaded_to, FALSE)) AS is_settled
FROM raw.window_results AS results
LEFT JOIN window_sources AS sources
    ON sources.log = results.source_log AND sources.kafka_partition = results.source_partition
LEFT JOIN feeds ON feeds.place = results.source_log
"""
_ENDS = """
CREATE OR REPLACE TEMP TABLE window_ends AS
SELECT place, min(processed_to) AS processed_to, min(watermark_ms) AS watermark_ms, any_value(fed_by) AS fed_by
FROM (
    SELECT place, source_partition, max(next_offset) AS processed_to, max(watermark_ms) AS watermark_ms,
        any_value(fed_by) AS fed_by
    FROM window_found WHERE is_settled
    GROUP BY place, source_partition
)
GROUP BY place
"""

_COUNTED = """
CREATE OR REPLACE TEMP TABLE window_counted AS
SELECT
    ends.place, events.source, events.kafka_offset, events.occurred_ms, events.watermark_ms,
    CASE WHEN {key}.kind = 'NULL' THEN '-' ELSE concat('=', {key}.text) END AS key_id,
    {values}
    late.window_name IS NOT NULL AS is_put_aside
FROM window_events AS events
INNER JOIN window_sources AS sources USING (source)
INNER JOIN window_ends AS ends ON {belongs}
LEFT JOIN window_late AS late
    ON late.source = events.source AND late.kafka_offset = events.kafka_offset AND late.window_name = $name
WHERE {key}.kind NOT IN ('OBJECT', 'ARRAY') AND ($names IS NULL OR list_contains($names::VARCHAR[], events.event_name))
"""
_OF_A_PARTITION = (
    "ends.place = concat(sources.log, '/', sources.kafka_partition) AND events.kafka_offset < ends.processed_to"
)
_OF_ALL_PARTITIONS = "ends.fed_by = sources.log"

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
    FROM found
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

_VERDICTS = """
CREATE OR REPLACE TEMP TABLE window_verdicts AS
WITH found AS (
    SELECT *, CASE WHEN key IS NULL THEN '-' ELSE concat('=', key) END AS key_id
    FROM window_found WHERE is_settled AND window_name = $name AND version = $version
),
{ended_sessions}
placed AS ({placed}),
expected AS (
    SELECT place, key_id, {edges}, count(*) AS event_count {aggregates}
    FROM placed
    GROUP BY place, key_id, {groups}
),
compared AS (
    SELECT
        place, key_id, start_ms, end_ms,
        expected.event_count AS expected_count, found.event_count AS found_count,
        {expected_values} AS expected_values, found.aggregates AS found_values,
        CASE
            WHEN found.event_count IS NULL AND end_ms + $lateness <= ends.watermark_ms THEN 'missing'
            WHEN found.event_count IS NULL THEN 'open'
            WHEN expected.event_count IS NULL THEN 'surplus'
            WHEN found.event_count <> expected.event_count {differs} THEN 'differing'
            WHEN coalesce(found.watermark_ms < end_ms + $lateness, TRUE) THEN 'closed_early'
            ELSE 'equal'
        END AS verdict
    FROM expected
    FULL JOIN found USING (place, key_id, start_ms, end_ms)
    LEFT JOIN window_ends AS ends USING (place)
)
FROM compared
"""


# An event is put aside where the watermark that it met was at the end of the last of its windows.
_MISJUDGED = """
SELECT count(*) FROM window_counted
WHERE is_put_aside <> coalesce(
    watermark_ms >= occurred_ms - ((occurred_ms % $hop) + $hop) % $hop + $size + $lateness, FALSE
)
"""


@dataclass(frozen=True)
class WindowComparison:
    """Of one definition: windows by verdict, and the first that are wrong, as rows.

    `misjudged` are events that the stream put aside and should not have, or the reverse.
    """

    name: str
    equal: int = 0
    missing: int = 0
    surplus: int = 0
    differing: int = 0
    closed_early: int = 0
    open: int = 0
    unsettled: int = 0
    misjudged: int = 0
    wrong: Sequence[dict[str, Any]] = field(default=())

    @property
    def is_equal(self) -> bool:
        """Every final window is what the events say, and none is missing."""
        return not (self.missing or self.surplus or self.differing or self.closed_early or self.misjudged)


def compare_windows(
    connection: duckdb.DuckDBPyConnection, definitions: Sequence[WindowDefinition]
) -> list[WindowComparison]:
    """Recompute every window that must be final by now; a read-only connection will do. Empty before the first load."""
    settled_at = _settled_at(connection)
    if settled_at is None or not definitions:
        return []
    stage_window_events(connection, definitions)
    connection.execute(_RESULTS, {"partials": PARTIALS.name, "settled_at": settled_at})
    connection.execute(_ENDS)
    return [_compare(connection, definition, fields_of(definitions)) for definition in definitions]


def _settled_at(connection: duckdb.DuckDBPyConnection) -> dt.datetime | None:
    """What the stream emitted by then is in the warehouse."""
    topics = [EVENTS.name, LATE.name, WINDOWS.name]
    row = connection.execute(
        "SELECT count(*), min(listed_at) FROM raw.load_times WHERE list_contains($topics, topic)", {"topics": topics}
    ).fetchone()
    if row is None or row[0] < len(topics):
        return None
    listed_at: dt.datetime = row[1]
    return listed_at - SETTLES_AFTER


def _compare(
    connection: duckdb.DuckDBPyConnection, definition: WindowDefinition, fields: Sequence[str]
) -> WindowComparison:
    version = {"name": definition.name, "version": definition.version}
    lengths = {"size": definition.size_ms, "lateness": definition.lateness_ms}
    hop = {"hop": definition.hop_ms}
    is_session = definition.window_type is WindowType.SESSION
    is_of_a_partition = definition.is_partitioned_like_the_topic
    names = None if definition.event_names is None else sorted(definition.event_names)
    columns = [_Column(number, aggregate, fields) for number, aggregate in enumerate(definition.aggregates)]
    connection.execute(
        _COUNTED.format(
            key=f"events.fields[{fields.index(definition.key_field) + 1}]",
            values="".join(f"{column.value}, " for column in columns),
            belongs=_OF_A_PARTITION if is_of_a_partition else _OF_ALL_PARTITIONS,
        ),
        {"name": definition.name, "names": names},
    )
    connection.execute(
        _VERDICTS.format(
            ended_sessions=_ENDED_SESSIONS.format(ended=_ENDED) if is_session else "",
            placed=_SESSIONS if is_session else _ALIGNED,
            edges="min(occurred_ms) AS start_ms, max(occurred_ms) + $size AS end_ms"
            if is_session
            else "start_ms, end_ms",
            groups="ended, session" if is_session else "start_ms, end_ms",
            aggregates="".join(f", {column.expected}" for column in columns),
            expected_values=f"to_json({{{', '.join(column.shown for column in columns)}}})" if columns else "'{}'",
            differs="".join(f" OR {column.differs}" for column in columns),
        ),
        {**version, **lengths, **({} if is_session else hop)},
    )
    counts = dict(connection.execute("SELECT verdict, count(*) FROM window_verdicts GROUP BY verdict").fetchall())
    unsettled = _count(
        connection,
        "SELECT count(*) FROM window_found WHERE NOT is_settled AND window_name = $name AND version = $version",
        version,
    )
    judged = is_of_a_partition and not is_session
    return WindowComparison(
        definition.name,
        **counts,
        unsettled=unsettled,
        misjudged=_count(connection, _MISJUDGED, {**lengths, **hop}) if judged else 0,
        wrong=_wrong(connection),
    )


def _count(connection: duckdb.DuckDBPyConnection, query: str, parameters: dict[str, Any]) -> int:
    row = connection.execute(query, parameters).fetchone()
    return int(row[0]) if row else 0


def _wrong(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    rows = connection.execute(
        """
        SELECT
            verdict, place, CASE WHEN key_id <> '-' THEN key_id[2:] END AS key,
            make_timestamp(start_ms * 1000)::VARCHAR AS window_start,
            make_timestamp(end_ms * 1000)::VARCHAR AS window_end,
            expected_count, found_count, expected_values::VARCHAR AS expected_values, found_values
        FROM window_verdicts
        WHERE verdict NOT IN ('equal', 'open')
        ORDER BY start_ms, place, key, end_ms
        LIMIT $most
        """,
        {"most": SHOWN_DIFFERENCES},
    )
    names = [column[0] for column in rows.description or []]
    return [dict(zip(names, row, strict=True)) for row in rows.fetchall()]


@dataclass(frozen=True)
class _Column:
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
        return f"{_literal(self.aggregate.name)}: expected.v{self.number}"

    @property
    def differs(self) -> str:
        path = _literal(f'$."{self.aggregate.name}"')
        found = f"(json_extract_string(found.aggregates, {path}))::DOUBLE"
        return f"coalesce(abs({found} - expected.v{self.number}) > expected.t{self.number}, " + (
            f"({found} IS NULL) <> (expected.v{self.number} IS NULL))"
        )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
