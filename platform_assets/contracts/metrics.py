"""The metrics, declared once: what is counted, over which mart, by which time, and along what it may be cut.

A metric is structure and never SQL text: `resources.warehouse.metric_queries` compiles it, the API and the command
line serve it, a test holds its mart and columns against dbt's, and lineage reads it here.
"""

import datetime as dt
import enum
from dataclasses import dataclass
from typing import TypeAlias


class Grain(enum.StrEnum):
    """How long a period is, in business days. A week begins on Monday (ISO 8601); total is one period."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    TOTAL = "total"


class ValueType(enum.StrEnum):
    """What a column holds."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"


class Operator(enum.StrEnum):
    """How a filter compares. `null` asks whether there is a value at all and takes true or false."""

    EQ = "eq"
    NE = "ne"
    IN = "in"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    NULL = "null"


_ORDERED = frozenset({ValueType.INTEGER, ValueType.NUMBER, ValueType.DATE})
_COMPARISONS = frozenset({Operator.GT, Operator.GTE, Operator.LT, Operator.LTE})

Value: TypeAlias = str | int | float | bool | dt.date


@dataclass(frozen=True)
class Condition:
    """A filter on one column; `in` has one value or more, every other operator one."""

    column: str
    operator: Operator
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Sum:
    """The sum over one or more columns, added up. Money is added as decimals: the order of rows is no matter then."""

    columns: tuple[str, ...]
    is_money: bool = False


@dataclass(frozen=True)
class Count:
    """The rows, or those that fulfil the conditions."""

    where: tuple[Condition, ...] = ()


@dataclass(frozen=True)
class CountDistinct:
    """Different values of a column. It is counted anew for each period and group: parts do not add up to the whole."""

    column: str


@dataclass(frozen=True)
class Ratio:
    """One measure over another, each over the whole group; null where the denominator is zero."""

    numerator: Sum | Count | CountDistinct
    denominator: Sum | Count | CountDistinct


Measure: TypeAlias = Sum | Count | CountDistinct | Ratio


@dataclass(frozen=True)
class Dimension:
    """A column along which a metric may be cut and filtered."""

    name: str
    type: ValueType
    description: str

    @property
    def operators(self) -> tuple[Operator, ...]:
        """What a filter on it may be."""
        if self.type is ValueType.BOOLEAN:
            return (Operator.EQ, Operator.NULL)
        return tuple(operator for operator in Operator if self.type in _ORDERED or operator not in _COMPARISONS)


@dataclass(frozen=True)
class TimeColumn:
    """When a row counts: a business day, or an instant whose business day is meant."""

    name: str
    type: ValueType = ValueType.DATE


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric over one mart.

    `filters` always hold. `freshness` is how old the published mart may be before the metric is called late.
    """

    name: str
    title: str
    description: str
    unit: str
    mart: str
    time: TimeColumn
    measure: Measure
    dimensions: tuple[Dimension, ...] = ()
    filters: tuple[Condition, ...] = ()
    grains: tuple[Grain, ...] = tuple(Grain)
    owner: str = "team:data"
    freshness: dt.timedelta = dt.timedelta(hours=24)

    def __post_init__(self) -> None:
        names = [dimension.name for dimension in self.dimensions]
        taken = sorted({name for name in names if names.count(name) > 1 or name in {"period", "value"}})
        if taken:
            raise ValueError(f"Metric {self.name}: {', '.join(taken)} stands for something else already; rename it.")
        if self.time.type not in (ValueType.DATE, ValueType.TIMESTAMP):
            raise ValueError(f"Metric {self.name}: its time is a date or a timestamp, not {self.time.type}.")

    @property
    def is_additive(self) -> bool:
        """Whether the values of periods and groups add up to that of the whole."""
        return isinstance(self.measure, Sum | Count)

    @property
    def columns(self) -> frozenset[str]:
        """Every column of the mart that it reads."""
        return columns_of(self.measure) | {
            self.time.name,
            *(dimension.name for dimension in self.dimensions),
            *(condition.column for condition in self.filters),
        }

    def dimension(self, name: str) -> Dimension | None:
        """The dimension of this name, if there is one."""
        return next((dimension for dimension in self.dimensions if dimension.name == name), None)


def columns_of(measure: Measure) -> frozenset[str]:
    """The columns that a measure reads."""
    match measure:
        case Sum():
            return frozenset(measure.columns)
        case Count():
            return frozenset(condition.column for condition in measure.where)
        case CountDistinct():
            return frozenset({measure.column})
        case Ratio():
            return columns_of(measure.numerator) | columns_of(measure.denominator)


_DEPARTMENT = Dimension("department", ValueType.TEXT, "Department of the shop; null where the product is unknown.")
_BRAND = Dimension("brand", ValueType.TEXT, "National, or the shop's own (Private); null where the product is unknown.")
_STORE = Dimension("store_id", ValueType.TEXT, "The store.")
_EVENT_NAME = Dimension("event_name", ValueType.TEXT, "What happened.")

_ORDER_DATE = TimeColumn("order_date")
_BY_PRODUCT = (_DEPARTMENT, _BRAND)
_SALES = Sum(("sales_value",), is_money=True)
# What the shelf said: a manufacturer's coupon (coupon_disc) is paid to the shop and is in sales_value.
_SHELF_VALUE = Sum(("sales_value", "retail_disc", "coupon_match_disc"), is_money=True)
_GIVEN_AWAY = Sum(("retail_disc", "coupon_match_disc"), is_money=True)

_DECLARED = (
    Metric(
        name="sales",
        title="Sales",
        description="What the shop received, coupons that manufacturers pay included.",
        unit="USD",
        mart="fct_daily_sales",
        time=_ORDER_DATE,
        measure=_SALES,
        dimensions=_BY_PRODUCT,
    ),
    Metric(
        name="order_lines",
        title="Order lines",
        description="Purchase lines, the flagged ones included.",
        unit="lines",
        mart="fct_daily_sales",
        time=_ORDER_DATE,
        measure=Sum(("line_count",)),
        dimensions=_BY_PRODUCT,
    ),
    Metric(
        name="units",
        title="Units",
        description="Units sold. Fuel is counted in tiny units: filter its department out to compare goods.",
        unit="units",
        mart="fct_daily_sales",
        time=_ORDER_DATE,
        measure=Sum(("units",)),
        dimensions=_BY_PRODUCT,
    ),
    Metric(
        name="discounts",
        title="Discounts",
        description="What the shop gave away: loyalty prices and the matching of coupons.",
        unit="USD",
        mart="fct_daily_sales",
        time=_ORDER_DATE,
        measure=_GIVEN_AWAY,
        dimensions=_BY_PRODUCT,
    ),
    Metric(
        name="discount_share",
        title="Discount share",
        description="What the shop gave away of the value on the shelf, from 0 to 1.",
        unit="ratio",
        mart="fct_daily_sales",
        time=_ORDER_DATE,
        measure=Ratio(_GIVEN_AWAY, _SHELF_VALUE),
        dimensions=_BY_PRODUCT,
    ),
    Metric(
        name="flagged_line_share",
        title="Flagged lines",
        description="Lines that break a rule (no units, no sales, a bulk quantity, an unknown product), from 0 to 1.",
        unit="ratio",
        mart="fct_daily_sales",
        time=_ORDER_DATE,
        measure=Ratio(Sum(("flagged_line_count",)), Sum(("line_count",))),
        dimensions=_BY_PRODUCT,
    ),
    Metric(
        name="orders",
        title="Orders",
        description="Orders (baskets), each on the business day of its first line.",
        unit="orders",
        mart="fct_orders",
        time=_ORDER_DATE,
        measure=Count(),
        dimensions=(_STORE,),
    ),
    Metric(
        name="average_order_value",
        title="Average order value",
        description="Sales by order.",
        unit="USD",
        mart="fct_orders",
        time=_ORDER_DATE,
        measure=Ratio(_SALES, Count()),
        dimensions=(_STORE,),
    ),
    Metric(
        name="active_households",
        title="Active households",
        description="Different households with an order. Periods and stores do not add up: a household may be in each.",
        unit="households",
        mart="fct_orders",
        time=_ORDER_DATE,
        measure=CountDistinct("household_id"),
        dimensions=(_STORE,),
    ),
    Metric(
        name="orders_per_household",
        title="Orders by active household",
        description="How often an active household orders; it falls before households are lost.",
        unit="orders",
        mart="fct_orders",
        time=_ORDER_DATE,
        measure=Ratio(Count(), CountDistinct("household_id")),
        dimensions=(_STORE,),
    ),
    Metric(
        name="sessions",
        title="Sessions",
        description="Households' purchases less than 30 minutes apart, on the business day on which they begin.",
        unit="sessions",
        mart="fct_sessions",
        time=TimeColumn("session_date"),
        measure=Count(),
    ),
    Metric(
        name="average_session_sales",
        title="Average sales of a session",
        description="Sales by session.",
        unit="USD",
        mart="fct_sessions",
        time=TimeColumn("session_date"),
        measure=Ratio(_SALES, Count()),
    ),
    Metric(
        name="events",
        title="Events",
        description="Accepted events by when they happened.",
        unit="events",
        mart="fct_event_days",
        time=TimeColumn("event_date"),
        measure=Sum(("event_count",)),
        dimensions=(_EVENT_NAME, Dimension("source_service", ValueType.TEXT, "The service that sent them.")),
    ),
    Metric(
        name="rejections",
        title="Rejections",
        description="Events that the door or the stream refused, by when; each attempt counts.",
        unit="events",
        mart="fct_rejections",
        time=TimeColumn("rejected_at", ValueType.TIMESTAMP),
        measure=Count(),
        dimensions=(
            Dimension("origin", ValueType.TEXT, "Who refused it, door or stream."),
            Dimension("reason_class", ValueType.TEXT, "The class of the reason."),
            Dimension("status", ValueType.TEXT, "open, replayed or superseded."),
            _EVENT_NAME,
        ),
    ),
    Metric(
        name="open_rejections",
        title="Open rejections",
        description="Refused events that nobody has mended or sent again correctly.",
        unit="events",
        mart="fct_rejections",
        time=TimeColumn("rejected_at", ValueType.TIMESTAMP),
        measure=Count(),
        dimensions=(
            Dimension("origin", ValueType.TEXT, "Who refused it, door or stream."),
            Dimension("reason_class", ValueType.TEXT, "The class of the reason."),
        ),
        filters=(Condition("status", Operator.EQ, ("open",)),),
    ),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in _DECLARED}
