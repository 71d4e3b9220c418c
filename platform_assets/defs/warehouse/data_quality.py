"""How much of the data breaks a rule, beside what is tolerated; such rows are kept and flagged, or rejected."""

from collections.abc import Iterator
from dataclasses import dataclass

import duckdb
from dagster import AssetCheckResult, AssetCheckSpec, ResourceParam, multi_asset_check

from platform_assets.defs.stages import Stage
from resources.warehouse import Warehouse

QUALITY_COUNTS = Stage.MARTS.key("data_quality_counts")


@dataclass(frozen=True)
class Tolerance:
    """Rules whose rows together may be at most a share of all rows that they look at."""

    check: str
    rules: tuple[str, ...]
    share: float
    description: str


# The demo's shares, of 1,469,307 lines: without units 0.60 %, without sales 0.76 %, sold without units 0.003 %, given
# away 0.16 %, bulk 0.92 %, unknown product 0.33 %; coupon rows repeated 4.2 %. Tolerated is about twice as much.
TOLERANCES: tuple[Tolerance, ...] = (
    Tolerance("lines_without_units_are_rare", ("line_is_without_units",), 0.012, "Lines without units"),
    Tolerance("lines_without_sales_are_rare", ("line_is_without_sales",), 0.015, "Lines without sales"),
    Tolerance("sales_without_units_are_rare", ("line_is_sale_without_units",), 0.001, "Sales without units"),
    Tolerance("giveaways_are_rare", ("line_is_giveaway",), 0.005, "Lines with units and no sales"),
    Tolerance("bulk_quantities_are_rare", ("line_is_bulk_quantity",), 0.02, "Lines of more than 1,000 units"),
    Tolerance("unknown_products_are_rare", ("line_is_of_unknown_product",), 0.01, "Lines of an unknown product"),
    Tolerance("lines_without_a_household_are_rare", ("line_is_without_household",), 0.01, "Lines of nobody"),
    Tolerance("repeated_coupon_rows_are_few", ("coupon_row_is_repeated",), 0.1, "Repeated rows of the coupon file"),
)
_READ = "SELECT rule, row_count, total_rows FROM marts.data_quality_counts"


@multi_asset_check(
    name="data_quality_is_tolerable",
    specs=[
        AssetCheckSpec(
            tolerance.check,
            asset=QUALITY_COUNTS,
            description=f"{tolerance.description}: at most {tolerance.share:.2%}.",
        )
        for tolerance in TOLERANCES
    ]
    + [
        AssetCheckSpec(
            "rejections_are_rare",
            asset=QUALITY_COUNTS,
            description="Of the distinct events that were sent, at most 1 %.",
        )
    ],
)
def data_quality_is_tolerable(warehouse: ResourceParam[Warehouse]) -> Iterator[AssetCheckResult]:
    """One check for each tolerance, and one for everything that the door or the stream turned away."""
    with warehouse.read() as connection:
        yield from check_quality(connection)


def check_quality(connection: duckdb.DuckDBPyConnection) -> Iterator[AssetCheckResult]:
    """Compare the counts of marts.data_quality_counts with what is tolerated; a rule without its row fails."""
    counts = {rule: (rows, total) for rule, rows, total in connection.execute(_READ).fetchall()}
    for tolerance in TOLERANCES:
        yield _judge(tolerance, counts)
    turned_away = tuple(rule for rule in counts if rule.startswith(("door_", "stream_")))
    yield _judge(Tolerance("rejections_are_rare", turned_away, 0.01, "Rejections"), counts)


def _judge(tolerance: Tolerance, counts: dict[str, tuple[int, int]]) -> AssetCheckResult:
    missing = [rule for rule in tolerance.rules if rule not in counts]
    found = {rule: counts[rule][0] for rule in tolerance.rules if rule in counts}
    total = max((counts[rule][1] for rule in found), default=0)
    rows = sum(found.values())
    return AssetCheckResult(
        asset_key=QUALITY_COUNTS,
        check_name=tolerance.check,
        passed=bool(found) and not missing and rows <= tolerance.share * total,
        metadata={
            "rows": rows,
            "rows_looked_at": total,
            "share": rows / total if total else 0.0,
            "tolerated_share": tolerance.share,
            "rules_without_a_count": missing,
            **({rule: count for rule, count in found.items() if count} if len(found) > 1 else {}),
        },
    )
