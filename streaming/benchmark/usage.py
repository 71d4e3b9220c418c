"""What a process and its children use; whatever has ended is left out."""

from contextlib import suppress
from pathlib import Path

import psutil

_GONE = (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError)


def cpu_s(pid: int) -> float | None:
    """CPU seconds, in user and kernel, of the process and of its children, also of those that ended."""
    with suppress(*_GONE):
        process = psutil.Process(pid)
        times = process.cpu_times()
        used = times.user + times.system + times.children_user + times.children_system
        for child in process.children():
            with suppress(*_GONE):
                used += sum(child.cpu_times()[:2])
        return used
    return None


def memory_mb(pid: int) -> float | None:
    """Memory that the process holds, and what its children hold that nobody else does."""
    with suppress(*_GONE):
        process = psutil.Process(pid)
        used = process.memory_info().rss
        for child in process.children():
            with suppress(*_GONE):
                used += child.memory_full_info().uss
        return round(used / 2**20, 1)
    return None


def peak_memory_mb(pid: int) -> float | None:
    """The most that the process has held so far, and each of its children that are there now."""
    with suppress(*_GONE):
        used = _high_water(pid)
        for child in psutil.Process(pid).children():
            with suppress(*_GONE):
                held = child.memory_full_info()
                # The libraries that both have mapped, and what they share, are in the process's own figure.
                used += _high_water(child.pid) - held.rss + held.uss
        return round(used / 2**20, 1)
    return None


def _high_water(pid: int) -> int:
    """Bytes; psutil knows only of now."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise psutil.NoSuchProcess(pid)
