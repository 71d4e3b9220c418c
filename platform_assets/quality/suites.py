"""What is expected of the warehouse's own tables. dbt tests keys and relations; these are about values and shares."""

from platform_assets.contracts.payloads import PURCHASE_LINE
from platform_assets.quality.expectations import (
    Compare,
    Completeness,
    ForeignKey,
    InSet,
    NotNull,
    Range,
    RowCount,
    Severity,
    UniqueRows,
)
from platform_assets.quality.profiles import DailyProfile
from platform_assets.quality.suite import Suite

PLAUSIBLE_LINES = Suite(
    name="plausible_purchase_lines",
    dataset="raw.events",
    watermark="loaded_at",
    only={"event_name": PURCHASE_LINE},
    payload={"quantity": "BIGINT", "sales_value": "DOUBLE"},
    quarantine=True,
    # The contract keeps a broken sender out; these are mistakes of scale, cents for dollars or grams for pieces. The
    # demo's real maxima are 840 dollars and 89,638 units of fuel.
    expectations=[
        Range(column="sales_value", max=10_000, name="sales_value_is_plausible"),
        Range(column="quantity", max=1_000_000, name="quantity_is_plausible"),
    ],
)
QUARANTINES: tuple[Suite, ...] = (PLAUSIBLE_LINES,)
"""Judged in the load of their table: see resources/quality/quarantine.py."""

# Shares of the demo: 0.33 % of lines are of unknown products. Tolerated is about twice as much or more.
SUITES: tuple[Suite, ...] = (
    Suite(
        name="order_lines",
        dataset="marts.fct_order_lines",
        watermark="loaded_at",
        expectations=[
            Range(column="sales_value", min=0, name="sales_value_is_not_negative"),
            Compare(
                column="ordered_at", operator="<=", other="loaded_at", mostly=0.99, name="order_is_not_of_tomorrow"
            ),
            Compare(column="coupon_match_disc", operator="<=", other="coupon_disc", name="match_is_within_the_coupon"),
            NotNull(column="household_id", mostly=0.99, severity=Severity.WARN, name="household_is_mostly_known"),
            ForeignKey(
                column="product_id",
                to="marts.dim_products",
                field="product_id",
                mostly=0.99,
                severity=Severity.WARN,
                name="product_is_mostly_known",
            ),
        ],
    ),
    Suite(
        name="products",
        dataset="raw.products",
        expectations=[
            RowCount(min=1, name="catalogue_is_not_empty"),
            Completeness(column="department", mostly=0.99, name="department_is_mostly_given"),
            InSet(column="brand", values=["National", "Private"], name="brand_is_national_or_private"),
        ],
    ),
    Suite(
        name="coupons",
        dataset="raw.coupons",
        expectations=[
            UniqueRows(mostly=0.9, severity=Severity.WARN, name="coupon_rows_are_rarely_repeated"),
            ForeignKey(
                column="campaign_id", to="raw.campaign_descriptions", field="campaign_id", name="campaign_is_known"
            ),
        ],
    ),
)
"""Judged after their table is made, as checks of its asset."""

PROFILES: tuple[DailyProfile, ...] = (
    DailyProfile(
        "marts.fct_order_lines",
        day="order_date",
        watermark="loaded_at",
        nulls=("household_id", "department"),
        means=("sales_value",),
    ),
    DailyProfile("marts.fct_orders", day="order_date", watermark="loaded_at", means=("sales_value", "line_count")),
)
"""Watched for days that are unlike those before them."""
