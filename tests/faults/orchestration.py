"""Dagster's processes as the local platform starts them, on a data folder of their own; no broker, door or worker."""

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
from dagster import AssetKey, DagsterEventType, DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter

from deployments.local.dagster_client import LOCATION
from deployments.local.demo.state import DemoRequest
from deployments.local.plan import CODE_SERVER, DAEMON, REPOSITORY, WEBSERVER, Part, addresses, parts
from deployments.local.processes import RunningProcess
from resources.settings import Settings
from tests.faults.waiting import wait_until

_LAUNCH = """
mutation Launch($params: ExecutionParams!) { launchRun(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }
"""
_SENSOR = """
query Sensor($params: SensorSelector!) { sensorOrError(sensorSelector: $params) {
    __typename ... on Sensor { id } ... on PythonError { message } } }
"""
_STOP = """
mutation Stop($params: String!) { stopSensor(id: $params) { __typename ... on PythonError { message } } }
"""
_BACKFILL = """
mutation Backfill($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }
"""


class Orchestration:
    """A code server, a daemon and a webserver; what a run does is read from the instance."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._parts: dict[str, Part] = {
            part.name: part
            for part in parts(settings, DemoRequest(None, runs=False))
            if part.name in (CODE_SERVER, DAEMON, WEBSERVER)
        }
        self._running: dict[str, RunningProcess] = {}
        settings.dagster_home.mkdir(parents=True)
        shutil.copy(REPOSITORY / "deployments" / "local" / "dagster.yaml", settings.dagster_home)
        environment = os.environ | dict(self._parts[DAEMON].command.environment)
        migrate = [str(Path(self._parts[DAEMON].command.arguments[0]).with_name("dagster")), "instance", "migrate"]
        subprocess.run(migrate, env=environment, check=True, capture_output=True)
        address = addresses(settings)["dagster"].removeprefix("http://")
        self._graphql = f"http://{address}/graphql"
        workspace = settings.state_dir / "workspace.yaml"
        workspace.parent.mkdir(parents=True, exist_ok=True)
        workspace.write_text(
            "load_from:\n  - grpc_server:\n      host: 127.0.0.1\n"
            f"      port: {settings.dagster.code_server_port}\n      location_name: {LOCATION}\n"
        )
        self.instance = DagsterInstance.from_config(str(settings.dagster_home))

    # -- processes -------------------------------------------------------------------------------------------------

    def start(self, *names: str) -> None:
        """Start some of them, and return when they are ready."""
        for name in names:
            self._running[name] = RunningProcess.start(
                self._parts[name].command, self.settings.logs_dir / f"{name}.log"
            )
            wait_until(self._parts[name].is_ready, lambda name=name: f"{name}\n{self.log(name)}", 120)  # type: ignore[misc]

    def kill(self, name: str) -> None:
        """SIGKILL, then what the supervisor does when a process has died: end what it left behind."""
        process = self._running.pop(name)
        os.kill(process.pid, signal.SIGKILL)
        wait_until(lambda: process.exit_code() is not None, f"{name} ends", 10)
        process.end_group()

    def close(self) -> None:
        """End everything."""
        for process in self._running.values():
            process.end_group()
        for process in self._running.values():
            wait_until(lambda process=process: process.exit_code() is not None, "the end", 10)  # type: ignore[misc]
        self.instance.dispose()

    def log(self, name: str) -> str:
        """The end of what a process has said."""
        return (self.settings.logs_dir / f"{name}.log").read_text(errors="replace")[-4000:]

    def worker_of(self, run_id: str) -> psutil.Process:
        """The process of a run that is STARTED."""
        said = [message for message in self.messages(run_id) if message.startswith("Started process for run (pid: ")]
        return psutil.Process(int(said[-1].rpartition(" ")[2].rstrip(").")))

    def dbt_of(self, worker: psutil.Process) -> psutil.Process | None:
        """The dbt of a run's process, once it has the warehouse file open."""
        with suppress(psutil.NoSuchProcess):
            for child in worker.children(recursive=True):
                if str(self.settings.warehouse_path) in {found.path for found in child.open_files()}:
                    return child
        return None

    # -- runs ------------------------------------------------------------------------------------------------------

    def launch(self, job: str, *, assets: Sequence[AssetKey] = (), tags: Mapping[str, str]) -> str:
        """Start a job, or a part of it, and return the run's id."""
        selector: dict[str, Any] = {
            "repositoryLocationName": LOCATION,
            "repositoryName": "__repository__",
            "jobName": job,
            "assetSelection": [{"path": list(key.path)} for key in assets] or None,
            "assetCheckSelection": [] if assets else None,
        }
        metadata = {"tags": [{"key": key, "value": value} for key, value in tags.items()]}
        answer = self._ask(_LAUNCH, {"selector": selector, "mode": "default", "executionMetadata": metadata})
        return str(answer["launchRun"]["run"]["runId"])

    def backfill(self, assets: Sequence[AssetKey], days: Sequence[str]) -> str:
        """Ask for partitions as a person does in the UI; returns the backfill's id."""
        answer = self._ask(
            _BACKFILL,
            {"assetSelection": [{"path": list(key.path)} for key in assets], "partitionNames": list(days)},
        )
        return str(answer["launchPartitionBackfill"]["backfillId"])

    def stop_sensor(self, name: str) -> None:
        """As a person does in the UI."""
        selector = {"repositoryLocationName": LOCATION, "repositoryName": "__repository__", "sensorName": name}
        found = self._ask(_SENSOR, selector)["sensorOrError"]["id"]
        assert self._ask(_STOP, found)["stopSensor"]["__typename"] == "StopSensorMutationResult"

    def runs(self, job: str | None = None, **tags: str) -> list[DagsterRun]:
        """The runs of a job or with certain tags, oldest first."""
        return list(self.instance.get_runs(RunsFilter(job_name=job, tags=tags or None)))[::-1]

    def status(self, run_id: str) -> DagsterRunStatus:
        """Where a run stands."""
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run.status

    def wait_status(self, run_id: str, *statuses: DagsterRunStatus, seconds: float = 120) -> float:
        """Wait until a run has one of these; returns how long it took."""
        return wait_until(
            lambda: self.status(run_id) in statuses,
            lambda: f"{self.status(run_id)}; {self.messages(run_id)[-5:]}\n{self.log(DAEMON)}",
            seconds,
            every_s=0.2,
        )

    def messages(self, run_id: str) -> list[str]:
        """What was said of a run, by Dagster's events and by its steps."""
        said = [(entry.dagster_event, entry.user_message) for entry in self.instance.all_logs(run_id)]
        return [(event.message if event is not None else None) or text for event, text in said]

    def failures(self, run_id: str) -> str:
        """Why a run failed, step by step."""
        found = self.instance.all_logs(run_id, of_type=DagsterEventType.STEP_FAILURE)
        events = [entry.dagster_event for entry in found if entry.dagster_event is not None]
        errors = [(event.step_key, event.step_failure_data.error) for event in events]
        said = [f"{step}: {error.to_string()[-3000:]}" for step, error in errors if error is not None]
        return "\n".join(said) or "\n".join(self.messages(run_id)[-10:])

    def has_ticked_since(self, sensor: str, moment: float) -> bool:
        """Whether a sensor was evaluated after a moment, in seconds since the epoch."""
        states = [state for state in self.instance.all_instigator_state() if state.instigator_name == sensor]
        return any((getattr(state.instigator_data, "last_tick_timestamp", 0.0) or 0.0) > moment for state in states)

    def _ask(self, query: str, params: dict[str, Any] | str) -> dict[str, Any]:
        answer = httpx.post(self._graphql, json={"query": query, "variables": {"params": params}}, timeout=60).json()
        assert "errors" not in answer, answer
        return dict(answer["data"])
