"""Whether the typed columns of the purchase lines are what the payload's contract says (pandera)."""

import datetime as dt
import itertools

import duckdb
from dagster import AssetCheckKey, AssetCheckResult, ResourceParam, asset_check

from platform_assets.contracts.landed_rows import payload_columns
from platform_assets.contracts.payloads import PURCHASE_LINE
from platform_assets.defs.stages import Stage
from resources.warehouse import Warehouse
from resources.warehouse.contract_checks import passed_until, remember_passed
from resources.warehouse.database import has_table

TABLE = "staging.stg_events__purchase_lines"
PURCHASE_LINES_KEY = Stage.STAGING.key("stg_events__purchase_lines")
LINES_MATCH_THE_CONTRACT = AssetCheckKey(PURCHASE_LINES_KEY, "lines_match_the_contract")

# A writer waits while they are read: 3 s for as many.
_MOST_ROWS = 1_000_000
_BATCH_ROWS = 100_000
_SHOWN_FAILURES = 20

# What staging calls otherwise than the payload does.
_RENAMED = {"basket_id": "order_id"}

_LOADS = f"""
SELECT loaded_at, count(*) FROM {TABLE}
WHERE $after::TIMESTAMPTZ IS NULL OR loaded_at > $after::TIMESTAMPTZ
GROUP BY loaded_at ORDER BY loaded_at
"""  # noqa: S608 - our own constant


@asset_check(
    asset=LINES_MATCH_THE_CONTRACT.asset_key,
    name=LINES_MATCH_THE_CONTRACT.name,
    description="What was read out of the payloads has the types and bounds of their contract (pandera): new rows.",
)
def lines_match_the_contract(warehouse: ResourceParam[Warehouse]) -> AssetCheckResult:
    """The next million rows, in whole loads; what has passed is not looked at again."""
    if not warehouse.path.exists():
        return AssetCheckResult(passed=True, metadata={"checked_rows": 0, "why": "nothing has been loaded yet"})
    with warehouse.read() as connection:
        if not has_table(connection, TABLE):
            return AssetCheckResult(passed=True, metadata={"checked_rows": 0, "why": "dbt has not built them yet"})
        result, until = check_lines(connection, passed_until(connection, TABLE), most_rows=_MOST_ROWS)
    if result.passed and until is not None:
        with warehouse.write("contract of the purchase lines") as connection:
            remember_passed(connection, TABLE, until)
    return result


def check_lines(
    connection: duckdb.DuckDBPyConnection, after: dt.datetime | None, *, most_rows: int
) -> tuple[AssetCheckResult, dt.datetime | None]:
    """The check of the loads after a moment, and the last load that it looked at; None where there was none.

    At least one load is looked at, however large.
    """
    from platform_assets.quality.contract.frames import failures_of, frame_of, payload_schema

    loads = connection.execute(_LOADS, {"after": after}).fetchall()
    counted = zip(loads, itertools.accumulate(count for _, count in loads), strict=True)
    chosen = [load for place, (load, so_far) in enumerate(counted) if place == 0 or so_far <= most_rows]
    failure_count, shown = 0, list[str]()
    if chosen:
        schema = payload_schema(PURCHASE_LINE)
        names = (column.name for column in payload_columns(PURCHASE_LINE))
        columns = ", ".join(f"{_RENAMED.get(name, name)} AS {name}" for name in names)
        found = connection.execute(
            f"SELECT event_id, {columns} FROM {TABLE} "  # noqa: S608 - names are the contract's own
            "WHERE ($after::TIMESTAMPTZ IS NULL OR loaded_at > $after::TIMESTAMPTZ) AND loaded_at <= $until",
            {"after": after, "until": chosen[-1][0]},
        )
        for batch in found.to_arrow_reader(_BATCH_ROWS):
            failures = failures_of(schema, frame_of(batch))
            failure_count += len(failures)
            ids = batch.column("event_id")
            shown.extend(
                failure.check if failure.row is None else f"{ids[failure.row].as_py()}: {failure.check}"
                for failure in failures[: _SHOWN_FAILURES - len(shown)]
            )
    result = AssetCheckResult(
        passed=failure_count == 0,
        metadata={
            "checked_rows": sum(count for _, count in chosen),
            "rows_left_for_the_next_check": sum(count for _, count in loads[len(chosen) :]),
            "failures": failure_count,
            "first_failures": shown,
        },
    )
    return result, chosen[-1][0] if chosen else None
