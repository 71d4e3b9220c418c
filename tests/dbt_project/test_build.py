"""What `dbt build` makes of real rows, against expectations computed from the data set without SQL."""

import pandas as pd
import pytest

from platform_assets.contracts.payloads import PURCHASE_LINE
from tests.dbt_project.conftest import BROKEN_BODIES, SAMPLE_HOUSEHOLDS
from tests.dbt_project.dbt_build import Built
from tests.dbt_project.raw_tables import DATA_SET, RECEIVED_AT


@pytest.fixture(scope="session")
def lines() -> pd.DataFrame:
    """The sample's purchase lines that the contract takes, one row per line; `at` is in UTC."""
    everything = pd.read_parquet(DATA_SET / "transactions.parquet")
    first = everything.groupby("household_id")["transaction_timestamp"].min().reset_index()
    chosen = first.sort_values(["transaction_timestamp", "household_id"])["household_id"].head(SAMPLE_HOUSEHOLDS)
    accepted = everything["coupon_match_disc"] <= everything["coupon_disc"]
    sample = everything[everything["household_id"].isin(chosen) & accepted]
    return sample.assign(at=sample["transaction_timestamp"].dt.tz_localize("UTC"))


@pytest.fixture(scope="session")
def orders(lines: pd.DataFrame) -> pd.DataFrame:
    """One row per basket, by its id."""
    return lines.groupby("basket_id").agg(
        household_id=("household_id", "first"), at=("at", "first"), sales=("sales_value", "sum")
    )


def test_build_passes_every_test_without_a_warning(built: Built) -> None:
    # An exposure is a node of which nothing is run.
    results = [result for result in built.artefact("run_results")["results"] if result["status"] != "no-op"]
    assert {result["status"] for result in results} == {"success", "pass"}
    assert sum(result["unique_id"].startswith("unit_test.") for result in results) >= 10


def test_build_writes_its_artefacts_and_logs_where_it_is_told(built: Built) -> None:
    assert (built.artefacts / "manifest.json").is_file()
    assert (built.artefacts.parent / "logs" / "dbt.log").is_file()


def test_line_flags_count_the_violations_of_the_data_set(built: Built, lines: pd.DataFrame) -> None:
    products = pd.read_parquet(DATA_SET / "products.parquet")["product_id"]
    without_units, without_sales = lines["quantity"] <= 0, lines["sales_value"] <= 0
    violations = {
        "line_is_without_units": without_units,
        "line_is_without_sales": without_sales,
        "line_is_sale_without_units": without_units & ~without_sales,
        "line_is_giveaway": ~without_units & without_sales,
        "line_is_bulk_quantity": lines["quantity"] > 1000,
        "line_is_of_unknown_product": ~lines["product_id"].isin(products),
    }
    counted = _quality_counts(built)
    assert {rule: counted[rule] for rule in violations} == {
        rule: (int(broken.sum()), len(lines), "kept and flagged") for rule, broken in violations.items()
    }
    assert all(broken.any() for broken in violations.values())


def test_orders_equal_the_baskets(built: Built, orders: pd.DataFrame) -> None:
    found = built.frame(
        "select * replace (order_id::bigint as order_id, household_id::bigint as household_id) from marts.fct_orders"
    )
    found = found.set_index("order_id").sort_index()
    assert found.index.equals(orders.index)
    assert (found["household_id"] == orders["household_id"]).all()
    assert (found["ordered_at"] == orders["at"]).all()
    assert (found["sales_value"] - orders["sales"]).abs().max() < 0.005


def test_order_date_is_the_day_in_new_york(built: Built, orders: pd.DataFrame) -> None:
    days = orders["at"].dt.tz_convert("America/New_York").dt.date.value_counts().to_dict()
    assert dict(built.rows("select order_date, count(*) from marts.fct_orders group by all")) == days


def test_sessions_are_runs_of_purchases_less_than_half_an_hour_apart(
    built: Built, lines: pd.DataFrame, orders: pd.DataFrame
) -> None:
    moments = lines[["household_id", "at"]].drop_duplicates().sort_values(["household_id", "at"])
    gaps = moments.groupby("household_id")["at"].diff()
    starts = moments[gaps.isna() | (gaps >= pd.Timedelta(minutes=30))]
    found = built.frame("select household_id::bigint, started_at from marts.fct_sessions order by all")
    assert found.to_numpy().tolist() == starts.to_numpy().tolist()
    assert len(starts) < len(orders)


def test_event_days_count_every_event_by_the_day_in_new_york(built: Built, lines: pd.DataFrame) -> None:
    days = lines["at"].dt.tz_convert("America/New_York").dt.date.value_counts().to_dict()
    assert dict(built.rows("select event_date, event_count from marts.fct_event_days")) == days
    kinds = "select distinct event_name, source_service, last_received_at from marts.fct_event_days"
    assert built.rows(kinds) == [(PURCHASE_LINE, "complete_journey", RECEIVED_AT)]


def test_rejections_are_classed_by_the_contract_s_own_reasons(built: Built, lines: pd.DataFrame) -> None:
    classes = [reason_class for reason_class, _ in BROKEN_BODIES]
    total = len(lines) + len(BROKEN_BODIES) + 1
    counted = {rule: counts for rule, counts in _quality_counts(built).items() if rule.startswith(("door_", "stream_"))}
    broken = {rule: counts for rule, counts in counted.items() if counts[0]}
    assert broken == {
        **{f"door_{name}": (classes.count(name), total, "refused at the door") for name in classes},
        "stream_not_json": (1, total, "rejected by the stream"),
    }
    assert counted["door_other"] == (0, total, "refused at the door")


def test_every_rejection_has_a_row_and_every_rejected_event_one_that_is_open(built: Built) -> None:
    """One body was refused under two rejection ids: the later of them is the open one."""
    statuses = dict(built.rows("select status, count(*) from marts.fct_rejections group by status"))
    assert statuses == {"open": len(BROKEN_BODIES) + 1, "superseded": 1}
    names = built.rows("select distinct event_name from marts.fct_rejections where event_name is not null")
    assert {name for (name,) in names} == {PURCHASE_LINE, "x"}


def test_repeated_coupon_rows_are_counted_and_removed(built: Built) -> None:
    coupons = pd.read_parquet(DATA_SET / "coupons.parquet")
    distinct = len(coupons.drop_duplicates())
    assert built.rows("select count(*) from staging.stg_shop__coupons") == [(distinct,)]
    assert _quality_counts(built)["coupon_row_is_repeated"] == (4872, len(coupons), "removed as a repeat")


def test_campaigns_count_their_households_coupons_and_redemptions(built: Built) -> None:
    targets, coupons, redemptions = (
        pd.read_parquet(DATA_SET / f"{name}.parquet").groupby("campaign_id")
        for name in ("campaigns", "coupons", "coupon_redemptions")
    )
    expected = pd.DataFrame(
        {
            "targeted_household_count": targets["household_id"].nunique(),
            "coupon_count": coupons["coupon_upc"].nunique(),
            "redemption_count": redemptions.size(),
            "redeeming_household_count": redemptions["household_id"].nunique(),
        }
    ).fillna(0)
    found = built.frame("select * replace (campaign_id::bigint as campaign_id) from marts.dim_campaigns")
    found = found.set_index("campaign_id").sort_index()[list(expected.columns)]
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)


def test_household_dimension_knows_buyers_and_those_who_never_bought(built: Built, orders: pd.DataFrame) -> None:
    bought = built.rows("select count(*), sum(order_count)::bigint from marts.dim_households where order_count > 0")
    assert bought == [(SAMPLE_HOUSEHOLDS, len(orders))]
    without = built.rows("select bool_and(first_order_date is null) from marts.dim_households where order_count = 0")
    assert without == [(True,)]
    targeted = pd.read_parquet(DATA_SET / "campaigns.parquet").groupby("household_id").size()
    named = dict(built.rows("select household_id::bigint, campaign_count from marts.dim_households"))
    assert {household: named[household] for household in targeted.index} == targeted.to_dict()


def test_windows_keep_their_sums_and_late_events_have_a_row_for_each_window_that_they_missed(built: Built) -> None:
    windows = "select window_name, key, event_count, sales, units from marts.fct_window_results order by all"
    assert built.rows(windows) == [("store_sales_1h", "330", 3, 12.5, None), ("user_session_30m", None, 1, None, 4.0)]
    late = "select window_name, behind_watermark_ms > 0 from staging.stg_events__late_events order by all"
    assert built.rows(late) == [("user_activity_1m", True), ("user_session_30m", True)]
    predictions = "select model, entity_id, probability from inference.stg_events__predictions"
    assert built.rows(predictions) == [("churn", "1228", 0.25)]


def _quality_counts(built: Built) -> dict[str, tuple[int, int, str]]:
    rows = built.rows("select rule, row_count, total_rows, treatment from marts.data_quality_counts")
    return {rule: (count, total, treatment) for rule, count, total, treatment in rows}
