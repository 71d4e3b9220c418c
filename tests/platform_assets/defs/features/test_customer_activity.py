"""Features that break their contract are shown and never written."""

import pandas as pd
import pytest

from platform_assets.contracts.features import CUSTOMER_ACTIVITY
from platform_assets.defs.features.customer_activity import check_contract, every_active_household_has_features
from resources.warehouse import Warehouse
from resources.warehouse.feature_tables import write_features
from tests.check_results import evaluate, shown


def features(*entities: str) -> pd.DataFrame:
    """Rows at the lower bounds of the contract, at one cut-off."""
    rows = [
        {
            "entity_id": entity,
            "cutoff_date": pd.Timestamp("2017-11-01"),
            **{column.name: column.minimum or 0 for column in CUSTOMER_ACTIVITY.columns},
        }
        for entity in entities
    ]
    kinds = {column.name: f"{column.dtype}64" for column in CUSTOMER_ACTIVITY.columns}
    return pd.DataFrame(rows).astype({"entity_id": "object", "cutoff_date": "datetime64[us]", **kinds})


def test_features_within_their_bounds_pass() -> None:
    assert check_contract(features("1", "2")).passed


@pytest.mark.parametrize(
    ("column", "value"), [("orders_84d", 0), ("weekend_share_84d", 1.5), ("days_since_last_order", 85)]
)
def test_value_out_of_bounds_fails_and_is_shown(column: str, value: float) -> None:
    frame = features("1", "2")
    frame.loc[1, column] = value
    result = check_contract(frame)
    assert not result.passed
    assert column in str(shown(result)["first_failures"])


def test_entity_twice_at_one_cutoff_fails() -> None:
    assert not check_contract(features("1", "1")).passed


def test_household_without_features_fails_the_completeness_check(warehouse: Warehouse) -> None:
    with warehouse.write("orders") as connection:
        connection.execute("CREATE SCHEMA marts")
        connection.execute(
            "CREATE TABLE marts.fct_orders AS SELECT unnest(['1', '2', 'long gone']) AS household_id, "
            "unnest([DATE '2017-10-31', DATE '2017-08-09', DATE '2017-08-08']) AS order_date"
        )
        write_features(connection, CUSTOMER_ACTIVITY, features("1", "2"))
    assert evaluate(every_active_household_has_features, warehouse=warehouse).passed
    with warehouse.write("features") as connection:
        write_features(connection, CUSTOMER_ACTIVITY, features("1"))
    result = evaluate(every_active_household_has_features, warehouse=warehouse)
    assert not result.passed
    assert shown(result)["active_households"] == 2
