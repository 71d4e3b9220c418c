"""Gaps and overlaps in the landing zone are found and named."""

from dagster import AssetCheckResult

from platform_assets.defs.ingestion.landing import event_ranges_are_contiguous, rejected_event_ranges_are_contiguous
from resources.landing_zone import LandingZone
from tests.check_results import evaluate
from tests.landed_records import event, land_events, land_rejections, rejection


def check(landing: LandingZone) -> AssetCheckResult:
    return evaluate(event_ranges_are_contiguous, landing_zone=landing)


def test_ranges_that_follow_on_each_other_pass(landing: LandingZone) -> None:
    land_events(landing, [event(0)], covers=(0, 4))
    land_events(landing, [event(5)])
    land_events(landing, [event(0, partition=1)])
    land_events(landing, [event(0, log="another")])
    land_rejections(landing, [rejection(0)])
    result = check(landing)
    assert result.passed
    assert result.metadata["covered_offsets"].value == 8
    assert evaluate(rejected_event_ranges_are_contiguous, landing_zone=landing).passed


def test_empty_landing_zone_passes(landing: LandingZone) -> None:
    assert check(landing).passed


def test_gap_and_overlap_are_named(landing: LandingZone) -> None:
    land_events(landing, [event(0)], covers=(0, 4))
    land_events(landing, [event(7)])
    land_events(landing, [event(1, partition=1)])
    land_events(landing, [event(0, partition=2)], covers=(0, 4))
    land_events(landing, [event(3, partition=2)], covers=(3, 9))
    result = check(landing)
    first_breaks = str(result.metadata["first_breaks"].value)
    assert not result.passed
    assert result.metadata["breaks"].value == 3
    assert first_breaks.count("gap before") == 2
    assert first_breaks.count("overlap before") == 1
