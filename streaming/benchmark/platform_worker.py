"""The engine under test: `python -m streaming` as a process, on a data folder and a web port of its own."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from streaming.benchmark.cluster import Cluster, free_port
from streaming.benchmark.processes import (
    ChildProcess,
    answers_ok,
    ended_after_the_block,
    interrupts_wait,
    own_environment,
)

READY_S = 60.0
END_S = 60.0


class Duties(StrEnum):
    """What the worker does with an event. `windows` is what the peers do: neither deduplication nor landing."""

    ALL = "all"
    WINDOWS = "windows"


class PlatformWorker:
    """A running worker. Its landing files are below `data_dir`."""

    def __init__(self, log: Cluster, folder: Path, duties: Duties) -> None:
        self.data_dir = folder / "data"
        self._web_port = free_port()
        self._log_file = folder / "worker.log"
        self._environment = own_environment(
            **log.settings,
            DATA_DIR=str(self.data_dir),
            STREAMING__WEB_PORT=str(self._web_port),
            STREAMING__DUTIES=duties.value,
        )
        self.process = self._started()

    def wait_until_ready(self) -> None:
        """Return once partitions are assigned. Raises ProcessFailed."""
        address = f"http://127.0.0.1:{self._web_port}/health/ready"
        self.process.wait_until(lambda: answers_ok(address), READY_S, "ready")

    def kill_and_start_again(self) -> None:
        """What a supervisor does after the worker's sudden death; `process` is another one from then on."""
        self.process.kill()
        with interrupts_wait():
            self.process = self._started()

    def _started(self) -> ChildProcess:
        return ChildProcess("worker", [sys.executable, "-m", "streaming"], self._log_file, self._environment)


@contextmanager
def platform_worker(log: Cluster, folder: Path, duties: Duties) -> Iterator[PlatformWorker]:
    """A worker for the length of a block; leaving it lets everything land first."""
    with ended_after_the_block(
        lambda: PlatformWorker(log, folder, duties), lambda worker: worker.process.end(END_S)
    ) as worker:
        yield worker
