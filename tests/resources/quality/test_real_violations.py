"""The violations that are really in the demo's data come out with exactly the counts that are known of them."""

import datetime as dt
import math
from pathlib import Path
from typing import Any

import duckdb
import pytest

from platform_assets.quality.anomalies import MIN_DAYS, DailyValue, unusualness, with_missing_days
from platform_assets.quality.reading import read_expectations
from resources.quality.datasets import Datasets
from resources.quality.history import QualityHistory
from resources.quality.validating import DataQuality
from resources.settings import Settings
from resources.warehouse.reference_loads import source_folder
from tests.resources.quality.conftest import KeepingNotifier

LINES: list[tuple[dict[str, Any], int]] = [
    ({"type": "range", "column": "quantity", "min": 0, "exclusive": True, "name": "without_units"}, 8_869),
    ({"type": "range", "column": "sales_value", "min": 0, "exclusive": True, "name": "without_sales"}, 11_226),
    ({"type": "range", "column": "quantity", "max": 1000, "name": "bulk"}, 13_494),
    ({"type": "compare", "column": "coupon_match_disc", "operator": "<=", "other": "coupon_disc"}, 4),
    ({"type": "range", "column": "transaction_timestamp", "max": "2018-01-01", "exclusive": True}, 534),
    ({"type": "custom_sql", "sql": "FROM dataset WHERE sales_value <= 0 AND quantity > 0", "name": "giveaway"}, 2_406),
    ({"type": "custom_sql", "sql": "FROM dataset WHERE sales_value > 0 AND quantity <= 0", "name": "unsold"}, 49),
]


@pytest.mark.integration
def test_violations_of_the_demo_are_counted_exactly(quality: DataQuality) -> None:
    """1.47 million lines against the catalogue, in some seconds."""
    folder = source_folder()
    lines = read_expectations([item for item, _ in LINES])
    products = {"type": "foreign_key", "column": "product_id", "to": str(folder / "products.parquet")}
    lines += read_expectations([{**products, "field": "product_id"}])
    result = quality.validate(str(folder / "transactions.parquet"), lines)
    assert result.row_count == 1_469_307
    found = [one.details["rows"] if one.type == "custom_sql" else one.failing for one in result.results]
    assert found == [*(count for _, count in LINES), 4_836]
    assert all(len(one.samples) in (4, 5) for one in result.results)


def test_unusual_days_of_the_demo_are_the_days_around_holidays() -> None:
    """Easter, the Fourth of July, the day before Thanksgiving, and the Christmas day that the data lacks: all found."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        rows = connection.execute(
            "SELECT (transaction_timestamp AT TIME ZONE 'UTC' AT TIME ZONE 'America/New_York')::DATE, count(*) "
            "FROM read_parquet($path) GROUP BY 1",
            {"path": str(source_folder() / "transactions.parquet")},
        ).fetchall()
    days = with_missing_days([DailyValue(day, count, math.sqrt(count)) for day, count in rows])
    judged = [unusualness(days[:place], days[place]) for place in range(MIN_DAYS, len(days))]
    found = {one.day for one in judged if one.is_anomaly}
    holidays = {dt.date(2017, 4, 16), dt.date(2017, 7, 4), dt.date(2017, 11, 22), dt.date(2017, 12, 25)}
    assert holidays <= found
    assert len(found) == 10
    assert not judged[-1].is_anomaly


def test_repeated_rows_of_the_coupon_file_are_counted_exactly(
    settings: Settings, history: QualityHistory, notifier: KeepingNotifier
) -> None:
    quality = DataQuality(Datasets.of(settings), history, notifier, sample_rows=0)
    repeats = read_expectations([{"type": "unique_rows"}])
    (found,) = quality.validate(str(Path(source_folder(), "coupons.parquet")), repeats).results
    assert (found.failing, found.judged) == (4_872, 116_204)
