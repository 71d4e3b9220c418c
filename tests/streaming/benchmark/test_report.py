"""The JSON document."""

import json
from typing import Any

from streaming.benchmark.arguments import Engine, TestType
from streaming.benchmark.latency import Percentiles
from streaming.benchmark.machine import busy_cpu_s, describe_machine, describe_versions
from streaming.benchmark.platform_worker import Duties
from streaming.benchmark.report import Measurement, Report, encode_report

PROMISED = {
    "engine", "test_type", "duties", "target_eps", "achieved_eps", "raw_consume_eps", "duration_s", "sent", "processed",
    "lost", "duplicated", "windows_match", "backlog_s", "latency_ms", "worker_peak_rss_mb", "machine", "versions",
}  # fmt: skip


def a_report(*measurements: Measurement) -> Report:
    return Report(machine=describe_machine(), versions=describe_versions(), measurements=list(measurements))


def decoded(report: Report) -> Any:
    return json.loads(encode_report(report))


def throughput(**changes: Any) -> Measurement:
    return Measurement(
        **{
            "engine": Engine.PLATFORM,
            "test_type": TestType.THROUGHPUT,
            "duties": Duties.ALL,
            "target_eps": 2_000,
            **changes,
        }
    )


def test_document_has_every_promised_field_at_the_top_even_for_a_run_that_failed() -> None:
    found = decoded(a_report(throughput(error="the worker ended")))
    assert found.keys() >= PROMISED
    assert found["passed"] is False
    assert found["error"] == "the worker ended"
    assert found["achieved_eps"] is None


def test_latency_has_its_percentiles_by_name() -> None:
    latency = Percentiles(p50=1, p95=2, p99=3, p999=4, max=5, events=6)
    found = decoded(a_report(throughput(latency_ms=latency)))
    assert found["latency_ms"] == {"p50": 1, "p95": 2, "p99": 3, "p999": 4, "max": 5, "events": 6}
    assert found["passed"] is True


def test_stress_alone_has_knee_and_recovery() -> None:
    assert "knee_eps" not in decoded(a_report(throughput()))
    found = decoded(a_report(throughput(test_type=TestType.STRESS, knee_eps=50, recovery_s=None)))
    assert (found["knee_eps"], found["recovery_s"]) == (50, None)


def test_several_measurements_are_all_there_and_one_miss_fails_the_report() -> None:
    found = decoded(a_report(throughput(), throughput(target_eps=9, missed=["achieved_eps: 1"])))
    assert [each["target_eps"] for each in found["measurements"]] == [2_000, 9]
    assert found["target_eps"] == 2_000
    assert (found["passed"], found["missed"]) == (False, ["achieved_eps: 1"])


def test_run_without_a_measurement_has_not_passed() -> None:
    assert decoded(a_report())["passed"] is False


def test_machine_is_described_by_what_a_reader_compares() -> None:
    machine = describe_machine()
    assert machine.cpu
    assert machine.cores >= 1
    assert machine.memory_mb > 100
    assert {"python", "librdkafka", "faust-streaming", "msgspec"} <= describe_versions().keys()
    assert busy_cpu_s() > 0
