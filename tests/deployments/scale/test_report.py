"""What a run has to reach, and how growth is told from noise."""

import datetime as dt
import json

import pytest

from deployments.scale.bare import BareStep
from deployments.scale.platform_step import Built, Loaded
from deployments.scale.report import Counting, Report, Step, encode_report, growth, summarise
from deployments.scale.sales import Shop
from streaming.benchmark.machine import describe_machine


def a_report(*, steps: int = 7, slower: float = 1.0, peak_mb: float = 900, bare_s: float = 8.0) -> Report:
    """Steps of 5 s for the load and 5 s for the build; the later ones take longer by a factor."""
    shop = Shop(events=7_000, days=7, households=40, first_day=dt.date(2026, 1, 1))
    report = Report(shop=shop, machine=describe_machine(), versions={})
    for number in range(steps):
        seconds = 5.0 * (slower if number > 3 else 1.0)
        report.steps.append(
            Step(
                first_day=number,
                last_day=number,
                load=Loaded(4, 1, 1_010, 1_000, seconds, 2.0, seconds, 400),
                build=Built(seconds, seconds, peak_mb, 3.0, 1.0, {}),
                warehouse_mb=10,
                bare=BareStep(bare_s / 2, bare_s / 2, bare_s, 800),
            )
        )
    report.counting = Counting(
        sent_events=7_000, sent_repeats=60, raw_rows=7_000, repeated_rows=60, wrong_days=[], bare_lines_differ=0
    )
    summarise(report)
    return report


def test_run_that_meets_its_targets_passes() -> None:
    report = a_report()
    assert report.passed
    assert (report.growth, report.peak_rss_mb, report.ratio, report.work_ratio) == (1.0, 900, 1.25, 0.75)
    assert report.events_per_s == pytest.approx(101)
    assert json.loads(encode_report(report))["passed"] is True


@pytest.mark.parametrize(
    ("report", "missed"),
    [
        (a_report(slower=1.3), "growth"),
        (a_report(peak_mb=4_100), "peak_rss_mb"),
        (a_report(bare_s=6.0), "ratio"),
    ],
)
def test_missed_target_is_named(report: Report, missed: str) -> None:
    assert not report.passed
    assert [text.partition(":")[0] for text in report.missed] == [missed]


def test_event_that_is_lost_or_doubled_fails_the_run() -> None:
    report = a_report()
    assert report.counting is not None
    report.counting.raw_rows -= 1
    summarise(report)
    assert not report.passed


def test_growth_compares_medians_after_the_first_step() -> None:
    assert growth([99.0, 2.0, 50.0, 2.0, 3.0, 1.0, 3.0]) == 1.5
    assert growth([1.0] * 6) is None
