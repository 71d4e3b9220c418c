"""What the launcher says of a run's process."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, job
from dagster._core.events import EngineEventData
from dagster._core.launcher.base import WorkerStatus

from deployments.local.plan import REPOSITORY
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


def test_local_instance_watches_runs_and_gives_back_what_killed_ones_held(tmp_path: Path) -> None:
    """What stands in dagster.yaml is in force: the launcher, a look every few seconds, a queue that waits for code."""
    shutil.copy(REPOSITORY / "deployments" / "local" / "dagster.yaml", tmp_path)
    with DagsterInstance.from_config(str(tmp_path)) as instance:
        assert isinstance(instance.run_launcher, WatchfulRunLauncher)
        assert instance.run_launcher.supports_check_run_worker_health
        assert instance.run_monitoring_enabled
        assert instance.run_monitoring_poll_interval_seconds <= 5
        assert instance.run_monitoring_settings["free_slots_after_run_end_seconds"] <= 5
        queue = instance.get_concurrency_config().run_queue_config
        assert queue is not None
        assert queue.max_concurrent_runs == 2
        assert queue.max_user_code_failure_retries * queue.user_code_failure_retry_delay >= 60


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
