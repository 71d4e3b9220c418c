"""How each household shopped before the cut-offs that training, evaluation and serving need."""

from collections.abc import Iterator

import pandas as pd
from dagster import (
    AssetCheckResult,
    AssetCheckSpec,
    AssetExecutionContext,
    Failure,
    ResourceParam,
    TableColumn,
    TableSchema,
    asset,
    asset_check,
)

from platform_assets.contracts.features import CUSTOMER_ACTIVITY, LOOKBACK_DAYS
from platform_assets.defs.automation import IN_THE_MORNING_WHEN_SOURCE_CHANGED
from platform_assets.defs.materialized import Materialized
from platform_assets.defs.stages import ML_TEAM, WAREHOUSE_POOL, Stage
from resources.settings import Settings
from resources.warehouse import Warehouse
from resources.warehouse.feature_tables import newest_cutoff, table_of, write_features

CUSTOMER_ACTIVITY_KEY = Stage.FEATURES.key("customer_activity")
MATCHES_CONTRACT = "features_match_the_contract"
_SHOWN_CASES = 20

_ACTIVE_AND_FEATURED = """
SELECT
    (SELECT count(DISTINCT household_id) FROM marts.fct_orders
     WHERE order_date >= $cutoff::DATE - $days::INTEGER AND order_date < $cutoff::DATE),
    (SELECT count(DISTINCT entity_id) FROM features.customer_activity WHERE cutoff_date = $cutoff::DATE)
"""


@asset(
    key=CUSTOMER_ACTIVITY_KEY,
    deps=[Stage.MARTS.key("fct_orders"), Stage.MARTS.key("fct_order_lines")],
    group_name=Stage.FEATURES.group,
    owners=[ML_TEAM],
    kinds={"duckdb", "pandera"},
    pool=WAREHOUSE_POOL,
    code_version=str(CUSTOMER_ACTIVITY.version),
    automation_condition=IN_THE_MORNING_WHEN_SOURCE_CHANGED,
    check_specs=[
        AssetCheckSpec(
            MATCHES_CONTRACT,
            asset=CUSTOMER_ACTIVITY_KEY,
            blocking=True,
            description="Columns, types, bounds and the unique key are those of the feature set (pandera).",
        )
    ],
    metadata={
        "dagster/table_name": table_of(CUSTOMER_ACTIVITY),
        "dagster/column_schema": TableSchema(
            [
                TableColumn("entity_id", "VARCHAR", f"The {CUSTOMER_ACTIVITY.entity}."),
                TableColumn("cutoff_date", "DATE", "Only what happened before this day counts."),
                *(TableColumn(column.name, column.dtype, column.description) for column in CUSTOMER_ACTIVITY.columns),
            ]
        ),
    },
    description=CUSTOMER_ACTIVITY.description,
)
def customer_activity(
    context: AssetExecutionContext, settings: ResourceParam[Settings], warehouse: ResourceParam[Warehouse]
) -> Iterator[AssetCheckResult | Materialized]:
    """Compute, check and replace the table in one transaction; features that break the contract are not written."""
    from platform_assets.features.customer_activity import compute
    from platform_assets.features.order_span import order_span
    from platform_assets.modeling.cutoffs import plan_cutoffs

    purpose = f"features.customer_activity, run {context.op_execution_context.run_id}"
    with warehouse.write(purpose) as connection:
        span = order_span(connection)
        plan = plan_cutoffs(span.first, span.as_of, settings.churn.evaluation_cutoff)
        frame = compute(connection, plan.all)
        check = check_contract(frame)
        if check.passed:
            write_features(connection, CUSTOMER_ACTIVITY, frame)
    yield check
    if not check.passed:
        raise Failure(f"The features break their contract and were not written; see the check {MATCHES_CONTRACT}.")
    yield Materialized(
        metadata={
            "dagster/row_count": len(frame),
            "entities": int(frame["entity_id"].nunique()),
            "entities_served": int((frame["cutoff_date"] == pd.Timestamp(plan.serving)).sum()),
            "cutoffs": len(plan.all),
            "evaluation_cutoff": str(plan.evaluation),
            "serving_cutoff": str(plan.serving),
        }
    )


def check_contract(frame: pd.DataFrame) -> AssetCheckResult:
    """`features_match_the_contract`; shows the first rows that do not."""
    from pandera.errors import SchemaErrors

    from platform_assets.features.schema import feature_schema

    try:
        feature_schema(CUSTOMER_ACTIVITY).validate(frame, lazy=True)
    except SchemaErrors as error:
        cases = error.failure_cases[["column", "check", "failure_case", "index"]].head(_SHOWN_CASES)
        return AssetCheckResult(
            check_name=MATCHES_CONTRACT,
            passed=False,
            metadata={"failures": len(error.failure_cases), "first_failures": cases.astype(str).to_dict("records")},
        )
    return AssetCheckResult(check_name=MATCHES_CONTRACT, passed=True, metadata={"rows": len(frame), "failures": 0})


@asset_check(
    asset=CUSTOMER_ACTIVITY_KEY,
    description="At the serving cut-off, every household with an order before it has features.",
)
def every_active_household_has_features(warehouse: ResourceParam[Warehouse]) -> AssetCheckResult:
    """Counts both sides in the warehouse as it is now."""
    with warehouse.read() as connection:
        cutoff = newest_cutoff(connection, CUSTOMER_ACTIVITY)
        counts = connection.execute(_ACTIVE_AND_FEATURED, {"cutoff": cutoff, "days": LOOKBACK_DAYS}).fetchone()
    active, featured = (int(count) for count in counts) if counts else (0, 0)
    return AssetCheckResult(
        passed=0 < active == featured,
        metadata={"active_households": active, "households_with_features": featured, "cutoff": str(cutoff)},
    )
