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
        self._used_s: dict[str, float] = {}
        self._took_s = 0.0

    @property
    def is_running(self) -> bool:
        """Whether it was started."""
        return self._began is not None

    def start(self) -> None:
        """Begin to measure."""
        self._began, self._began_s = self._used(), time.monotonic()

    def stop(self) -> None:
        """Fix the figures; later calls change nothing."""
        if self._began is None or self._used_s:
            return
        used = self._used()
        self._took_s = time.monotonic() - self._began_s
        self._used_s = {name: used[name] - began for name, began in self._began.items() if name in used}

    def cores(self) -> dict[str, float]:
        """Cores that were busy, by process; `machine` is all of it, ours included."""
        return {name: round(used_s / max(self._took_s, 1e-6), 2) for name, used_s in self._used_s.items()}

    def us_per_event(self, name: str, events: int) -> float | None:
        """Microseconds of CPU that a process used for each event; None where it was not measured."""
        used_s = self._used_s.get(name)
        return None if used_s is None or events <= 0 else round(used_s * 1_000_000 / events, 2)

    def _used(self) -> dict[str, float]:
        used = {name: process.cpu_s() for name, process in self._processes.items()}
        return {name: cpu_s for name, cpu_s in used.items() if cpu_s is not None} | {"machine": busy_cpu_s()}
