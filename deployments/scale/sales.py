"""The events of a large shop, made by SQL: a day and partition at a time, the same for the same numbers.

Nine baskets in ten are purchases of ten lines, as the demo replays them; the tenth is page views, an event without a
contract of its own. A hundredth of the baskets arrives one to seven days late, and a hundredth of a day's events comes
again a day later. Everything follows from the number of a basket, so nothing has to be remembered.
"""

import datetime as dt

import duckdb
import msgspec

from platform_assets.contracts.landing import EVENT_COLUMNS, LandingFile
from platform_assets.contracts.payloads import PURCHASE_LINE
from platform_assets.contracts.topics import EVENTS
from resources.landing_zone import LandingZone, arrow_schema
from resources.warehouse.database import one_row
from resources.warehouse.reference_loads import PRODUCTS, source_file, source_folder

LOG = "scale0000000000000000a"
PARTITIONS = 4
LINES = 10
"""Of a basket."""

DAY_UNIT = PARTITIONS * LINES * 10
"""A day's events are a multiple of it, so that every partition has as many, and as many repeats."""

OPENS_AT = dt.time(11, tzinfo=dt.UTC)
OPEN_S = 50_000
"""From 6 or 7 in the morning to 9 in the evening in New York: no basket is near the end of a business day."""


class Shop(msgspec.Struct, frozen=True, kw_only=True):
    """What is made. `events` is the number of distinct events, all days together."""

    events: int
    days: int
    households: int
    first_day: dt.date

    @property
    def day_events(self) -> int:
        """Distinct events that arrive on a day."""
        return max(1, round(self.events / self.days / DAY_UNIT)) * DAY_UNIT

    @property
    def day_repeats(self) -> int:
        """Events that arrive a second time on a day, but for the first."""
        return self.day_events // 100 // PARTITIONS * PARTITIONS


class DayTotals(msgspec.Struct, frozen=True):
    """What of the distinct events that were made happened on one day."""

    day: dt.date
    events: int
    lines: int
    cents: int


_PRODUCTS = """
CREATE TEMP TABLE products AS
SELECT row_number() OVER (ORDER BY product_id) - 1 AS number, product_id FROM read_parquet($path)
"""

_EVENTS = """
WITH numbers AS (
    SELECT range AS position, $day AS day, false AS is_repeat FROM range($partition_events)
    UNION ALL
    SELECT range * 100 + 37, $day - 1, true FROM range($partition_repeats)
),
lines AS (
    SELECT
        *,
        position // 10 AS basket_position,
        (day * $partition_events + position) * 4 + $partition AS line,
        (day * $partition_events // 10 + position // 10) * 4 + $partition AS basket
    FROM numbers
),
drawn AS (
    SELECT
        *,
        hash(line) AS draw,
        hash(basket) AS basket_draw,
        basket_position % 10 = 9 AS is_view,
        CASE WHEN basket_position % 100 = 3 THEN least(1 + basket // 64 % 7, day)::INTEGER ELSE 0 END AS days_late,
        basket_position * $open_s // ($partition_events // 10) AS second
    FROM lines
),
timed AS (
    SELECT
        *,
        make_timestamptz(($opens_s + (day - days_late) * 86400 + second) * 1000000) AS occurred_at,
        make_timestamptz(($opens_s + $day * 86400 + second + 2 + is_repeat::INTEGER) * 1000000) AS received_at,
        ($products * pow((draw % 65536) / 65536, 3))::INTEGER AS product,
        1 + CASE WHEN draw % 5 = 0 THEN draw // 8 % 6 ELSE 0 END AS quantity,
        79 + draw // 64 % 1200 AS price
    FROM drawn
)
SELECT
    md5(line::VARCHAR)::UUID::VARCHAR AS event_id,
    CASE WHEN is_view THEN 'user_action' ELSE 'transaction' END AS event_type,
    CASE WHEN is_view THEN 'page_viewed' ELSE $purchase_line END AS event_name,
    ((basket_draw % ($households // 4)) * 4 + $partition)::VARCHAR AS user_id,
    CASE WHEN is_view THEN 'session-' || basket END AS session_id,
    occurred_at,
    received_at,
    CASE WHEN is_view THEN 'web' ELSE 'tills' END AS source_service,
    1::INTEGER AS schema_version,
    'request-' || basket AS correlation_id,
    NULL::VARCHAR AS traceparent,
    CASE WHEN is_view THEN
        '{"path":"/products/' || product_id || '","value":' || draw % 180 || '.5}'
    ELSE
        '{"basket_id":"' || 31000000000 + basket || '","product_id":"' || product_id
        || '","store_id":"' || 300 + basket_draw % 120
        || '","quantity":' || quantity
        || ',"sales_value":' || format('{:.2f}', quantity * price / 100.0)
        || ',"retail_disc":' || CASE WHEN draw % 3 = 0 THEN format('{:.2f}', draw // 16 % 90 / 100.0) ELSE '0' END
        || ',"coupon_disc":' || CASE WHEN draw % 50 = 0 THEN '0.55' ELSE '0' END || ',"coupon_match_disc":0}'
    END AS payload,
    $log AS log,
    $partition AS kafka_partition,
    $first_offset + CASE WHEN is_repeat THEN $partition_events + position // 100 ELSE position END AS kafka_offset,
    is_repeat, is_view, quantity * price AS cents, day - days_late AS shop_day
FROM timed
INNER JOIN products ON timed.product = products.number
ORDER BY kafka_offset
"""

_TOTALS = """
SELECT
    $first_day::DATE + shop_day::INTEGER,
    count(*), count(*) FILTER (WHERE NOT is_view), coalesce(sum(cents) FILTER (WHERE NOT is_view), 0)::BIGINT
FROM made
WHERE NOT is_repeat
GROUP BY ALL
ORDER BY ALL
"""


def make_file(zone: LandingZone, shop: Shop, day: int, partition: int) -> list[DayTotals]:
    """Write what arrives in a partition on a day, as the sink would, and return its totals by business day."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET threads = 1; SET enable_progress_bar = false")
        connection.execute(_PRODUCTS, {"path": str(source_file(source_folder(), PRODUCTS))})
        (products,) = one_row(connection, "SELECT count(*) FROM products")
        partition_events = shop.day_events // PARTITIONS
        repeats = shop.day_repeats // PARTITIONS if day else 0
        # The first day has no repeats.
        first_offset = day * partition_events + max(0, day - 1) * (shop.day_repeats // PARTITIONS)
        made = connection.execute(
            _EVENTS,
            {
                "day": day,
                "partition": partition,
                "partition_events": partition_events,
                "partition_repeats": repeats,
                "first_offset": first_offset,
                "households": shop.households,
                "opens_s": int(dt.datetime.combine(shop.first_day, OPENS_AT).timestamp()),
                "open_s": OPEN_S,
                "products": products - 1,
                "purchase_line": PURCHASE_LINE,
                "log": LOG,
            },
        ).to_arrow_table()
        totals = [DayTotals(*row) for row in connection.execute(_TOTALS, {"first_day": shop.first_day}).fetchall()]
    table = made.select(list(EVENT_COLUMNS)).cast(arrow_schema(EVENT_COLUMNS))
    last_offset = first_offset + len(table) - 1
    zone.write(table, LandingFile(EVENTS.name, LOG, partition, first_offset, last_offset))
    return totals
