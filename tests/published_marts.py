"""A small warehouse with the marts that metrics read, published as the platform does it."""

from resources.settings import Settings
from resources.warehouse import Warehouse
from resources.warehouse.snapshots import SERVED_MARTS, Snapshot, publish_snapshot

# Sunday 2017-01-01 to 2017-02-09: 40 days. Money is `factor` a line, so that every answer tells of which build it is.
_MARTS = {
    "fct_daily_sales": """
        SELECT DATE '2017-01-01' + day::INTEGER AS order_date, department, brand, 2::BIGINT AS line_count,
               (department IS NULL)::BIGINT AS flagged_line_count, 3::BIGINT AS units,
               2.0 * $factor AS sales_value, 0.5 * $factor AS retail_disc, 0.1 * $factor AS coupon_disc,
               0.25 * $factor AS coupon_match_disc
        FROM range(40) AS days(day), (VALUES ('GROCERY', 'National'), ('GROCERY', 'Private'), ('=FUEL()', 'National'),
             (NULL, NULL)) AS products(department, brand)""",
    # Two households by turns, and a third one in the first week only; 22:00 in New York is the next day in UTC.
    "fct_orders": """
        SELECT 'o' || number AS order_id, CASE WHEN number < 3 THEN 'third' ELSE 'h' || number % 2 END AS household_id,
               's' || number % 3 AS store_id, DATE '2017-01-01' + number::INTEGER AS order_date,
               TIMESTAMPTZ '2017-01-02 03:00:00+00' + number * INTERVAL 24 HOUR AS ordered_at,
               2::BIGINT AS line_count, 5.0 * $factor AS sales_value
        FROM range(40) AS orders(number)""",
    "fct_sessions": """
        SELECT 's' || number AS session_id, 'h' AS household_id, 4.0 * $factor AS sales_value,
               DATE '2017-01-01' + number::INTEGER AS session_date,
               TIMESTAMPTZ '2017-01-02 03:00:00+00' + number * INTERVAL 24 HOUR AS started_at
        FROM range(40) AS sessions(number)""",
    "fct_event_days": """
        SELECT DATE '2017-01-01' + day::INTEGER AS event_date, 'purchase_line' AS event_name, 'shop' AS source_service,
               (10 * $factor)::BIGINT AS event_count
        FROM range(40) AS days(day)""",
    "fct_rejections": """
        SELECT 'r' || number AS rejection_id, 'door' AS origin, 'not_json' AS reason_class, NULL::VARCHAR AS event_name,
               CASE WHEN number = 0 THEN 'replayed' ELSE 'open' END AS status, ($factor)::INTEGER AS factor,
               TIMESTAMPTZ '2017-01-06 03:00:00+00' AS rejected_at
        FROM range(3) AS rejections(number)""",
}
PUBLISHED = tuple(mart for mart in SERVED_MARTS if mart.name in _MARTS)


def build_marts(warehouse: Warehouse, factor: int = 1) -> None:
    """Build all of them in one transaction."""
    with warehouse.write("build marts") as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS marts")
        for name, select in _MARTS.items():
            connection.execute(f"CREATE OR REPLACE TABLE marts.{name} AS {select}", {"factor": factor})


def publish_marts(settings: Settings, factor: int = 1) -> Snapshot:
    """Build and publish them; returns what serves now."""
    warehouse = Warehouse.of(settings)
    build_marts(warehouse, factor)
    return publish_snapshot(warehouse, settings.snapshots_dir, PUBLISHED)[0]
