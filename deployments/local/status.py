"""What the supervisor publishes about the platform, and how a command reads it."""

import fcntl
import os
from pathlib import Path

import msgspec

from deployments.local.demo.state import Failure, Phase
from deployments.local.processes import ProcessRecord, RunningProcess
from deployments.local.state_files import read_json, write_json


class ProcessStatus(msgspec.Struct, frozen=True):
    """One process."""

    name: str
    pid: int | None
    state: str
    restarts: int


class DemoStatus(msgspec.Struct, frozen=True):
    """The demo's progress in source rows."""

    phase: Phase
    done: int
    total: int


class EventCounts(msgspec.Struct, frozen=True):
    """Records on the living logs, by the offsets: see `accounting`."""

    acknowledged: int = 0
    landed: int = 0
    under_way: int = 0
    lost: int = 0


class PlatformStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The whole platform. `accepting`: events and predictions are answered. `ready`: all is up and the demo served."""

    ready: bool
    accepting: bool
    demo: DemoStatus
    processes: list[ProcessStatus]
    addresses: dict[str, str]
    events: EventCounts
    supervisor: ProcessRecord | None
    stopping: bool = False
    failure: Failure | None = None
    not_landed: int | None = None


def _path(state_dir: Path) -> Path:
    return state_dir / "status.json"


def publish(state_dir: Path, status: PlatformStatus) -> None:
    """Replace the published status."""
    write_json(_path(state_dir), status)


def published(state_dir: Path) -> PlatformStatus | None:
    """The last published status, whoever published it; None before the first start."""
    return read_json(_path(state_dir), PlatformStatus)


def is_supervised(status: PlatformStatus | None) -> bool:
    """Whether the supervisor that published a status is alive."""
    return status is not None and status.supervisor is not None and RunningProcess.adopt(status.supervisor) is not None


class SupervisorLock:
    """Held by the one supervisor of a data folder for as long as it lives; the kernel frees it with the process."""

    def __init__(self, state_dir: Path) -> None:
        state_dir.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(state_dir / "supervisor.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)

    def take(self) -> bool:
        """Whether the lock is ours now."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
