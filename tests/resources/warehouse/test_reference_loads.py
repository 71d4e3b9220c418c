"""The shop's files as they come: ids as text, dates as dates, each table replaced as a whole."""

from pathlib import Path

import duckdb
import pytest

from resources.warehouse import Warehouse
from resources.warehouse.reference_loads import (
    CAMPAIGN_DESCRIPTIONS,
    PRODUCTS,
    REFERENCE_TABLES,
    SourceMissing,
    load_reference,
    source_folder,
)

EXPECTED_ROWS = {
    "products": 92_331,
    "demographics": 801,
    "campaigns": 6_589,
    "campaign_descriptions": 27,
    "coupons": 116_204,
    "coupon_redemptions": 2_102,
}


def test_every_file_of_the_data_set_becomes_a_table_with_text_ids_and_dates(warehouse: Warehouse) -> None:
    with warehouse.write("load") as connection:
        rows = {table.name: load_reference(connection, source_folder(), table).row_count for table in REFERENCE_TABLES}
        types = dict(
            connection.execute(
                "SELECT DISTINCT column_name, data_type FROM information_schema.columns WHERE table_schema = 'raw'"
            ).fetchall()
        )
    assert rows == EXPECTED_ROWS
    assert {kind for name, kind in types.items() if name.endswith(("_id", "_upc"))} == {"VARCHAR"}
    assert {kind for name, kind in types.items() if name.endswith("_date")} == {"DATE"}
    assert types["loaded_at"] == "TIMESTAMP WITH TIME ZONE"


def test_second_load_replaces_the_first(warehouse: Warehouse) -> None:
    for _ in range(2):
        with warehouse.write("load") as connection:
            assert load_reference(connection, source_folder(), CAMPAIGN_DESCRIPTIONS).row_count == 27


def test_missing_file_is_named_with_its_remedy(warehouse: Warehouse, tmp_path: Path) -> None:
    with (
        pytest.raises(SourceMissing, match=r"products\.parquet is missing; install"),
        warehouse.write("x") as connection,
    ):
        load_reference(connection, tmp_path, PRODUCTS)


def test_file_with_other_columns_leaves_the_table_as_it_was(warehouse: Warehouse, tmp_path: Path) -> None:
    with warehouse.write("load") as connection:
        load_reference(connection, source_folder(), CAMPAIGN_DESCRIPTIONS)
    duckdb.sql("SELECT 1 AS campaign_id").write_parquet(str(tmp_path / "campaign_descriptions.parquet"))
    with pytest.raises(duckdb.BinderException), warehouse.write("load") as connection:
        load_reference(connection, tmp_path, CAMPAIGN_DESCRIPTIONS)
    with warehouse.read() as connection:
        assert connection.execute("SELECT count(*) FROM raw.campaign_descriptions").fetchone() == (27,)
