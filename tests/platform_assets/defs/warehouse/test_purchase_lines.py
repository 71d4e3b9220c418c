"""The check of the purchase lines' typed columns by pandera: new rows, in whole loads."""

import datetime as dt
import math
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from platform_assets.defs.warehouse.purchase_lines import TABLE, check_lines, lines_match_the_contract
from resources.warehouse import Warehouse
from tests.check_results import evaluate, shown

LOADED_AT = dt.datetime(2026, 1, 5, 12, tzinfo=dt.UTC)
_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("event_id", "order_id", "product_id", "store_id")),
        ("quantity", pa.int32()),
        *((name, pa.float64()) for name in ("sales_value", "retail_disc", "coupon_disc", "coupon_match_disc")),
        ("loaded_at", pa.timestamp("us", tz="UTC")),
    ]
)


def line(event_id: str, load: int = 0, **changes: Any) -> dict[str, Any]:
    return {
        **dict.fromkeys(("order_id", "product_id", "store_id"), "1"),
        **dict.fromkeys(("sales_value", "retail_disc", "coupon_disc", "coupon_match_disc"), 0.5),
        "event_id": event_id,
        "quantity": 1,
        "loaded_at": LOADED_AT + dt.timedelta(hours=load),
        **changes,
    }


def insert(connection: duckdb.DuckDBPyConnection, *lines: dict[str, Any]) -> None:
    connection.register("fresh", pa.Table.from_pylist(list(lines), schema=_SCHEMA))
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS staging; CREATE TABLE IF NOT EXISTS {TABLE} AS FROM fresh LIMIT 0")
    connection.execute(f"INSERT INTO {TABLE} FROM fresh")
    connection.unregister("fresh")


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"quantity": -1}, "quantity_is_in_range"),
        ({"quantity": None}, "quantity_is_not_null"),
        ({"sales_value": math.nan}, "sales_value_is_in_range"),
        ({"sales_value": 1_000_000.01}, "sales_value_is_in_range"),
        ({"product_id": ""}, "product_id_is_well_formed"),
        ({"coupon_match_disc": 0.51}, "coupon_match_disc_is_at_most_coupon_disc"),
    ],
)
def test_line_that_breaks_a_rule_is_shown_with_it(warehouse: Warehouse, changes: dict[str, Any], rule: str) -> None:
    with warehouse.write("test") as connection:
        insert(connection, line("good"), line("bad", **changes))
        result, _ = check_lines(connection, None, most_rows=10)
    assert not result.passed
    assert shown(result)["first_failures"] == [f"bad: {rule}"]


def test_before_the_first_build_there_is_nothing_to_judge(warehouse: Warehouse) -> None:
    """The check has a schedule of its own, which may come first."""
    assert evaluate(lines_match_the_contract, warehouse=warehouse).passed
    with warehouse.write("test") as connection:
        connection.execute("CREATE SCHEMA raw")
    assert evaluate(lines_match_the_contract, warehouse=warehouse).passed


def test_next_lines_are_judged_in_whole_loads_until_they_have_passed(warehouse: Warehouse) -> None:
    """A load is never cut: what comes after a moment is only known by its load."""
    with warehouse.write("test") as connection:
        insert(connection, line("a"), line("b"), line("c", 1), line("d", 2))
        first, until = check_lines(connection, None, most_rows=3)
        assert (shown(first)["checked_rows"], shown(first)["rows_left_for_the_next_check"]) == (3, 1)
        assert until == LOADED_AT + dt.timedelta(hours=1)
        large, until = check_lines(connection, None, most_rows=1)
        assert (shown(large)["checked_rows"], until) == (2, LOADED_AT)
    assert shown(evaluate(lines_match_the_contract, warehouse=warehouse))["checked_rows"] == 4
    assert shown(evaluate(lines_match_the_contract, warehouse=warehouse))["checked_rows"] == 0
    with warehouse.write("test") as connection:
        insert(connection, line("e", 3, quantity=-1))
    for _ in range(2):
        failed = evaluate(lines_match_the_contract, warehouse=warehouse)
        assert (failed.passed, shown(failed)["checked_rows"]) == (False, 1)
