"""The engine under test: `python -m streaming` as a process, on a data folder and a web port of its own."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from streaming.benchmark.cluster import Cluster, free_port
from streaming.benchmark.processes import ChildProcess, answers_ok, child_process, own_environment

READY_S = 60.0
END_S = 60.0


class Duties(StrEnum):
    """What the worker does with an event. `windows` is what the peers do: neither deduplication nor landing."""

    ALL = "all"
    WINDOWS = "windows"


@dataclass(frozen=True)
class PlatformWorker:
    """A running worker. Its landing files are below `data_dir`."""

    process: ChildProcess
    data_dir: Path
    web_port: int

    def wait_until_ready(self) -> None:
        """Return once partitions are assigned. Raises ProcessFailed."""
        address = f"http://127.0.0.1:{self.web_port}/health/ready"
        self.process.wait_until(lambda: answers_ok(address), READY_S, "ready")


@contextmanager
def platform_worker(log: Cluster, folder: Path, duties: Duties) -> Iterator[PlatformWorker]:
    """A worker for the length of a block; leaving it lets everything land first."""
    data_dir, web_port = folder / "data", free_port()
    environment = own_environment(
        **log.settings,
        DATA_DIR=str(data_dir),
        STREAMING__WEB_PORT=str(web_port),
        STREAMING__DUTIES=duties.value,
    )
    command = [sys.executable, "-m", "streaming"]
    with child_process("worker", command, folder / "worker.log", environment, END_S) as process:
        yield PlatformWorker(process, data_dir, web_port)
