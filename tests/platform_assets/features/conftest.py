"""Two marts with a handful of rows, small enough to compute by hand."""

import datetime as dt
from collections.abc import Callable, Iterator

import duckdb
import pytest

Line = tuple[str, str, dt.date, str, str, str, float, float, float]
"""household, order, day, store, department, brand, sales, retail discount, coupon discount"""

MakeMarts = Callable[[list[Line]], duckdb.DuckDBPyConnection]

_LINES = """
CREATE TABLE marts.fct_order_lines (
    household_id VARCHAR, order_id VARCHAR, order_date DATE, store_id VARCHAR, department VARCHAR, brand VARCHAR,
    sales_value DECIMAL(18, 2), retail_disc DECIMAL(18, 2), coupon_disc DECIMAL(18, 2),
    coupon_match_disc DECIMAL(18, 2) DEFAULT 0, is_product_unknown BOOLEAN DEFAULT FALSE
)
"""
_ORDERS = """
CREATE VIEW marts.fct_orders AS
SELECT
    order_id, household_id, store_id, order_date, count(*) AS line_count, sum(sales_value) AS sales_value,
    sum(retail_disc) AS retail_disc, sum(coupon_disc) AS coupon_disc, sum(coupon_match_disc) AS coupon_match_disc
FROM marts.fct_order_lines GROUP BY ALL
"""


@pytest.fixture
def make_marts() -> Iterator[MakeMarts]:
    """Builds the marts from purchase lines."""
    with duckdb.connect() as connection:

        def make(lines: list[Line]) -> duckdb.DuckDBPyConnection:
            connection.execute("CREATE SCHEMA marts")
            connection.execute(_LINES)
            connection.execute(_ORDERS)
            for line in lines:
                connection.execute(
                    "INSERT INTO marts.fct_order_lines (household_id, order_id, order_date, store_id, department,"
                    " brand, sales_value, retail_disc, coupon_disc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    line,
                )
            return connection

        yield make
