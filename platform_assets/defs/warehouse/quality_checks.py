"""The suites of the warehouse's tables, and their days, as checks of the assets.

Each judges what is new since it ran before, so its cost does not grow with history; see resources/quality/watching.py.
"""

import datetime as dt
from collections.abc import Iterator
from zoneinfo import ZoneInfo

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetKey,
    MetadataValue,
    ResourceParam,
    asset_check,
    multi_asset_check,
)

from platform_assets.quality.expectations import Severity
from platform_assets.quality.profiles import DailyProfile
from platform_assets.quality.results import ExpectationResult
from platform_assets.quality.suite import Suite
from platform_assets.quality.suites import PROFILES, SUITES
from resources.notifier import Notifier
from resources.quality.datasets import Datasets
from resources.quality.history import QualityHistory
from resources.quality.watching import Watch, described
from resources.settings import Settings

DAYS_ARE_USUAL = "newest_day_is_like_the_days_before"
_SEVERITIES = {Severity.ERROR: AssetCheckSeverity.ERROR, Severity.WARN: AssetCheckSeverity.WARN}


def watch_of(settings: Settings, notifier: Notifier) -> Watch:
    """The watch over a deployment's warehouse."""
    return Watch(
        Datasets.of(settings, published=False),
        QualityHistory.of(settings),
        notifier,
        sample_rows=settings.quality.sample_rows,
    )


def asset_key(table: str) -> AssetKey:
    """The asset of a table: marts.fct_orders is marts/fct_orders."""
    return AssetKey(table.split("."))


def check_result(asset: AssetKey, found: ExpectationResult) -> AssetCheckResult:
    """An expectation's verdict, with its numbers and failing rows."""
    rows = [{"row": sample.row, **sample.values} for sample in found.samples]
    return AssetCheckResult(
        asset_key=asset,
        check_name=found.expectation,
        passed=found.success,
        severity=_SEVERITIES[found.severity],
        metadata={
            "judged_rows": found.judged,
            "failing_rows": found.failing,
            "failing_share": found.failing_share,
            **({"samples": MetadataValue.json(rows)} if rows else {}),
            **({"numbers": MetadataValue.json(found.details)} if found.details else {}),
            **({"problem": found.problem} if found.problem is not None else {}),
        },
    )


def suite_checks(suite: Suite) -> AssetChecksDefinition:
    """One check for each expectation, judged together."""
    asset = asset_key(suite.dataset)

    @multi_asset_check(
        name=f"{suite.name}_are_as_expected",
        specs=[
            AssetCheckSpec(
                one.label, asset=asset, description=f"Suite {suite.name}: {one.type} {_columns(one.columns_read)}"
            )
            for one in suite.expectations
        ],
    )
    def judge(
        context: AssetCheckExecutionContext, settings: ResourceParam[Settings], notifier: ResourceParam[Notifier]
    ) -> Iterator[AssetCheckResult]:
        result = watch_of(settings, notifier).judge(suite, run_id=context.op_execution_context.run_id)
        yield from (check_result(asset, found) for found in result.results)

    return judge


def profile_check(profile: DailyProfile) -> AssetChecksDefinition:
    """Whether the newest complete day is like those before it, in all numbers that are watched."""
    asset = asset_key(profile.dataset)

    @asset_check(
        asset=asset,
        name=DAYS_ARE_USUAL,
        description="Rows, shares of nulls and means of the newest complete day against the eight weeks before it.",
    )
    def compare(settings: ResourceParam[Settings], notifier: ResourceParam[Notifier]) -> AssetCheckResult:
        today = dt.datetime.now(ZoneInfo(settings.warehouse.business_timezone)).date()
        watched = watch_of(settings, notifier).watch(profile, today=today)
        newest = max((found.day for _, found in watched.numbers), default=None)
        return AssetCheckResult(
            passed=not watched.unusual,
            severity=AssetCheckSeverity.WARN,
            metadata={
                "day": str(newest) if newest is not None else "no complete day yet",
                "unusual": [str(series) for series, _ in watched.unusual],
                **{str(series).replace(" ", "_"): described(series, found) for series, found in watched.numbers},
            },
        )

    return compare


def _columns(names: tuple[str, ...]) -> str:
    return ", ".join(names)


_order_lines, _products, _coupons = map(suite_checks, SUITES)
_line_days, _order_days = map(profile_check, PROFILES)
