"""The features and the label, by hand on a few orders and by their point in time on the real ones."""

import datetime as dt
import math
from collections.abc import Callable

import duckdb
import pandas as pd
import pytest

from platform_assets.contracts.features import CUSTOMER_ACTIVITY
from platform_assets.features.customer_activity import UnknownOutcome, compute, label_churn
from platform_assets.features.order_span import NoOrders, order_span
from platform_assets.features.schema import feature_schema

CUTOFF = dt.date(2017, 11, 1)
SATURDAY = dt.date(2017, 10, 28)

MakeMarts = Callable[[list[tuple[object, ...]]], duckdb.DuckDBPyConnection]


def line(household: str, order: str, day: dt.date, **other: object) -> tuple[object, ...]:
    """A purchase line with harmless defaults."""
    values = {"store": "1", "department": "GROCERY", "brand": "National", "sales": 10.0, "retail": 0.0, "coupon": 0.0}
    return (household, order, day, *{**values, **other}.values())


def test_features_of_a_household_are_what_one_counts_by_hand(make_marts: MakeMarts) -> None:
    """Four orders on three days, one of them on the cut-off itself: it must not count."""
    marts = make_marts(
        [
            line("7", "a", CUTOFF - dt.timedelta(days=34), sales=30.0, retail=10.0),
            line("7", "b", SATURDAY, sales=5.0, brand="Private", store="2", department="MEAT"),
            line("7", "b", SATURDAY, sales=5.0, coupon=1.0, store="2"),
            line("7", "c", SATURDAY, sales=0.0),
            line("7", "d", CUTOFF, sales=99.0),
        ]
    )
    (row,) = compute(marts, [CUTOFF]).to_dict("records")
    assert row == {
        "entity_id": "7",
        "cutoff_date": pd.Timestamp(CUTOFF),
        "days_since_last_order": 4,
        "orders_7d": 2,
        "orders_28d": 2,
        "orders_84d": 3,
        "sales_7d": 10.0,
        "sales_28d": 10.0,
        "sales_84d": 40.0,
        "sales_per_order_84d": pytest.approx(40 / 3),
        "active_days_28d": 1,
        "active_days_84d": 2,
        "active_weeks_84d": 2,
        "gap_mean_days": 30.0,
        "gap_std_days": pytest.approx(math.nan, nan_ok=True),
        "gap_max_days": 30.0,
        "recency_to_gap": pytest.approx(4 / 30),
        "tenure_days": 34,
        "orders_recent_share": pytest.approx(2 / 3),
        "sales_recent_share": 0.25,
        "stores_84d": 2,
        "departments_84d": 2,
        "lines_per_order_84d": pytest.approx(4 / 3),
        "discount_share_84d": 0.2,
        "coupon_order_share_84d": pytest.approx(1 / 3),
        "private_brand_share_84d": 0.125,
        "weekend_share_84d": pytest.approx(2 / 3),
    }


def test_ratios_without_a_denominator_are_null(make_marts: MakeMarts) -> None:
    """One order without spend: neither shares of spend nor gaps exist."""
    row = compute(make_marts([line("7", "a", SATURDAY, sales=0.0)]), [CUTOFF]).iloc[0]
    undefined = {name for name in CUSTOMER_ACTIVITY.feature_names if math.isnan(row[name])}
    assert undefined == {
        "gap_mean_days",
        "gap_std_days",
        "gap_max_days",
        "recency_to_gap",
        "sales_recent_share",
        "discount_share_84d",
        "private_brand_share_84d",
    }


@pytest.mark.parametrize(("days_before", "is_in"), [(0, False), (1, True), (84, True), (85, False)])
def test_population_has_an_order_in_the_84_days_before_the_cutoff(
    make_marts: MakeMarts, days_before: int, is_in: bool
) -> None:
    """Both edges of the look-back."""
    marts = make_marts([line("7", "a", CUTOFF - dt.timedelta(days=days_before))])
    assert len(compute(marts, [CUTOFF])) == int(is_in)


@pytest.mark.parametrize(("days_after", "churned"), [(0, False), (27, False), (28, True)])
def test_label_says_whether_28_days_passed_without_an_order(
    make_marts: MakeMarts, days_after: int, churned: bool
) -> None:
    """Both edges of the outcome window."""
    marts = make_marts(
        [
            line("7", "a", CUTOFF - dt.timedelta(days=1)),
            line("7", "b", CUTOFF + dt.timedelta(days=days_after)),
            line("8", "c", CUTOFF + dt.timedelta(days=27)),  # closes the window, and is not of the population
        ]
    )
    labels = label_churn(marts, [CUTOFF])
    assert labels.to_dict("records") == [
        {"entity_id": "7", "cutoff_date": pd.Timestamp(CUTOFF), "churned": churned},
    ]


def test_label_of_an_open_window_is_refused(make_marts: MakeMarts) -> None:
    """An unknown outcome must not read as churn."""
    marts = make_marts([line("7", "a", CUTOFF)])
    with pytest.raises(UnknownOutcome, match="needs the 28 days"):
        label_churn(marts, [CUTOFF])


def test_no_cutoffs_give_no_rows(make_marts: MakeMarts) -> None:
    """An empty frame with all columns."""
    marts = make_marts([line("7", "a", CUTOFF)])
    features = compute(marts, [])
    assert features.empty
    assert features.columns.tolist() == ["entity_id", "cutoff_date", *CUSTOMER_ACTIVITY.feature_names]
    assert label_churn(marts, []).empty


def test_order_span_of_an_empty_mart_says_what_to_do(make_marts: MakeMarts) -> None:
    """The first run may come before the first event."""
    with pytest.raises(NoOrders, match="land purchase events"):
        order_span(make_marts([]))


def test_features_do_not_change_when_later_days_arrive(full_marts: duckdb.DuckDBPyConnection) -> None:
    """The point in time: the same rows with and without the last two months of the year."""
    known_later = compute(full_marts, [CUTOFF])
    then = full_marts.cursor()
    then.execute("ATTACH ':memory:' AS past")
    then.execute("CREATE SCHEMA past.marts")
    for table in ("fct_orders", "fct_order_lines"):
        then.execute(f"CREATE TABLE past.marts.{table} AS FROM marts.{table} WHERE order_date < DATE '2017-11-01'")
    then.execute("USE past")
    try:
        pd.testing.assert_frame_equal(known_later, compute(then, [CUTOFF]))
    finally:
        then.execute("USE memory")
        then.execute("DETACH past")


def test_features_of_the_real_data_keep_their_contract(full_marts: duckdb.DuckDBPyConnection) -> None:
    """Every bound and null of CUSTOMER_ACTIVITY holds on all cut-offs at once, the serving one included."""
    cutoffs = [dt.date(2017, 4, 19), CUTOFF, dt.date(2018, 1, 1)]
    features = compute(full_marts, cutoffs)
    feature_schema(CUSTOMER_ACTIVITY).validate(features, lazy=True)
    assert set(features["cutoff_date"].dt.date) == set(cutoffs)


def test_population_and_label_of_the_real_data_are_the_measured_ones(full_marts: duckdb.DuckDBPyConnection) -> None:
    """2,290 households shopped in the 84 business days before 2017-11-01; 13.4 % did not in the 28 after."""
    labels = label_churn(full_marts, [CUTOFF])
    features = compute(full_marts, [CUTOFF])
    assert labels["entity_id"].tolist() == features["entity_id"].tolist()
    assert (len(labels), int(labels["churned"].sum())) == (2290, 308)
