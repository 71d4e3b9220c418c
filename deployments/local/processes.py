"""One process of the platform: started, adopted, watched and ended with everything it started.

Every process leads a session of its own, so Ctrl-C on the terminal reaches only the command, and a killed leader's
leftovers can be found by their process group.
"""

import contextlib
import hashlib
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import psutil

_MAX_LOG_BYTES = 20_000_000


class ProcessRecord(msgspec.Struct, frozen=True):
    """What is written down about a process: enough to know it again, whoever supervises next."""

    pid: int
    started_at: float
    fingerprint: str


@dataclass(frozen=True)
class Command:
    """What to run. The fingerprint tells whether a process that is left over was started from the same command."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    working_dir: Path | None = None

    @property
    def fingerprint(self) -> str:
        """A digest of the command line and of the environment that this platform sets for it."""
        digest = hashlib.sha256()
        for part in (*self.arguments, *(f"{key}={value}" for key, value in sorted(self.environment.items()))):
            digest.update(part.encode() + b"\0")
        return digest.hexdigest()[:16]


class RunningProcess:
    """A live process and its process group."""

    def __init__(self, process: psutil.Process, record: ProcessRecord, child: subprocess.Popen[bytes] | None) -> None:
        self._process = process
        self._child = child
        self.record = record

    @classmethod
    def start(cls, command: Command, log_path: Path) -> "RunningProcess":
        """Start a command with its output appended to a log file."""
        log_path.parent.mkdir(parents=True, exist_ok=True)
        if log_path.exists() and log_path.stat().st_size > _MAX_LOG_BYTES:
            log_path.replace(log_path.with_suffix(".log.1"))
        with log_path.open("ab") as log:
            child = subprocess.Popen(
                command.arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **command.environment},
                cwd=command.working_dir,
                start_new_session=True,
            )
        process = psutil.Process(child.pid)
        return cls(process, ProcessRecord(child.pid, process.create_time(), command.fingerprint), child)

    @classmethod
    def adopt(cls, record: ProcessRecord) -> "RunningProcess | None":
        """The process of a record, if that very process is still alive."""
        try:
            process = psutil.Process(record.pid)
            same = abs(process.create_time() - record.started_at) < 0.01
            alive = process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return None
        return cls(process, record, None) if same and alive else None

    @property
    def pid(self) -> int:
        return self.record.pid

    def exit_code(self) -> int | None:
        """None while it runs; -1 for an adopted process, whose code belonged to its parent."""
        if self._child is not None:
            return self._child.poll()
        try:
            return None if self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE else -1
        except psutil.NoSuchProcess:
            return -1

    def memory_mb(self) -> float:
        """Resident memory, or 0 when it is gone."""
        try:
            return float(self._process.memory_info().rss) / 2**20
        except psutil.NoSuchProcess:
            return 0.0

    def terminate(self) -> None:
        """Ask it to finish."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self._process.terminate()

    def end_group(self) -> None:
        """End at once what is left of its process group, itself included."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


def left_over_groups(records: Mapping[str, ProcessRecord]) -> dict[str, list[psutil.Process]]:
    """Processes whose leader is gone and whose process group still carries its pid, by the leader's name.

    Only those that are younger than the leader count: a pid may have been given again since.
    """
    leaders = {record.pid: (name, record) for name, record in records.items()}
    found: dict[str, list[psutil.Process]] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError, PermissionError):
            name, record = leaders.get(os.getpgid(process.pid), (None, None))
            if name is None or record is None or process.pid == record.pid:
                continue
            if process.create_time() >= record.started_at:
                found.setdefault(name, []).append(process)
    return found
