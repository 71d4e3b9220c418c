"""Random loads into the raw tables: few households, orders and products in three nights, in any order of time.

Small numbers make collisions: purchases exactly a gap apart, orders over midnight and over days, sessions that a later
load joins, events of ids that were rejected, products that come, change and go.
"""

import datetime as dt
import json
import random

import duckdb

# Half past ten in the evening in New York; on the second of the three nights the clocks go back.
FIRST_MOMENT = dt.datetime(2017, 11, 4, 2, 30, tzinfo=dt.UTC)
FIRST_LOAD = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
DEPARTMENTS = ("GROCERY", "DELI", "MEAT")


class RandomLoads:
    """Fills `raw` and the history of products of a warehouse; times of loads grow, times of events do not."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, seed: int) -> None:
        self._connection = connection
        self._random = random.Random(seed)  # noqa: S311 - dice
        self._clock = FIRST_LOAD
        self._made = 0
        self._orders = {
            f"order-{number}": (self._random.choice(("1", "2", "3", None)), self._moment()) for number in range(30)
        }
        self._rejected: list[tuple[str, str]] = []

    def load_events(self, count: int) -> None:
        """New events, some under the id of an event that was rejected before: mended, or sent again correctly."""
        loaded_at = self._tick()
        for _ in range(count):
            event_id, correlation_id = self._event_id()
            is_line = self._random.random() < 0.85
            household, moment = self._random.choice([*self._orders.values()])
            payload = "{}"
            if is_line:
                order_id = self._random.choice([*self._orders])
                household, moment = self._orders[order_id]
                if self._random.random() < 0.3:
                    moment = self._moment()
                if self._random.random() < 0.1:
                    household = self._random.choice(("1", "2", "3", None))
                payload = self._line(order_id)
            self._connection.execute(
                """
                insert into raw.events by name
                select $event_id as event_id, 'custom' as event_type, $event_name as event_name,
                    $user_id as user_id, $occurred_at as occurred_at, $received_at as received_at,
                    'tests' as source_service, $correlation_id as correlation_id, $payload as payload,
                    $loaded_at as loaded_at
                """,
                {
                    "event_id": event_id,
                    "event_name": "purchase_line" if is_line else "page_view",
                    "user_id": household,
                    "occurred_at": moment,
                    "received_at": moment + dt.timedelta(minutes=self._random.randrange(5000)),
                    "correlation_id": correlation_id,
                    "payload": payload,
                    "loaded_at": loaded_at,
                },
            )

    def load_sleepless_household(self) -> None:
        """One session of two and a half days: a purchase every twenty minutes."""
        self._connection.execute(
            """
            insert into raw.events by name
            select 'sleepless-' || number as event_id, 'custom' as event_type, 'purchase_line' as event_name,
                '1' as user_id, $first + number * interval 20 minutes as occurred_at, occurred_at as received_at,
                'tests' as source_service, $payload as payload, $loaded_at as loaded_at
            from range(180) as numbers (number)
            """,
            {"first": FIRST_MOMENT, "payload": self._line("sleepless"), "loaded_at": self._tick()},
        )

    def load_rejections(self, count: int) -> None:
        """New rejections, some of events that were rejected or accepted before."""
        loaded_at = self._tick()
        known = [str(row[0]) for row in self._connection.execute("select event_id from raw.events").fetchall()]
        for _ in range(count):
            rejection_id = self._name("rejection")
            again = [event_id for _, event_id in self._rejected] + known
            event_id = self._random.choice(again) if again and self._random.random() < 0.4 else self._name("bad")
            self._rejected.append((rejection_id, event_id))
            self._connection.execute(
                """
                insert into raw.rejected_events by name
                select $rejection_id as rejection_id, $event_id as event_id, 'door' as origin,
                    'JSON is malformed' as reason, '{' as body, $rejected_at as rejected_at, $loaded_at as loaded_at
                """,
                {
                    "rejection_id": rejection_id,
                    "event_id": event_id,
                    "rejected_at": FIRST_MOMENT + dt.timedelta(minutes=self._random.randrange(50)),
                    "loaded_at": loaded_at,
                },
            )

    def change_products(self) -> None:
        """One product comes, changes or goes, as a snapshot would have it."""
        now = self._tick().replace(tzinfo=None)
        product = str(self._random.randrange(5))
        self._connection.execute(
            "update intermediate.snap_shop__products set dbt_valid_to = $now "
            "where product_id = $product and dbt_valid_to is null",
            {"now": now, "product": product},
        )
        if self._random.random() < 0.7:
            self._connection.execute(
                "insert into intermediate.snap_shop__products by name "
                "select $product as product_id, $department as department, 'National' as brand, "
                "$now as dbt_valid_from, null as dbt_valid_to",
                {"now": now, "product": product, "department": self._random.choice(DEPARTMENTS)},
            )

    def _event_id(self) -> tuple[str, str | None]:
        taken = {str(row[0]) for row in self._connection.execute("select event_id from raw.events").fetchall()}
        mendable = [(rejection, event) for rejection, event in self._rejected if event not in taken]
        if mendable and self._random.random() < 0.2:
            rejection_id, event_id = self._random.choice(mendable)
            return event_id, self._random.choice((f"replay:{rejection_id}", "request"))
        return self._name("event"), None

    def _line(self, order_id: str) -> str:
        return json.dumps(
            {
                "basket_id": order_id,
                "product_id": str(self._random.randrange(6)),
                "store_id": "330",
                "quantity": self._random.choice((0, 1, 5, 2000)),
                "sales_value": self._random.choice((0, 0.1, 1.25, 12)),
                "retail_disc": 0.1,
                "coupon_disc": 0.5,
                "coupon_match_disc": 0.3,
            }
        )

    def _moment(self) -> dt.datetime:
        return FIRST_MOMENT + dt.timedelta(days=self._random.randrange(3), minutes=10 * self._random.randrange(30))

    def _tick(self) -> dt.datetime:
        self._clock += dt.timedelta(minutes=1)
        return self._clock

    def _name(self, kind: str) -> str:
        self._made += 1
        return f"{kind}-{self._made}"
