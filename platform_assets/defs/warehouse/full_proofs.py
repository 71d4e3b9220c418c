"""Proofs over all history, for the weekly job: a load itself proves what is new, and a part of the rest."""

from collections.abc import Iterator

from dagster import AssetCheckKey, AssetCheckResult, AssetCheckSpec, AssetKey, ResourceParam, multi_asset_check

from platform_assets.defs.inference.predictions import RAW_PREDICTIONS_KEY
from platform_assets.defs.ingestion.landed_counts import check_every_key
from platform_assets.defs.ingestion.raw_landed import (
    RAW_EVENTS_KEY,
    RAW_LATE_EVENTS_KEY,
    RAW_REJECTED_EVENTS_KEY,
    RAW_WINDOW_RESULTS_KEY,
)
from resources.warehouse import Warehouse
from resources.warehouse.landed_tables import (
    RAW_EVENTS,
    RAW_LATE_EVENTS,
    RAW_PREDICTIONS,
    RAW_REJECTED_EVENTS,
    RAW_WINDOW_RESULTS,
    LandedTable,
)

_TABLES: dict[AssetKey, LandedTable] = {
    RAW_EVENTS_KEY: RAW_EVENTS,
    RAW_REJECTED_EVENTS_KEY: RAW_REJECTED_EVENTS,
    RAW_WINDOW_RESULTS_KEY: RAW_WINDOW_RESULTS,
    RAW_LATE_EVENTS_KEY: RAW_LATE_EVENTS,
    RAW_PREDICTIONS_KEY: RAW_PREDICTIONS,
}
_NAME = "every_id_is_unique"
EVERY_ID_IS_UNIQUE = tuple(AssetCheckKey(key, _NAME) for key in _TABLES)


@multi_asset_check(
    name="ids_are_unique_in_all_history",
    specs=[
        AssetCheckSpec(_NAME, asset=key, description="No id stands in two rows, of all rows ever loaded.")
        for key in _TABLES
    ],
)
def ids_are_unique_in_all_history(warehouse: ResourceParam[Warehouse]) -> Iterator[AssetCheckResult]:
    """Reads every id of every table; see `check_every_key` for what that costs."""
    for key, table in _TABLES.items():
        with warehouse.read() as connection:
            found = check_every_key(connection, table)
        yield AssetCheckResult(asset_key=key, check_name=_NAME, passed=found.passed, metadata=found.metadata)
