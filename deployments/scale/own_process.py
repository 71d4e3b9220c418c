"""Runs a function in a process of its own and says what it used: no phase is counted the memory of another."""

import multiprocessing
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec, TypeVar

Given = ParamSpec("Given")
Returned = TypeVar("Returned")


@dataclass(frozen=True)
class Used(Generic[Returned]):
    """What a function returned, and what it took. The peak is of the whole process, Python and imports included."""

    value: Returned
    seconds: float
    cpu_s: float
    peak_rss_mb: float


@dataclass
class Stopwatch:
    """Adds up the seconds of the blocks that it is held around."""

    seconds: float = 0.0
    _began: float = 0.0

    def __enter__(self) -> None:
        self._began = time.monotonic()

    def __exit__(self, *failure: object) -> None:
        self.seconds += time.monotonic() - self._began


def in_own_process(
    function: Callable[Given, Returned], *arguments: Given.args, **named: Given.kwargs
) -> Used[Returned]:
    """Call a function of a module in a new process; an exception of it is raised here.

    Raises:
        BrokenProcessPool: the process was killed, by the kernel for its memory, say.
    """
    # Spawned: a forked child would begin with this process's memory.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_measured, function, arguments, named).result()


def _measured(function: Callable[..., Returned], arguments: tuple[Any, ...], named: dict[str, Any]) -> Used[Returned]:
    began, cpu_began = time.monotonic(), time.process_time()
    value = function(*arguments, **named)
    return Used(
        value=value,
        seconds=time.monotonic() - began,
        cpu_s=time.process_time() - cpu_began,
        peak_rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )
