"""The customer_activity features and the churn label, both as the warehouse knew them on a cut-off day.

Statements are static; cut-offs are bound. A feature reads only rows with `order_date < cutoff`, so a value never
changes when later days arrive, and the same statement makes training rows and the rows that serve.
"""

import datetime as dt
from collections.abc import Sequence

import pandas as pd

from platform_assets.contracts.features import CUSTOMER_ACTIVITY, LOOKBACK_DAYS, OUTCOME_DAYS
from platform_assets.features.connection import WarehouseConnection
from platform_assets.features.order_span import order_span

# 7, 28 and 84 are the windows in the names of the features; 84 is LOOKBACK_DAYS. All orders of a day make one active
# day, so that gaps are at least a day. Sums are rounded to cents, and the standard deviation is made of whole numbers:
# the engine adds in any order, and a value must not depend on it.
FEATURES_STATEMENT = """
WITH cutoffs AS (
    SELECT DISTINCT unnest($cutoffs::DATE[]) AS cutoff_date
),
orders AS (
    SELECT
        cutoffs.cutoff_date,
        fct.household_id AS entity_id,
        fct.order_id,
        fct.order_date,
        cutoffs.cutoff_date - fct.order_date AS age_days,
        fct.store_id,
        fct.line_count,
        fct.sales_value::DOUBLE AS sales_value,
        abs(fct.retail_disc)::DOUBLE AS retail_disc,
        (abs(fct.coupon_disc) + abs(fct.coupon_match_disc))::DOUBLE AS coupon_disc
    FROM marts.fct_orders AS fct
    INNER JOIN cutoffs
        ON fct.order_date < cutoffs.cutoff_date
        AND fct.order_date >= cutoffs.cutoff_date - 84
),
totals AS (
    SELECT
        cutoff_date,
        entity_id,
        min(age_days) AS days_since_last_order,
        count(*) FILTER (WHERE age_days <= 7) AS orders_7d,
        count(*) FILTER (WHERE age_days <= 28) AS orders_28d,
        count(*) AS orders_84d,
        coalesce(round(sum(sales_value) FILTER (WHERE age_days <= 7), 2), 0) AS sales_7d,
        coalesce(round(sum(sales_value) FILTER (WHERE age_days <= 28), 2), 0) AS sales_28d,
        round(sum(sales_value), 2) AS sales_84d,
        count(DISTINCT order_date) FILTER (WHERE age_days <= 28) AS active_days_28d,
        count(DISTINCT order_date) AS active_days_84d,
        count(DISTINCT (age_days - 1) // 7) AS active_weeks_84d,
        count(DISTINCT store_id) AS stores_84d,
        sum(line_count) / count(*) AS lines_per_order_84d,
        round(sum(retail_disc), 2) AS retail_disc_84d,
        count(*) FILTER (WHERE coupon_disc > 0) / count(*) AS coupon_order_share_84d,
        count(*) FILTER (WHERE isodow(order_date) >= 6) / count(*) AS weekend_share_84d
    FROM orders
    GROUP BY cutoff_date, entity_id
),
gaps AS (
    SELECT
        cutoff_date,
        entity_id,
        order_date - lag(order_date) OVER (PARTITION BY cutoff_date, entity_id ORDER BY order_date) AS gap_days
    FROM (SELECT DISTINCT cutoff_date, entity_id, order_date FROM orders)
),
rhythm AS (
    SELECT
        cutoff_date,
        entity_id,
        avg(gap_days) AS gap_mean_days,
        sqrt(
            (count(gap_days) * sum(gap_days * gap_days) - sum(gap_days) * sum(gap_days))
            / nullif(count(gap_days) * (count(gap_days) - 1), 0)
        ) AS gap_std_days,
        max(gap_days)::DOUBLE AS gap_max_days
    FROM gaps
    GROUP BY cutoff_date, entity_id
),
lines AS (
    SELECT
        cutoffs.cutoff_date,
        fct.household_id AS entity_id,
        count(DISTINCT fct.department) FILTER (WHERE NOT fct.is_product_unknown) AS departments_84d,
        coalesce(round(sum(fct.sales_value::DOUBLE) FILTER (WHERE fct.brand = 'Private'), 2), 0) AS private_sales_84d,
        round(sum(fct.sales_value::DOUBLE), 2) AS line_sales_84d
    FROM marts.fct_order_lines AS fct
    INNER JOIN cutoffs
        ON fct.order_date < cutoffs.cutoff_date
        AND fct.order_date >= cutoffs.cutoff_date - 84
    GROUP BY cutoffs.cutoff_date, fct.household_id
),
first_orders AS (
    SELECT household_id AS entity_id, min(order_date) AS first_order_date
    FROM marts.fct_orders
    GROUP BY household_id
)
SELECT
    entity_id,
    cutoff_date,
    days_since_last_order,
    orders_7d,
    orders_28d,
    orders_84d,
    sales_7d,
    sales_28d,
    sales_84d,
    sales_84d / orders_84d AS sales_per_order_84d,
    active_days_28d,
    active_days_84d,
    active_weeks_84d,
    gap_mean_days,
    gap_std_days,
    gap_max_days,
    days_since_last_order / gap_mean_days AS recency_to_gap,
    least(cutoff_date - first_order_date, 84) AS tenure_days,
    orders_28d / orders_84d AS orders_recent_share,
    sales_28d / nullif(sales_84d, 0) AS sales_recent_share,
    stores_84d,
    coalesce(departments_84d, 0) AS departments_84d,
    lines_per_order_84d,
    retail_disc_84d / nullif(sales_84d + retail_disc_84d, 0) AS discount_share_84d,
    coupon_order_share_84d,
    private_sales_84d / nullif(line_sales_84d, 0) AS private_brand_share_84d,
    weekend_share_84d
FROM totals
INNER JOIN rhythm USING (cutoff_date, entity_id)
INNER JOIN first_orders USING (entity_id)
LEFT JOIN lines USING (cutoff_date, entity_id)
ORDER BY cutoff_date, entity_id
"""

LABELS_STATEMENT = """
WITH cutoffs AS (
    SELECT DISTINCT unnest($cutoffs::DATE[]) AS cutoff_date
)
SELECT
    fct.household_id AS entity_id,
    cutoffs.cutoff_date,
    max(fct.order_date) < cutoffs.cutoff_date AS churned
FROM marts.fct_orders AS fct
INNER JOIN cutoffs
    ON fct.order_date >= cutoffs.cutoff_date - $lookback_days::INTEGER
    AND fct.order_date < cutoffs.cutoff_date + $outcome_days::INTEGER
GROUP BY fct.household_id, cutoffs.cutoff_date
HAVING min(fct.order_date) < cutoffs.cutoff_date
ORDER BY cutoffs.cutoff_date, fct.household_id
"""

_INTEGERS = {column.name: "int64" for column in CUSTOMER_ACTIVITY.columns if column.dtype == "int"}
_FLOATS = {column.name: "float64" for column in CUSTOMER_ACTIVITY.columns if column.dtype == "float"}


class UnknownOutcome(ValueError):
    """A label was asked for whose days are not over yet."""


def compute(connection: WarehouseConnection, cutoffs: Sequence[dt.date]) -> pd.DataFrame:
    """The features of every household with an order in the 84 days before each cut-off.

    Returns:
        One row per (entity_id str, cutoff_date datetime64[us]), then the features of CUSTOMER_ACTIVITY in their order;
        sorted by cut-off and entity.
    """
    frame = connection.execute(FEATURES_STATEMENT, {"cutoffs": list(cutoffs)}).df()
    return frame.astype({"entity_id": "object", "cutoff_date": "datetime64[us]", **_INTEGERS, **_FLOATS})


def label_churn(connection: WarehouseConnection, cutoffs: Sequence[dt.date]) -> pd.DataFrame:
    """Whether each household of that population had no order in the 28 days from the cut-off on.

    Returns:
        One row per (entity_id str, cutoff_date datetime64[us]) with churned (bool); sorted by cut-off and entity.

    Raises:
        UnknownOutcome: the 28 days of a cut-off are not over in the warehouse.
    """
    as_of = order_span(connection).as_of
    open_ones = [cutoff for cutoff in cutoffs if cutoff + dt.timedelta(days=OUTCOME_DAYS) > as_of]
    if open_ones:
        raise UnknownOutcome(
            f"Orders are known before {as_of}; the outcome of cut-off {max(open_ones)} needs the {OUTCOME_DAYS} days "
            "from it on."
        )
    frame = connection.execute(
        LABELS_STATEMENT, {"cutoffs": list(cutoffs), "lookback_days": LOOKBACK_DAYS, "outcome_days": OUTCOME_DAYS}
    ).df()
    return frame.astype({"entity_id": "object", "cutoff_date": "datetime64[us]", "churned": "bool"})
