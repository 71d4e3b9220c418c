"""The newest features of each household, where a request finds them by key."""

import pandas as pd
from dagster import AssetCheckResult, ResourceParam, asset, asset_check

from platform_assets.contracts.features import CUSTOMER_ACTIVITY
from platform_assets.defs.automation import WHEN_SOURCE_CHANGED
from platform_assets.defs.features.customer_activity import CUSTOMER_ACTIVITY_KEY
from platform_assets.defs.materialized import Materialized
from platform_assets.defs.stages import ML_TEAM, Stage
from resources.online_store import SqliteOnlineStore
from resources.warehouse import Warehouse
from resources.warehouse.feature_tables import newest_cutoff, read_features

ONLINE_CUSTOMER_ACTIVITY = Stage.SERVING.key("customer_activity")
_SHOWN_ENTITIES = 20

Values = dict[str, float | None]


@asset(
    key=ONLINE_CUSTOMER_ACTIVITY,
    deps=[CUSTOMER_ACTIVITY_KEY],
    group_name=Stage.SERVING.group,
    owners=[ML_TEAM],
    kinds={"sqlite"},
    automation_condition=WHEN_SOURCE_CHANGED,
    description="One entry per household with an order in the last 84 days: its features at the serving cut-off.",
)
def customer_activity(
    warehouse: ResourceParam[Warehouse], online_store: ResourceParam[SqliteOnlineStore]
) -> Materialized:
    """Replace the online features by those of the newest cut-off, all at once."""
    with warehouse.read() as connection:
        cutoff = newest_cutoff(connection, CUSTOMER_ACTIVITY)
        frame = read_features(connection, CUSTOMER_ACTIVITY, cutoff)
    stored = online_store.put_features(CUSTOMER_ACTIVITY, cutoff, by_entity(frame).items())
    return Materialized(
        metadata={"dagster/row_count": stored, "entities": stored, "features_as_of": cutoff.isoformat()}
    )


@asset_check(
    asset=ONLINE_CUSTOMER_ACTIVITY, description="For every household the online features are those of the warehouse."
)
def online_features_equal_warehouse(
    warehouse: ResourceParam[Warehouse], online_store: ResourceParam[SqliteOnlineStore]
) -> AssetCheckResult:
    """Reads each entity as a request would and compares all values and the day."""
    with warehouse.read() as connection:
        cutoff = newest_cutoff(connection, CUSTOMER_ACTIVITY)
        expected = by_entity(read_features(connection, CUSTOMER_ACTIVITY, cutoff))
    stored = online_store.describe(CUSTOMER_ACTIVITY)
    differing = []
    for entity_id, values in expected.items():
        found = online_store.get_features(CUSTOMER_ACTIVITY, entity_id)
        if found is None or found.as_of != cutoff or found.values != values:
            differing.append(entity_id)
    stored_count = 0 if stored is None else stored.entity_count
    return AssetCheckResult(
        passed=not differing and stored_count == len(expected) > 0,
        metadata={
            "entities_in_warehouse": len(expected),
            "entities_online": stored_count,
            "differing": len(differing),
            "first_differing": differing[:_SHOWN_ENTITIES],
            "features_as_of": cutoff.isoformat(),
        },
    )


def by_entity(frame: pd.DataFrame) -> dict[str, Values]:
    """Features by entity and name; a null is None."""
    names = list(CUSTOMER_ACTIVITY.feature_names)
    rows = frame[names].astype("float64").to_numpy()
    return {
        str(entity_id): {name: None if pd.isna(value) else float(value) for name, value in zip(names, row, strict=True)}
        for entity_id, row in zip(frame["entity_id"], rows, strict=True)
    }
