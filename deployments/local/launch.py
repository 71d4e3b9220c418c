"""Starts the supervisor apart from the terminal, and asks it to stop."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

from deployments.local.demo.state import DemoRequest
from deployments.local.plan import REPOSITORY, ports
from deployments.local.ports import require_free
from deployments.local.processes import ProcessRecord, RunningProcess, left_over_groups
from deployments.local.state_files import read_json
from deployments.local.status import PlatformStatus, is_supervised, published
from resources.settings import Settings


class SupervisorDied(RuntimeError):
    """The supervisor ended before the platform did; the message carries the end of its log."""


def start_supervisor(settings: Settings, demo: DemoRequest) -> RunningProcess:
    """Start the supervisor of a data folder.

    Raises:
        PortTaken: a port that the platform needs is in use by somebody else.
    """
    ours = _left_running(settings)
    require_free(port for name, port in ports(settings).items() if name not in ours)
    arguments = [sys.executable, "-m", "deployments.local.supervisor"]
    if not demo.runs:
        arguments.append("--no-demo")
    elif demo.mode is not None:
        arguments += ["--demo", demo.mode]
    log_path = supervisor_log(settings)
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("ab") as log:
        child = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=REPOSITORY,
            env={**os.environ, "ANALYTICS_DATA_DIR": str(settings.root)},
            start_new_session=True,
        )
    process = psutil.Process(child.pid)
    return RunningProcess(process, ProcessRecord(child.pid, process.create_time(), "supervisor"), child)


def wait_for_first_status(settings: Settings, supervisor: RunningProcess) -> PlatformStatus:
    """The first status that this supervisor publishes.

    Raises:
        SupervisorDied: it ended before it published anything.
    """
    while True:
        status = published(settings.state_dir)
        if status is not None and status.supervisor is not None and status.supervisor.pid == supervisor.pid:
            return status
        if supervisor.exit_code() is not None:
            raise SupervisorDied(
                f"The supervisor ended at once. The end of {supervisor_log(settings)}:\n{log_end(settings)}"
            )
        time.sleep(0.05)


def running_supervisor(settings: Settings) -> RunningProcess | None:
    """The live supervisor of a data folder, if there is one."""
    status = published(settings.state_dir)
    if status is None or status.supervisor is None or not is_supervised(status):
        return None
    return RunningProcess.adopt(status.supervisor)


def leftovers(settings: Settings) -> dict[str, ProcessRecord]:
    """Processes that a killed supervisor left running."""
    records = read_json(settings.state_dir / "processes.json", dict[str, ProcessRecord]) or {}
    return {name: record for name, record in records.items() if RunningProcess.adopt(record) is not None}


def supervisor_log(settings: Settings) -> Path:
    """Where the supervisor writes what it does."""
    return settings.logs_dir / "supervisor.log"


def log_end(settings: Settings, lines: int = 15) -> str:
    """The last lines of the supervisor's log."""
    path = supervisor_log(settings)
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""


def _left_running(settings: Settings) -> set[str]:
    records = read_json(settings.state_dir / "processes.json", dict[str, ProcessRecord]) or {}
    return set(leftovers(settings)) | set(left_over_groups(records))
