"""Whether the rows of a raw table keep the contract of their topic, by the rules that the decoders have."""

from dagster import AssetCheckResult, AssetCheckSpec, AssetKey

from platform_assets.contracts.landed_rows import LANDED_ROWS, LandedRows
from resources.warehouse import Warehouse
from resources.warehouse.contract_checks import ContractCheck, check_rows, passed_until, remember_passed

ROWS_KEEP_THE_CONTRACT = "rows_keep_the_contract"

_BY_TABLE = {f"raw.{rows.name}": rows for rows in LANDED_ROWS}


def rows_of(table: str) -> LandedRows:
    """The contract of a landed table's rows, by its full name."""
    return _BY_TABLE[table]


def contract_check_spec(key: AssetKey) -> AssetCheckSpec:
    """`rows_keep_the_contract` of one raw table."""
    return AssetCheckSpec(
        ROWS_KEEP_THE_CONTRACT,
        asset=key,
        blocking=True,
        description=(
            "Every newly loaded row keeps the contract that the door and the stream enforce; a row is judged until it "
            "has passed, so mend or delete those that are shown."
        ),
    )


def check_contract(warehouse: Warehouse, rows: LandedRows, *, purpose: str) -> AssetCheckResult:
    """Judge what has not passed yet; how far all has passed is remembered in the warehouse."""
    with warehouse.read() as connection:
        passed = passed_until(connection, f"raw.{rows.name}")
        check = check_rows(connection, rows, after=passed)
    if check.passed and check.checked_until is not None:
        with warehouse.write(purpose) as connection:
            remember_passed(connection, f"raw.{rows.name}", check.checked_until)
    return _result(check)


def check_every_row(warehouse: Warehouse, rows: LandedRows) -> AssetCheckResult:
    """Judge all rows, also those that have passed: whatever was changed in the table since, or in the rules."""
    with warehouse.read() as connection:
        return _result(check_rows(connection, rows))


def _result(check: ContractCheck) -> AssetCheckResult:
    return AssetCheckResult(
        check_name=ROWS_KEEP_THE_CONTRACT,
        passed=check.passed,
        metadata={
            "checked_rows": check.rows,
            "broken_rows": check.broken_rows,
            "broken_rules": dict(check.broken_rules),
            "first_rows": [dict(row) for row in check.first_rows],
        },
    )
