"""The benchmark as a process: a small run end to end, a missed target, a broker that is not there, and Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streaming.benchmark.arguments import Engine, TestType
from streaming.benchmark.capacity import measure_capacity
from streaming.benchmark.platform_worker import Duties
from streaming.benchmark.report import Measurement
from tests.conftest import free_port


def start(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        # A shell's background jobs ignore Ctrl-C, and so would everything that they start.
        ["env", "--default-signal=INT", sys.executable, "-m", "streaming.benchmark", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # The marker by which the processes of one run are found again: children inherit it.
        env={**os.environ, "BENCHMARK_UNDER_TEST": arguments[-1]},
    )


def processes_of_run(report: Path) -> dict[int, str]:
    """Command lines by process id of what carries the marker in its environment."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"BENCHMARK_UNDER_TEST={report}".encode() in (folder / "environ").read_bytes():
                found[int(folder.name)] = (folder / "cmdline").read_text()
        except OSError:
            continue
    return found


def wait_for_worker(run: "subprocess.Popen[str]", report: Path) -> int:
    """The process id of the run's worker, once it is there."""
    deadline = time.monotonic() + 30
    while True:
        for process, command in processes_of_run(report).items():
            if "-m\0streaming\0" in command:
                return process
        assert run.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)


def finished(run: "subprocess.Popen[str]", report: Path, seconds: float = 90) -> tuple[int, str, Any]:
    shown, said = run.communicate(timeout=seconds)
    assert report.exists(), said
    return run.returncode, shown + said, json.loads(report.read_text())


def test_small_paced_run_loses_and_doubles_nothing_and_leaves_no_process(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    run = start(
        # A test of throughput would want 99 % of three seconds: no hiccup of 30 ms at their end.
        "--test-type", "latency", "--target-eps", "2000", "--duration", "3", "--warmup", "1",
        "--duplicate-share", "0.01", "--json", str(report),
    )  # fmt: skip
    code, shown, found = finished(run, report)
    assert code == 0, shown
    assert (found["sent"], found["lost"], found["duplicated"], found["windows_match"]) == (8_000, 0, 0, True)
    assert 0 < found["core_speed"]["p10"] <= found["core_speed"]["p50"] <= 1
    # Every hundredth, from 0 to 6,000: none in the last second.
    assert found["resent"] == 61
    assert found["processed"] == 8_061
    assert found["latency_ms"]["events"] == pytest.approx(600, rel=0.1)
    assert 0 < found["latency_ms"]["p50"] < found["latency_ms"]["p99"] < 3_000
    assert 1_000 < found["achieved_eps"] <= 2_000
    assert found["raw_consume_eps"] > 2_000
    assert len(found["worker_rss_mb"]) == 10
    # The kernel keeps both figures by the page and by the thread: they differ by a little.
    assert max(found["worker_rss_mb"]) <= found["worker_peak_rss_mb"] + 5
    assert found["cpu_cores"].keys() == {"worker", "broker", "producer", "consumer", "machine"}
    assert "latency in ms over seconds" in shown
    assert processes_of_run(report) == {}


@pytest.mark.integration
def test_missed_target_ends_with_1_and_a_report(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    run = start(
        "--test-type", "capacity", "--events", "20000", "--target-eps", "900000000", "--no-plot", "--json", str(report)
    )
    code, shown, found = finished(run, report)
    assert code == 1, shown
    assert found["error"] is None
    assert (found["lost"], found["duplicated"], found["windows_match"]) == (0, 0, True)
    assert any("wanted at least 900,000,000" in missed for missed in found["missed"])
    assert 0.5 < found["first_result_s"] < 60
    assert "MISSED" in shown


@pytest.mark.integration
def test_killed_workers_successor_has_every_window_as_it_would_have_been(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    run = start(
        "--test-type", "recovery", "--target-eps", "2000", "--users", "300", "--duration", "24", "--json", str(report)
    )  # fmt: skip
    code, shown, found = finished(run, report)
    assert code == 0, shown
    assert (found["users"], found["sent"], found["lost"], found["duplicated"]) == (300, 52_000, 0, 0)
    assert found["windows_match"] is True
    # The session of the dead one has to run out, and its successor to start.
    assert 1 < found["resumed_s"] <= found["recovery_s"] < 15
    assert "after the kill, caught up after" in shown


def test_broker_that_does_not_answer_ends_with_1_and_a_report(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    run = start("--test-type", "latency", "--bootstrap", f"127.0.0.1:{free_port()}", "--json", str(report))
    code, shown, found = finished(run, report)
    assert code == 1, shown
    assert "No broker answers" in found["error"]
    assert found["passed"] is False


def test_worker_that_dies_ends_with_1_and_its_last_words(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    run = start("--test-type", "stress", "--peak-load", "1000", "--duration", "60", "--json", str(report))
    worker = wait_for_worker(run, report)
    os.kill(worker, signal.SIGKILL)
    code, shown, found = finished(run, report)
    assert code == 1, shown
    assert "The worker ended with -9" in found["error"]
    assert (found["passed"], found["achieved_eps"], found["knee_eps"]) == (False, None, None)
    assert processes_of_run(report) == {}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_ends_every_process_and_still_reports(tmp_path: Path, how: signal.Signals) -> None:
    report = tmp_path / "report.json"
    run = start("--test-type", "throughput", "--target-eps", "1000", "--duration", "60", "--json", str(report))
    wait_for_worker(run, report)
    run.send_signal(how)
    code, shown, found = finished(run, report)
    assert code == 130, shown
    assert (found["interrupted"], found["passed"], found["error"]) == (True, False, "interrupted")
    assert processes_of_run(report) == {}


@pytest.mark.integration
def test_stock_faust_does_the_same_job_with_the_same_result(tmp_path: Path) -> None:
    measurement = Measurement(engine=Engine.FAUST, test_type=TestType.CAPACITY, duties=Duties.WINDOWS, target_eps=None)
    measure_capacity(
        measurement,
        3_000,
        bootstrap=None,
        duplicate_share=0.001,
        peers_python=Path("unused"),
        folder=tmp_path,
        say=lambda _: None,
    )
    assert (measurement.lost, measurement.duplicated, measurement.windows_match) == (0, 0, True)
    assert measurement.resent == 0
    assert measurement.achieved_eps
    assert json.loads(msgspec.json.encode(measurement))["worker_cpu_us_per_event"] > 0
