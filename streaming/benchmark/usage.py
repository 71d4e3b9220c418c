"""What a process and its children use, as Linux tells it; whatever has ended is left out."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_PARENT, _TIMES = 0, slice(10, 14)
_GONE = (FileNotFoundError, ProcessLookupError)


def cpu_s(pid: int) -> float | None:
    """CPU seconds, in user and kernel, of all threads of the process and of its children, also of those that ended."""
    with contextlib.suppress(*_GONE):
        user, system, user_of_ended, system_of_ended = _times(pid)
        used = user + system + user_of_ended + system_of_ended
        for child in _children(pid):
            with contextlib.suppress(*_GONE):
                used += sum(_times(child)[:2])
        return used / _TICKS_A_SECOND
    return None


def memory_mb(pid: int) -> float | None:
    """Memory that the process holds, and what its children hold that nobody else does."""
    return _megabytes(pid, "VmRSS", peak=False)


def peak_memory_mb(pid: int) -> float | None:
    """The most that the process has held so far, and each of its children that are there now."""
    return _megabytes(pid, "VmHWM", peak=True)


def _megabytes(pid: int, field: str, *, peak: bool) -> float | None:
    with contextlib.suppress(*_GONE):
        kilobytes = _field(f"/proc/{pid}/status", field)
        for child in _children(pid):
            with contextlib.suppress(*_GONE):
                # The libraries that both have mapped, and the memory that they share, are in the process's own figure.
                pages = f"/proc/{child}/smaps_rollup"
                kilobytes += _field(pages, "Private_Clean") + _field(pages, "Private_Dirty")
                if peak:
                    kilobytes += _field(f"/proc/{child}/status", field) - _field(pages, "Rss")
        return round(kilobytes / 1024, 1)
    return None


def _children(pid: int) -> Iterator[int]:
    # Not every kernel lists them by their parent.
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(*_GONE):
            if _stat(file)[_PARENT] == pid:
                yield int(file.parent.name)


def _times(pid: int) -> list[int]:
    return _stat(Path(f"/proc/{pid}/stat"))[_TIMES]


def _stat(file: Path) -> list[int]:
    """The numbers behind the name, which may have blanks and brackets in it, and the letter of its state."""
    return [int(field) for field in file.read_text().rpartition(")")[2].split()[1:]]


def _field(path: str, name: str) -> int:
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0])
    # The memory of a process is gone before its number is.
    return 0
