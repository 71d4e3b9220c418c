"""What passes and what does not, and how it is said."""

from typing import Any

import pytest

from streaming.benchmark.arguments import Engine, TestType
from streaming.benchmark.latency import Percentiles
from streaming.benchmark.platform_worker import Duties
from streaming.benchmark.report import Measurement
from streaming.benchmark.targets import missed_side_by_side, missed_targets


def a_measurement(**changes: Any) -> Measurement:
    """A throughput run that passes."""
    fields: dict[str, Any] = {
        "engine": Engine.PLATFORM,
        "test_type": TestType.THROUGHPUT,
        "duties": Duties.ALL,
        "target_eps": 100_000,
        "achieved_eps": 99_500,
        "raw_consume_eps": 600_000,
        "lost": 0,
        "duplicated": 0,
        "windows_match": True,
        "backlog_s": 0.1,
        "worker_peak_rss_mb": 300,
        "first_result_s": 4.0,
    }
    return Measurement(**{**fields, **changes})


def milliseconds(p50: float, p99: float) -> Percentiles:
    return Percentiles(p50=p50, p95=p99, p99=p99, p999=p99, max=p99, events=1)


PASSING = [
    {},
    {"test_type": TestType.LATENCY, "target_eps": 20_000, "latency_ms": milliseconds(39, 99)},
    {"test_type": TestType.LATENCY, "target_eps": 50_000, "latency_ms": milliseconds(60, 99)},
    {"test_type": TestType.LATENCY, "target_eps": 100_000, "latency_ms": milliseconds(500, 2_000)},
    {"test_type": TestType.STRESS, "recovery_s": 8.0},
    {"test_type": TestType.RECOVERY, "resumed_s": 6.0, "recovery_s": 20.0},
    {"test_type": TestType.CAPACITY, "target_eps": None, "achieved_eps": 151_000},
    {"test_type": TestType.CAPACITY, "target_eps": None, "achieved_eps": 80_000, "raw_consume_eps": 300_000},
    {"test_type": TestType.CAPACITY, "target_eps": None, "duties": Duties.WINDOWS, "achieved_eps": 301_000},
    {"test_type": TestType.CAPACITY, "target_eps": None, "engine": Engine.FAUST, "achieved_eps": 3_000},
]
MISSING = [
    ({"achieved_eps": 98_000}, "achieved_eps: 98,000, wanted at least 99,000"),
    ({"achieved_eps": None}, "achieved_eps: unknown"),
    ({"backlog_s": 1.0}, "backlog_s: 1.0, wanted below 1"),
    ({"lost": 3}, "lost: 3 events"),
    ({"duplicated": 1}, "duplicated: 1 events"),
    ({"windows_match": False}, "windows differ"),
    ({"windows_match": None}, "windows differ"),
    ({"worker_peak_rss_mb": 501}, "worker_peak_rss_mb"),
    ({"test_type": TestType.LATENCY, "target_eps": 20_000, "latency_ms": milliseconds(41, 60)}, "latency_ms.p50"),
    ({"test_type": TestType.LATENCY, "target_eps": 50_000, "latency_ms": milliseconds(41, 160)}, "latency_ms.p99"),
    ({"test_type": TestType.LATENCY, "target_eps": 50_000, "latency_ms": None}, "latency_ms.p99: unknown"),
    ({"test_type": TestType.STRESS, "recovery_s": None}, "recovery_s"),
    ({"test_type": TestType.RECOVERY, "resumed_s": 10.5, "recovery_s": 20.0}, "resumed_s"),
    ({"test_type": TestType.RECOVERY, "resumed_s": None, "recovery_s": 20.0}, "resumed_s: unknown"),
    ({"test_type": TestType.RECOVERY, "resumed_s": 6.0, "recovery_s": None}, "did not catch up after the kill"),
    ({"test_type": TestType.CAPACITY, "target_eps": None, "achieved_eps": 149_000}, "achieved_eps"),
    (
        {"test_type": TestType.CAPACITY, "target_eps": None, "achieved_eps": 151_000, "first_result_s": 5.1},
        "first_result",
    ),
    ({"test_type": TestType.CAPACITY, "target_eps": 200_000, "achieved_eps": 199_000}, "achieved_eps"),
]


@pytest.mark.parametrize("changes", PASSING)
def test_measurement_that_meets_its_targets_misses_nothing(changes: dict[str, Any]) -> None:
    assert missed_targets(a_measurement(**changes)) == []


@pytest.mark.parametrize(("changes", "said"), MISSING)
def test_missed_target_is_named_with_value_and_limit(changes: dict[str, Any], said: str) -> None:
    (missed,) = missed_targets(a_measurement(**changes))
    assert said in missed


@pytest.mark.parametrize(
    ("faust", "quix", "misses"), [(3_000, 70_000, 0), (3_100, 70_000, 1), (3_000, 80_000, 1), (3_100, 80_000, 2)]
)
def test_platform_is_a_hundred_times_stock_faust_and_four_times_the_fastest_peer(
    faust: int, quix: int, misses: int
) -> None:
    rates = {Engine.PLATFORM: 305_000, Engine.FAUST: faust, Engine.QUIX: quix, Engine.BYTEWAX: 40_000}
    measured = [a_measurement(engine=engine, achieved_eps=eps) for engine, eps in rates.items()]
    assert len(missed_side_by_side(measured)) == misses


def test_nothing_is_compared_without_the_platform() -> None:
    assert missed_side_by_side([a_measurement(engine=Engine.FAUST, achieved_eps=9_000)]) == []
