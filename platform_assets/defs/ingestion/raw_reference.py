"""The shop's files in the warehouse, one asset each, replaced as a whole every day."""

from dagster import (
    AssetCheckResult,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    ResourceParam,
    TableColumn,
    TableSchema,
    asset,
)

from platform_assets.defs.ingestion.complete_journey import COMPLETE_JOURNEY
from platform_assets.defs.materialized import Materialized
from platform_assets.defs.stages import DATA_TEAM, WAREHOUSE_POOL, Stage
from resources.warehouse import Warehouse
from resources.warehouse.reference_loads import (
    CAMPAIGN_DESCRIPTIONS,
    CAMPAIGNS,
    COUPON_REDEMPTIONS,
    COUPONS,
    DEMOGRAPHICS,
    PRODUCTS,
    ReferenceTable,
    load_reference,
    source_folder,
)

TABLE_IS_NOT_EMPTY = "table_is_not_empty"
KEY_IS_UNIQUE = "key_is_unique"


def _reference_asset(table: ReferenceTable, description: str) -> AssetsDefinition:
    key = Stage.RAW.key(table.name)

    @asset(
        key=key,
        deps=[COMPLETE_JOURNEY],
        group_name=Stage.RAW.group,
        owners=[DATA_TEAM],
        kinds={"duckdb"},
        pool=WAREHOUSE_POOL,
        check_specs=_check_specs(table, key),
        metadata={
            "dagster/column_schema": TableSchema([TableColumn(name, kind) for name, kind in table.columns.items()]),
            "dagster/table_name": table.table,
        },
        description=description,
    )
    def load(context: AssetExecutionContext, warehouse: ResourceParam[Warehouse]) -> Materialized:
        purpose = f"load of {table.table}, run {context.op_execution_context.run_id}"
        return load_and_check(warehouse, table, purpose=purpose)

    return load


def _check_specs(table: ReferenceTable, key: AssetKey) -> list[AssetCheckSpec]:
    specs = [AssetCheckSpec(TABLE_IS_NOT_EMPTY, asset=key, blocking=True, description="The file had rows.")]
    if table.key:
        unique = f"No two rows share {', '.join(table.key)}."
        specs.append(AssetCheckSpec(KEY_IS_UNIQUE, asset=key, blocking=True, description=unique))
    return specs


def load_and_check(warehouse: Warehouse, table: ReferenceTable, *, purpose: str) -> Materialized:
    """Replace the table in one transaction and check what it holds."""
    with warehouse.write(purpose) as connection:
        loaded = load_reference(connection, source_folder(), table)
        checks = [
            AssetCheckResult(
                check_name=TABLE_IS_NOT_EMPTY, passed=loaded.row_count > 0, metadata={"rows": loaded.row_count}
            )
        ]
        if table.key:
            surplus = connection.execute(
                f"SELECT count(*) - count(DISTINCT ({', '.join(table.key)})) FROM {table.table}"  # noqa: S608
            ).fetchone()
            repeated = int(surplus[0]) if surplus else 0
            checks.append(
                AssetCheckResult(check_name=KEY_IS_UNIQUE, passed=repeated == 0, metadata={"surplus_rows": repeated})
            )
    return Materialized(
        metadata={"dagster/row_count": loaded.row_count, "loaded_bytes": loaded.byte_count}, check_results=checks
    )


raw_products = _reference_asset(PRODUCTS, "One row per product of the shop's catalogue.")
raw_demographics = _reference_asset(DEMOGRAPHICS, "One row per household that answered the survey.")
raw_campaigns = _reference_asset(CAMPAIGNS, "One row per campaign and household that it targets.")
raw_campaign_descriptions = _reference_asset(CAMPAIGN_DESCRIPTIONS, "One row per campaign, with its type and days.")
raw_coupons = _reference_asset(
    COUPONS, "One row per coupon, product and campaign as delivered; the 4,872 repeats of the file are kept here."
)
raw_coupon_redemptions = _reference_asset(
    COUPON_REDEMPTIONS, "One row per household, coupon, campaign and day of redemption."
)
