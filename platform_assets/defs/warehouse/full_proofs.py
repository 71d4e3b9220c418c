"""Proofs over all history, for the weekly job: a load itself proves what is new, and a part of the rest."""

from collections.abc import Iterator

from dagster import AssetCheckKey, AssetCheckResult, AssetCheckSpec, AssetKey, ResourceParam, multi_asset_check

from platform_assets.defs.inference.predictions import RAW_PREDICTIONS_KEY
from platform_assets.defs.ingestion.contract_checks import check_every_row, rows_of
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
_UNIQUE = "every_id_is_unique"
_IN_CONTRACT = "every_row_keeps_the_contract"
FULL_PROOFS = tuple(AssetCheckKey(key, name) for key in _TABLES for name in (_UNIQUE, _IN_CONTRACT))


@multi_asset_check(
    name="ids_are_unique_in_all_history",
    specs=[
        AssetCheckSpec(_UNIQUE, asset=key, description="No id stands in two rows, of all rows ever loaded.")
        for key in _TABLES
    ],
)
def ids_are_unique_in_all_history(warehouse: ResourceParam[Warehouse]) -> Iterator[AssetCheckResult]:
    """Reads every id of every table; see `check_every_key` for what that costs."""
    for key, table in _TABLES.items():
        with warehouse.read() as connection:
            found = check_every_key(connection, table)
        yield AssetCheckResult(asset_key=key, check_name=_UNIQUE, passed=found.passed, metadata=found.metadata)


@multi_asset_check(
    name="rows_keep_the_contract_in_all_history",
    specs=[
        AssetCheckSpec(
            _IN_CONTRACT, asset=key, description="Every row ever loaded keeps the contract that the door enforces."
        )
        for key in _TABLES
    ],
)
def rows_keep_the_contract_in_all_history(warehouse: ResourceParam[Warehouse]) -> Iterator[AssetCheckResult]:
    """Reads every payload of every table."""
    for key, table in _TABLES.items():
        found = check_every_row(warehouse, rows_of(table.table))
        yield AssetCheckResult(asset_key=key, check_name=_IN_CONTRACT, passed=found.passed, metadata=found.metadata)
