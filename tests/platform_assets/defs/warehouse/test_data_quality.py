"""Counts of dirty rows are shown, and fail beyond what is tolerated."""

import pytest
from dagster import AssetCheckResult

from platform_assets.defs.warehouse.data_quality import TOLERANCES, check_quality, data_quality_is_tolerable
from resources.warehouse import Warehouse
from tests.check_results import shown

# The full replay's, from the data set itself.
KNOWN = {
    "line_is_without_units": (8_869, 1_469_307),
    "line_is_without_sales": (11_226, 1_469_307),
    "line_is_sale_without_units": (49, 1_469_307),
    "line_is_giveaway": (2_406, 1_469_307),
    "line_is_bulk_quantity": (13_494, 1_469_307),
    "line_is_of_unknown_product": (4_836, 1_469_307),
    "line_is_without_household": (0, 1_469_307),
    "coupon_row_is_repeated": (4_872, 116_204),
    "door_coupon_match_exceeds_coupon": (4, 1_469_311),
    "stream_other": (0, 1_469_311),
}


def check(warehouse: Warehouse, counts: dict[str, tuple[int, int]]) -> dict[str | None, AssetCheckResult]:
    with warehouse.write("counts") as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS marts")
        connection.execute(
            "CREATE OR REPLACE TABLE marts.data_quality_counts (rule VARCHAR, row_count BIGINT, total_rows BIGINT)"
        )
        rows = [(rule, *numbers) for rule, numbers in counts.items()]
        connection.executemany("INSERT INTO marts.data_quality_counts VALUES (?, ?, ?)", rows)
        return {result.check_name: result for result in check_quality(connection)}


def test_known_violations_of_the_data_set_are_tolerated_and_counted(warehouse: Warehouse) -> None:
    found = check(warehouse, KNOWN)
    assert {name for name, result in found.items() if not result.passed} == set()
    assert shown(found["bulk_quantities_are_rare"])["rows"] == 13_494
    assert shown(found["rejections_are_rare"])["door_coupon_match_exceeds_coupon"] == 4


def test_every_declared_check_is_answered(warehouse: Warehouse) -> None:
    declared = {key.name for key in data_quality_is_tolerable.check_keys}
    assert check(warehouse, KNOWN).keys() == declared


@pytest.mark.parametrize("tolerance", TOLERANCES, ids=lambda tolerance: tolerance.check)
def test_share_beyond_the_tolerance_fails_its_check_alone(warehouse: Warehouse, tolerance: object) -> None:
    assert isinstance(tolerance, type(TOLERANCES[0]))
    (rule,) = tolerance.rules
    total = KNOWN[rule][1]
    found = check(warehouse, {**KNOWN, rule: (int(tolerance.share * total) + 1, total)})
    assert {name for name, result in found.items() if not result.passed} == {tolerance.check}


def test_rule_that_the_mart_lost_fails_and_is_named(warehouse: Warehouse) -> None:
    found = check(warehouse, {rule: numbers for rule, numbers in KNOWN.items() if rule != "line_is_giveaway"})
    assert not found["giveaways_are_rare"].passed
    assert shown(found["giveaways_are_rare"])["rules_without_a_count"] == ["line_is_giveaway"]


def test_flood_of_rejections_fails(warehouse: Warehouse) -> None:
    found = check(warehouse, {**KNOWN, "door_not_json": (20_000, 1_469_311)})
    assert not found["rejections_are_rare"].passed
