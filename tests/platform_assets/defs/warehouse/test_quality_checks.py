"""Suites and days as checks: numbers and rows are shown, and nothing fails without a cause."""

from collections.abc import Iterator

import pytest
from dagster import AssetCheckResult, AssetCheckSeverity, DagsterInstance, build_asset_check_context

from platform_assets.defs.warehouse.quality_checks import (
    profile_check,
    suite_checks,
)
from platform_assets.quality.expectations import NotNull, Range, RowCount, Severity
from platform_assets.quality.profiles import DailyProfile
from platform_assets.quality.suite import Suite
from resources.settings import Settings
from resources.warehouse import Warehouse
from tests.check_results import evaluate, shown
from tests.resources.quality.conftest import KeepingNotifier

SALES = Suite(
    name="sales",
    dataset="marts.sales",
    watermark="loaded_at",
    expectations=[
        Range(column="price", min=0),
        NotNull(column="email", severity=Severity.WARN),
        RowCount(min=1),
        NotNull(column="colour"),
    ],
)


@pytest.fixture
def sales(warehouse: Warehouse) -> Warehouse:
    """Three weeks of a table with a price, of which the last is wrong."""
    with warehouse.write("test") as connection:
        connection.execute(
            "CREATE SCHEMA marts; CREATE TABLE marts.sales AS SELECT DATE '2026-01-01' + i::INTEGER AS day, "
            "(10.0 + i % 3)::DOUBLE AS price, 'a@example.com' AS email, now() AS loaded_at "
            "FROM range(21) AS r(i), range(20)"
        )
        connection.execute("UPDATE marts.sales SET price = -500 WHERE day = DATE '2026-01-21'")
        connection.execute("UPDATE marts.sales SET email = NULL WHERE day = DATE '2026-01-01'")
    return warehouse


@pytest.mark.usefixtures("sales")
def test_suite_shows_its_numbers_and_failing_rows_without_personal_data(settings: Settings) -> None:
    notifier = KeepingNotifier()
    with DagsterInstance.ephemeral() as instance:
        context = build_asset_check_context(instance=instance)
        results = suite_checks(SALES)(context, settings=settings, notifier=notifier)
        assert isinstance(results, Iterator)
        found = {result.check_name: result for result in results if isinstance(result, AssetCheckResult)}
    assert {name: result.passed for name, result in found.items()} == {
        "range_price": False,
        "not_null_email": False,
        "row_count": True,
        "not_null_colour": False,
    }
    price = shown(found["range_price"])
    assert (price["judged_rows"], price["failing_rows"]) == (420, 20)
    samples = price["samples"]
    assert isinstance(samples, list)
    assert (len(samples), samples[0]["price"], samples[0]["email"]) == (5, -500.0, "***")
    assert found["not_null_email"].severity is AssetCheckSeverity.WARN
    assert "no column `colour`" in str(shown(found["not_null_colour"])["problem"])
    assert [alert.title for alert in notifier.sent] == ["marts.sales: 3 of 4 expectations fail"]


@pytest.mark.usefixtures("sales")
def test_unusual_day_is_a_warning_with_its_numbers(settings: Settings) -> None:
    notifier = KeepingNotifier()
    check = profile_check(DailyProfile("marts.sales", day="day", watermark="loaded_at", means=("price",)))
    result = evaluate(check, settings=settings, notifier=notifier)
    assert (result.passed, result.severity) == (False, AssetCheckSeverity.WARN)
    assert shown(result)["day"] == "2026-01-21"
    assert shown(result)["unusual"] == ["mean of price"]
    assert str(shown(result)["rows"]).startswith("rows: 20, the median is 20")
    assert len(notifier.sent) == 1
