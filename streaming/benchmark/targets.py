"""What a measurement has to reach. A target belongs to a machine of two cores that also run broker and producer."""

from streaming.benchmark.arguments import Engine, TestType
from streaming.benchmark.platform_worker import Duties
from streaming.benchmark.report import Measurement

ACHIEVED_SHARE = 0.99
BACKLOG_S = 1.0
MEMORY_MB = 500
FIRST_RESULT_S = 5.0
RESUMED_S = 10.0
LATENCY_MS: dict[int, dict[str, float]] = {20_000: {"p50": 40, "p99": 100}, 50_000: {"p99": 100}}
"""At other rates latency is reported only."""

CAPACITY: dict[Duties, tuple[int, float]] = {Duties.WINDOWS: (300_000, 0.45), Duties.ALL: (150_000, 0.25)}
"""Events a second, or else this share of what a plain client reads in the same run."""

TIMES_FAUST = 100
TIMES_FASTEST_PEER = 4


def missed_targets(found: Measurement) -> list[str]:
    """What a finished measurement misses, in words; empty where it passes."""
    missed = _wrong_results(found)
    if found.test_type is TestType.THROUGHPUT:
        missed += _below("achieved_eps", found.achieved_eps, ACHIEVED_SHARE * (found.target_eps or 0))
        missed += _not_below("backlog_s", found.backlog_s, BACKLOG_S)
    elif found.test_type is TestType.LATENCY:
        for name, limit in LATENCY_MS.get(found.target_eps or 0, {}).items():
            missed += _not_below(f"latency_ms.{name}", getattr(found.latency_ms, name, None), limit)
    elif found.test_type is TestType.STRESS:
        missed += ["recovery_s: the worker did not catch up after the peak"] if found.recovery_s is None else []
    elif found.test_type is TestType.RECOVERY:
        missed += _not_below("resumed_s", found.resumed_s or None, RESUMED_S)
        missed += ["recovery_s: the worker did not catch up after the kill"] if found.recovery_s is None else []
    elif found.target_eps is not None:
        missed += _below("achieved_eps", found.achieved_eps, found.target_eps)
    elif found.engine is Engine.PLATFORM:
        eps, share = CAPACITY[found.duties]
        missed += _below("achieved_eps", found.achieved_eps, min(eps, share * (found.raw_consume_eps or eps / share)))
    if found.engine is Engine.PLATFORM:
        missed += _not_below("worker_peak_rss_mb", found.worker_peak_rss_mb, MEMORY_MB)
        if found.test_type is TestType.CAPACITY:
            missed += _not_below("first_result_s", found.first_result_s, FIRST_RESULT_S)
    return missed


def missed_side_by_side(measurements: list[Measurement]) -> list[str]:
    """What the platform misses against the other engines of the same run."""
    rates = {found.engine: found.achieved_eps or 0.0 for found in measurements}
    ours = rates.pop(Engine.PLATFORM, None)
    if ours is None:
        return []
    missed = []
    faust = rates.pop(Engine.FAUST, None)
    if faust:
        missed += _below("achieved_eps of platform", ours, TIMES_FAUST * faust)
    if rates:
        missed += _below("achieved_eps of platform", ours, TIMES_FASTEST_PEER * max(rates.values()))
    return missed


def _wrong_results(found: Measurement) -> list[str]:
    wrong = [
        f"{name}: {count:,} events" for name, count in (("lost", found.lost), ("duplicated", found.duplicated)) if count
    ]
    return wrong + ([] if found.windows_match else ["windows_match: windows differ from the batch recomputation"])


def _below(name: str, value: float | None, limit: float) -> list[str]:
    return [] if value is not None and value >= limit else [f"{name}: {_text(value)}, wanted at least {limit:,.0f}"]


def _not_below(name: str, value: float | None, limit: float) -> list[str]:
    return [] if value is not None and value < limit else [f"{name}: {_text(value)}, wanted below {limit:,.0f}"]


def _text(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.1f}" if value < 1000 else f"{value:,.0f}"
