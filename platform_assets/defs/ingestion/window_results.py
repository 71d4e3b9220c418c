"""Whether the stream's windows are right: the same in every pass over the log, and the same as in batch."""

from collections.abc import Sequence
from typing import Any

import duckdb
from dagster import AssetCheckResult, ResourceParam, asset_check

from platform_assets.contracts.windows import WINDOWS, WindowDefinition
from platform_assets.defs.ingestion.raw_landed import RAW_EVENTS_KEY, RAW_LATE_EVENTS_KEY, RAW_WINDOW_RESULTS_KEY
from resources.warehouse import Warehouse
from resources.warehouse.window_comparison import compare_windows

_SHOWN_RESULTS = 10
# A result that came once cannot differ from itself: only those that came again are read.
_DIFFERING = """
SELECT
    kept.result_id, kept.event_count, again.event_count AS event_count_again,
    kept.aggregates, again.aggregates AS aggregates_again, again.kafka_partition, again.kafka_offset
FROM raw.repeated_window_results AS again
INNER JOIN raw.window_results AS kept USING (result_id)
WHERE again.event_count <> kept.event_count OR again.aggregates <> kept.aggregates
ORDER BY kept.result_id, again.kafka_offset
"""


@asset_check(
    asset=RAW_WINDOW_RESULTS_KEY,
    description="A final window that the stream said again, as it does after a crash, is the same to the last digit.",
)
def window_results_never_differ(warehouse: ResourceParam[Warehouse]) -> AssetCheckResult:
    """See `check_repeats`."""
    with warehouse.read() as connection:
        return check_repeats(connection)


def check_repeats(connection: duckdb.DuckDBPyConnection) -> AssetCheckResult:
    """Compare every repeated result with the one that was kept; shows the first that differ."""
    found = connection.sql(_DIFFERING)
    (repeated,) = connection.execute("SELECT count(*) FROM raw.repeated_window_results").fetchone() or (0,)
    differing = found.fetchall()
    return AssetCheckResult(
        passed=not differing,
        metadata={
            "repeated_results": repeated,
            "differing_results": len(differing),
            "first_differing": [dict(zip(found.columns, row, strict=True)) for row in differing[:_SHOWN_RESULTS]],
        },
    )


@asset_check(
    asset=RAW_WINDOW_RESULTS_KEY,
    additional_deps=[RAW_EVENTS_KEY, RAW_LATE_EVENTS_KEY],
    description=(
        "Every final window holds what the landed events say, and none is missing. Counts, minima and maxima exactly, "
        "sums and means to 1e-9, distinct counts within 6 standard errors, quantiles within 1 %. Results of the last "
        "minute before the load wait for the next one."
    ),
)
def stream_windows_equal_batch(warehouse: ResourceParam[Warehouse]) -> AssetCheckResult:
    """See `check_windows`."""
    with warehouse.read() as connection:
        return check_windows(connection, WINDOWS)


def check_windows(connection: duckdb.DuckDBPyConnection, definitions: Sequence[WindowDefinition]) -> AssetCheckResult:
    """Recompute the windows of all definitions; numbers by definition, and the first windows that are wrong."""
    comparisons = compare_windows(connection, definitions)
    numbers: dict[str, Any] = {}
    for one in comparisons:
        numbers |= {
            f"{one.name}: equal": one.equal,
            f"{one.name}: missing": one.missing,
            f"{one.name}: surplus": one.surplus,
            f"{one.name}: differing": one.differing,
            f"{one.name}: closed early": one.closed_early,
            f"{one.name}: late events misjudged": one.misjudged,
            f"{one.name}: cut short": one.cut_short,
            f"{one.name}: waiting": one.unsettled,
        }
    return AssetCheckResult(
        passed=all(one.is_equal for one in comparisons),
        metadata={
            "compared_windows": sum(one.equal + one.differing + one.closed_early for one in comparisons),
            **numbers,
            "first_wrong": [{"window": one.name, **row} for one in comparisons for row in one.wrong][:_SHOWN_RESULTS],
        },
    )
