"""The batch assets on the real files, and on one that breaks its key."""

from pathlib import Path

import duckdb
import pytest
from dagster import MaterializeResult, build_asset_context

from platform_assets.defs.ingestion import raw_reference
from platform_assets.defs.ingestion.complete_journey import check_sources, source_files_hold_every_table
from resources.warehouse import Warehouse
from resources.warehouse.reference_loads import CAMPAIGN_DESCRIPTIONS
from tests.check_results import evaluate


def test_products_are_loaded_with_their_count_and_pass_their_checks(warehouse: Warehouse) -> None:
    result = raw_reference.raw_products(context=build_asset_context(), warehouse=warehouse)
    assert isinstance(result, MaterializeResult)
    assert dict(result.metadata or {})["dagster/row_count"] == 92_331
    assert {check.check_name: check.passed for check in result.check_results or []} == {
        "table_is_not_empty": True,
        "key_is_unique": True,
    }


def test_repeated_key_and_empty_file_fail_their_checks(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw_reference, "source_folder", lambda: tmp_path)
    path = tmp_path / "campaign_descriptions.parquet"
    campaign = duckdb.sql(
        "SELECT 1 AS campaign_id, 'Type A' AS campaign_type, "
        "DATE '2017-01-01' AS start_date, DATE '2017-02-01' AS end_date"
    )
    campaign.union(campaign).write_parquet(str(path))
    twice = raw_reference.load_and_check(warehouse, CAMPAIGN_DESCRIPTIONS, purpose="test")
    campaign.limit(0).write_parquet(str(path))
    empty = raw_reference.load_and_check(warehouse, CAMPAIGN_DESCRIPTIONS, purpose="test")
    assert [check.passed for check in twice.check_results or []] == [True, False]
    assert [check.passed for check in empty.check_results or []] == [False, True]


def test_installed_data_set_holds_every_table_and_a_missing_file_is_named(tmp_path: Path) -> None:
    assert evaluate(source_files_hold_every_table).passed
    missing = check_sources(tmp_path)
    assert not missing.passed
    assert "products.parquet is missing" in str(missing.metadata["problems"].value)
