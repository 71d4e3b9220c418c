"""What dbt has built of real rows keeps the contract, in raw and in the typed columns."""

import duckdb

from platform_assets.contracts.landed_rows import LANDED_ROWS
from platform_assets.defs.warehouse.purchase_lines import check_lines
from resources.warehouse.contract_checks import check_rows
from tests.check_results import shown
from tests.dbt_project.dbt_build import Built


def test_real_rows_keep_the_contract_before_and_after_dbt_has_read_them(built: Built) -> None:
    """Every landed table has some, and the purchase lines are those that were read out of the events."""
    with duckdb.connect(str(built.warehouse), read_only=True) as connection:
        raw = {rows.name: check_rows(connection, rows) for rows in LANDED_ROWS}
        typed, _ = check_lines(connection, None, most_rows=10**9)
    assert all(check.rows for check in raw.values())
    assert {name: check.broken_rules for name, check in raw.items() if not check.passed} == {}
    assert typed.passed
    assert shown(typed)["checked_rows"] == built.rows("select count(*) from staging.stg_events__purchase_lines")[0][0]
