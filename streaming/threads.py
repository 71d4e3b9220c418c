"""The threads beside the event loop: one for the worker's state, one for its files, others that wait for processes."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Result = TypeVar("_Result")


class Threads:
    """Calls that block, each kind in its own order.

    `work` is for everything that decodes or changes state, `disk` for everything that touches the landing zone: so
    recovery never meets a half-written file of its own process, and a batch never waits for a sync. `beside` is for
    what waits for the processes that decode beside this one.
    """

    def __init__(self, *, beside: int = 0) -> None:
        """`beside` is how many processes can be waited for at once."""
        self._work = ThreadPoolExecutor(max_workers=1, thread_name_prefix="work")
        self._disk = ThreadPoolExecutor(max_workers=1, thread_name_prefix="disk")
        self._beside = ThreadPoolExecutor(max_workers=max(beside, 1), thread_name_prefix="beside")

    async def work(self, call: Callable[..., _Result], *arguments: object) -> _Result:
        """Run a call on the thread of the state."""
        return await asyncio.get_running_loop().run_in_executor(self._work, call, *arguments)

    async def disk(self, call: Callable[..., _Result], *arguments: object) -> _Result:
        """Run a call on the thread of the files."""
        return await asyncio.get_running_loop().run_in_executor(self._disk, call, *arguments)

    async def beside(self, call: Callable[..., _Result], *arguments: object) -> _Result:
        """Run a call on a thread that waits for another process."""
        return await asyncio.get_running_loop().run_in_executor(self._beside, call, *arguments)

    def warm_up(self, call: Callable[[], object]) -> None:
        """Have the thread of the state do something that is slow the first time."""
        self._work.submit(call)

    def shutdown(self) -> None:
        """Let all end what they do, then end."""
        self._work.shutdown(wait=True)
        self._disk.shutdown(wait=True)
        self._beside.shutdown(wait=True)
