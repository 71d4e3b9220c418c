"""Starts runs as Dagster's own launcher does, and knows when the process of one is gone.

Dagster's launcher leaves the watch to the code server that started the process. When that server is killed too, a run
would be STARTED until its longest runtime is over. Here run monitoring asks after the process itself: each run says its
process id in its first event, and on one machine that is enough to know.
"""

import psutil
from dagster import DagsterEventType, DagsterRun, DefaultRunLauncher
from dagster._core.events import EngineEventData
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus

_PID = "pid"
_CLOCKS_DIFFER_S = 2.0
"""A process is started before it speaks; the kernel's start times are whole ticks counted from a rounded boot."""


class WatchfulRunLauncher(DefaultRunLauncher):
    """For one machine: code server, daemon and runs see the same processes."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """So run monitoring asks."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """FAILED only where the run's process is known and gone. A run without a process yet has its start time-out."""
        worker = self._worker_of(run)
        if worker is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "its process has not said its id yet")
        pid, said_at = worker
        if _is_alive(pid, said_at):
            return CheckRunHealthResult(WorkerStatus.RUNNING, f"process {pid} is alive", run_worker_id=str(pid))
        return CheckRunHealthResult(
            WorkerStatus.FAILED, f"its process {pid} was killed or ended without a word", run_worker_id=str(pid)
        )

    def _worker_of(self, run: DagsterRun) -> tuple[int, float] | None:
        """The process id that the run said last, and when, in seconds since the epoch."""
        found = None
        for entry in self._instance.all_logs(run.run_id, of_type=DagsterEventType.ENGINE_EVENT):
            said = entry.dagster_event.event_specific_data if entry.dagster_event is not None else None
            if isinstance(said, EngineEventData) and _PID in said.metadata:
                found = int(str(said.metadata[_PID].value)), entry.timestamp
        return found


def _is_alive(pid: int, said_at: float) -> bool:
    """Whether that very process lives; an id may have been given again since."""
    try:
        process = psutil.Process(pid)
        return bool(process.create_time() <= said_at + _CLOCKS_DIFFER_S and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
