"""Whether the counting adds up between the landing zone and the warehouse, and what a raw table holds."""

from collections import defaultdict
from typing import Any

import duckdb
from dagster import AssetCheckResult

from resources.landing_zone import LandingZone
from resources.warehouse.database import one_row
from resources.warehouse.landed_tables import LandedTable
from resources.warehouse.landed_uniqueness import Uniqueness, prove_unique, prove_unique_in_part
from resources.warehouse.loaded_ranges import loaded_spans
from resources.warehouse.spans import Span, merge, subtract

_SUMS = """
SELECT
    coalesce(sum(last_offset - first_offset + 1), 0)::BIGINT,
    coalesce(sum(row_count), 0)::BIGINT,
    coalesce(sum(new_row_count), 0)::BIGINT,
    coalesce(sum(duplicate_count), 0)::BIGINT
FROM raw.loads
WHERE topic = $topic
"""


def check_key(connection: duckdb.DuckDBPyConnection, table: LandedTable) -> AssetCheckResult:
    """`<key>_is_unique` after a load: the newest rows and a part of all; see `prove_unique_in_part`."""
    return _uniqueness(table, prove_unique_in_part(connection, table))


def check_every_key(connection: duckdb.DuckDBPyConnection, table: LandedTable) -> AssetCheckResult:
    """`<key>_is_unique` for the whole table: every key's hash is read."""
    return _uniqueness(table, prove_unique(connection, table))


def _uniqueness(table: LandedTable, found: Uniqueness) -> AssetCheckResult:
    return AssetCheckResult(
        check_name=f"{table.key}_is_unique",
        passed=found.holds,
        metadata={"rows": found.row_count, "proven_rows": found.proven_rows, "surplus_rows": found.surplus_rows},
    )


def check_counts(
    connection: duckdb.DuckDBPyConnection, landing_zone: LandingZone, table: LandedTable
) -> AssetCheckResult:
    """`counting_adds_up`.

    Loaded ranges do not overlap; together with what landed since the load, they are the landed ranges; the rows in
    them are new ones and duplicates; the table holds the new ones and nothing else.
    """
    loaded = loaded_spans(connection, table.topic)
    landed: dict[tuple[str, int], list[Span]] = defaultdict(list)
    for file in landing_zone.files(table.topic):
        landed[file.log, file.partition].append((file.first, file.last))
    (held,) = one_row(connection, f"SELECT count(*) FROM {table.table}")  # noqa: S608 - our own constant
    offsets, rows, new_rows, duplicates = one_row(connection, _SUMS, {"topic": table.topic})
    loaded_twice = offsets - sum(_width(spans) for spans in loaded.values())
    lost = sum(_width(_minus(loaded[place], landed.get(place, []))) for place in loaded)
    skipped = sum(_width(_before_the_end(spans, loaded.get(place, []))) for place, spans in landed.items())
    return AssetCheckResult(
        check_name="counting_adds_up",
        passed=loaded_twice == 0 and lost == 0 and skipped == 0 and rows == new_rows + duplicates and held == new_rows,
        metadata={
            "loaded_offsets": offsets,
            "offsets_loaded_twice": loaded_twice,
            "offsets_loaded_without_a_file": lost,
            "offsets_skipped": skipped,
            "loaded_rows": rows,
            "new_rows": new_rows,
            "duplicate_rows": duplicates,
            "rows_in_the_table": held,
        },
    )


def describe_table(connection: duckdb.DuckDBPyConnection, table: LandedTable) -> dict[str, Any]:
    """Age of the newest record at its load and now, in seconds, for the plots; empty for an empty table."""
    (seconds,) = one_row(
        connection,
        f"SELECT date_diff('second', max({table.first_by}), now()) FROM {table.table}",  # noqa: S608
    )
    return {} if seconds is None else {"newest_record_age_s": int(seconds)}


def _before_the_end(landed: list[Span], loaded: list[Span]) -> list[Span]:
    """Landed offsets that were passed over; those after the last loaded one landed later."""
    end = max((last for _, last in loaded), default=-1)
    return [span for span in _minus(landed, loaded) if span[0] <= end]


def _minus(spans: list[Span], covered: list[Span]) -> list[Span]:
    return [left for span in merge(spans) for left in subtract(span, covered)]


def _width(spans: list[Span]) -> int:
    return sum(last - first + 1 for first, last in spans)
