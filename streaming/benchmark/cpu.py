"""How many cores each process kept busy, and how many everything else on the machine did."""

import time

from streaming.benchmark.machine import busy_cpu_s
from streaming.benchmark.processes import ChildProcess


class CpuMeter:
    """Measures from `start` to the first `stop`; processes that are None, or gone, are left out."""

    def __init__(self, processes: dict[str, ChildProcess | None]) -> None:
        self._processes = {name: process for name, process in processes.items() if process is not None}
        self._began: dict[str, float] | None = None
        self._began_s = 0.0
        self.cores: dict[str, float] = {}
        """Cores by process, `machine` for all of it, ours included."""

    @property
    def is_running(self) -> bool:
        """Whether it was started."""
        return self._began is not None

    def start(self) -> None:
        """Begin to measure."""
        self._began, self._began_s = self._used(), time.monotonic()

    def stop(self) -> None:
        """Fix the figures; later calls change nothing."""
        took_s = time.monotonic() - self._began_s
        if self._began is None or self.cores or took_s <= 0:
            return
        used = self._used()
        self.cores = {
            name: round((used[name] - began) / took_s, 2) for name, began in self._began.items() if name in used
        }

    def _used(self) -> dict[str, float]:
        used = {name: process.cpu_s() for name, process in self._processes.items()}
        return {name: cpu_s for name, cpu_s in used.items() if cpu_s is not None} | {"machine": busy_cpu_s()}
