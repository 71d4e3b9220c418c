"""The days that the warehouse's orders cover."""

import datetime as dt
from dataclasses import dataclass

from platform_assets.features.connection import WarehouseConnection

_SPAN = "SELECT min(order_date), max(order_date) FROM marts.fct_orders"


class NoOrders(LookupError):
    """There is no order in the warehouse yet."""


@dataclass(frozen=True)
class OrderSpan:
    """First and last business day with an order."""

    first: dt.date
    last: dt.date

    @property
    def as_of(self) -> dt.date:
        """The day before which all is known: features may look at everything earlier."""
        return self.last + dt.timedelta(days=1)


def order_span(connection: WarehouseConnection) -> OrderSpan:
    """Read the span of marts.fct_orders.

    Raises:
        NoOrders: the mart is empty.
    """
    row = connection.execute(_SPAN).fetchone()
    if row is None or not isinstance(row[0], dt.date) or not isinstance(row[1], dt.date):
        raise NoOrders("marts.fct_orders is empty; land purchase events and materialise the marts first.")
    return OrderSpan(row[0], row[1])
