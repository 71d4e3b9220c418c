"""What the launcher says of a run's process."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, job
from dagster._core.events import EngineEventData
from dagster._core.launcher.base import WorkerStatus

from deployments.local.run_launcher import WatchfulRunLauncher


@job
def nothing() -> None:
    """A run needs a job."""


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as found:
        yield found


@pytest.fixture
def launcher(instance: DagsterInstance) -> WatchfulRunLauncher:
    found = WatchfulRunLauncher()
    found.register_instance(instance)
    return found


def run_of(instance: DagsterInstance, pid: int | None) -> DagsterRun:
    """A started run, whose process has said its id as Dagster's do."""
    run = instance.create_run_for_job(nothing, status=DagsterRunStatus.STARTED)
    instance.report_engine_event("Something else happened", run)
    if pid is not None:
        instance.report_engine_event(f"Started process for run (pid: {pid}).", run, EngineEventData.in_process(pid))
    return run


def test_run_monitoring_is_told_to_ask(launcher: WatchfulRunLauncher) -> None:
    assert launcher.supports_check_run_worker_health


def test_run_without_a_process_yet_is_left_to_its_start_time_out(
    instance: DagsterInstance, launcher: WatchfulRunLauncher
) -> None:
    assert launcher.check_run_worker_health(run_of(instance, None)).status is WorkerStatus.RUNNING


def test_killed_process_is_missed_and_named(instance: DagsterInstance, launcher: WatchfulRunLauncher) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        run = run_of(instance, process.pid)
        assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING
        process.kill()
    health = launcher.check_run_worker_health(run)
    assert health.status is WorkerStatus.FAILED
    assert str(process.pid) in str(health)


def test_id_that_was_given_to_a_later_process_is_not_taken_for_the_run(
    instance: DagsterInstance, launcher: WatchfulRunLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        run = run_of(instance, process.pid)
        monkeypatch.setattr("psutil.Process.create_time", lambda _: 1e11)
        assert launcher.check_run_worker_health(run).status is WorkerStatus.FAILED
        process.kill()
