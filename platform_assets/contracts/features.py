"""Named, versioned feature sets: what each feature means and the range in which it can be believed.

The pandera schema of the table, the order of a model's inputs and the columns of the online store all derive from the
`FeatureSet`. A change of meaning, order or membership is a new version: a model only reads the version it learned.
"""

from dataclasses import dataclass
from typing import Literal

from platform_assets.contracts.windows import WINDOWS

LOOKBACK_DAYS = 84
"""How far back features look, and who is asked about: entities with an order in these days before the cut-off."""

OUTCOME_DAYS = 28
"""Churned means: no order from the cut-off on for this many days."""


@dataclass(frozen=True, kw_only=True)
class FeatureColumn:
    """One feature. Bounds are inclusive; a nullable feature is null where it is undefined, never zero instead."""

    name: str
    dtype: Literal["float", "int"]
    description: str
    minimum: float | None = None
    maximum: float | None = None
    nullable: bool = False


@dataclass(frozen=True, kw_only=True)
class FeatureSet:
    """The features of one kind of entity. Their order is the order of a model's input vector."""

    name: str
    version: int
    entity: str
    columns: tuple[FeatureColumn, ...]
    description: str

    def __post_init__(self) -> None:
        names = self.feature_names
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"Feature set {self.name} names {', '.join(twice)} twice; give each feature its own name.")

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names in the order of the input vector."""
        return tuple(column.name for column in self.columns)


@dataclass(frozen=True, kw_only=True)
class LiveSource:
    """Where a live feature is read from: `count`, or the name of an aggregate, of an entity's newest window."""

    window: str
    value: str


@dataclass(frozen=True, kw_only=True)
class LiveFeatureSet(FeatureSet):
    """Features that the stream keeps: each is a value of the newest window of a definition, in the columns' order.

    They are as of the last thing known of the entity, in event time. A window that has ended by then is over, and its
    features are 0: what a session held is no feature of the minutes after it.
    """

    sources: tuple[LiveSource, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.sources) != len(self.columns):
            raise ValueError(f"Feature set {self.name}: give each of its {len(self.columns)} features a source.")
        known = {(window.name, value) for window in WINDOWS for value in ("count", *window.aggregate_names)}
        for source in self.sources:
            if (source.window, source.value) not in known:
                raise ValueError(f"Feature set {self.name}: no window {source.window} has a value {source.value}.")

    @property
    def windows(self) -> tuple[str, ...]:
        """The names of the windows that it reads, each once."""
        return tuple(dict.fromkeys(source.window for source in self.sources))


def _count(name: str, description: str, maximum: float | None = None, minimum: float = 0) -> FeatureColumn:
    return FeatureColumn(name=name, dtype="int", description=description, minimum=minimum, maximum=maximum)


def _amount(name: str, description: str) -> FeatureColumn:
    return FeatureColumn(name=name, dtype="float", description=description, minimum=0)


def _share(name: str, description: str, *, nullable: bool = False) -> FeatureColumn:
    return FeatureColumn(name=name, dtype="float", description=description, minimum=0, maximum=1, nullable=nullable)


def _days(name: str, description: str, *, minimum: float = 0) -> FeatureColumn:
    return FeatureColumn(
        name=name, dtype="float", description=description, minimum=minimum, maximum=LOOKBACK_DAYS, nullable=True
    )


CUSTOMER_ACTIVITY = FeatureSet(
    name="customer_activity",
    version=1,
    entity="household",
    description=(
        "How a household shopped in the 84 days before the cut-off. One row per household with an order in those days "
        "and cut-off; only orders before the cut-off count. Money is in dollars, days are business days of the stores."
    ),
    columns=(
        _count("days_since_last_order", "Days from the last order to the cut-off.", LOOKBACK_DAYS, minimum=1),
        _count("orders_7d", "Orders in the last 7 days."),
        _count("orders_28d", "Orders in the last 28 days."),
        _count("orders_84d", "Orders in the last 84 days.", minimum=1),
        _amount("sales_7d", "Spend in the last 7 days."),
        _amount("sales_28d", "Spend in the last 28 days."),
        _amount("sales_84d", "Spend in the last 84 days."),
        _amount("sales_per_order_84d", "Spend per order over 84 days."),
        _count("active_days_28d", "Days with an order in the last 28.", 28),
        _count("active_days_84d", "Days with an order in the last 84.", LOOKBACK_DAYS, minimum=1),
        _count("active_weeks_84d", "Of the last 12 weeks, those with an order.", 12, minimum=1),
        _days(
            "gap_mean_days", "Mean days between days with an order, over 84 days; null with one such day.", minimum=1
        ),
        _days("gap_std_days", "Sample standard deviation of those gaps; null with fewer than two gaps."),
        _days("gap_max_days", "Longest of those gaps; null with one day with an order.", minimum=1),
        FeatureColumn(
            name="recency_to_gap",
            dtype="float",
            description="Days since the last order over the mean gap: above 1 it is overdue by its own rhythm.",
            minimum=0,
            nullable=True,
        ),
        _count(
            "tenure_days", "Days from the first order ever seen to the cut-off, at most 84.", LOOKBACK_DAYS, minimum=1
        ),
        _share("orders_recent_share", "Orders of the last 28 days over those of the last 84."),
        _share(
            "sales_recent_share",
            "Spend of the last 28 days over that of the last 84; null without spend.",
            nullable=True,
        ),
        _count("stores_84d", "Distinct stores.", minimum=1),
        _count("departments_84d", "Distinct departments among known products."),
        _amount("lines_per_order_84d", "Purchase lines per order."),
        _share("discount_share_84d", "Retail discount over the price before it; null without spend.", nullable=True),
        _share("coupon_order_share_84d", "Share of orders in which a coupon was used."),
        _share("private_brand_share_84d", "Spend on private brands over spend; null without spend.", nullable=True),
        _share("weekend_share_84d", "Share of orders on a Saturday or Sunday."),
    ),
)

CUSTOMER_LIVE = LiveFeatureSet(
    name="customer_live",
    version=1,
    entity="household",
    description="What a household does now, kept by the stream from its windows; one row per household with an event.",
    columns=(
        _count("events_1m", "Events of any kind in the newest minute."),
        _amount("sales_1m", "Spend in the newest minute."),
        _count("session_lines", "Purchase lines of the current shopping session."),
        _amount("session_sales", "Spend in the current shopping session."),
        _amount("session_units", "Units in the current shopping session."),
    ),
    sources=(
        LiveSource(window="user_activity_1m", value="count"),
        LiveSource(window="user_activity_1m", value="sales"),
        LiveSource(window="user_session_30m", value="count"),
        LiveSource(window="user_session_30m", value="sales"),
        LiveSource(window="user_session_30m", value="units"),
    ),
)

FEATURE_SETS: dict[tuple[str, int], FeatureSet] = {
    (feature_set.name, feature_set.version): feature_set for feature_set in (CUSTOMER_ACTIVITY, CUSTOMER_LIVE)
}
"""Every feature set of this release, by name and version."""
