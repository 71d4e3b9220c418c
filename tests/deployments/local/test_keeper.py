"""A keeper starts, probes, restarts, holds and stops one real process."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deployments.local.keeper import Keeper, State
from deployments.local.plan import Part
from deployments.local.processes import Command

SLEEPER = "import time; time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"


class Kept:
    """A keeper of a Python one-liner, run beside the test."""

    def __init__(
        self, tmp_path: Path, code: str, *, ready: Callable[[], bool] = lambda: True, one_shot: bool = False
    ) -> None:
        self.deaths = 0
        self.log = tmp_path / "p.log"
        part = Part(Command("p", (sys.executable, "-c", code)), ready, one_shot=one_shot, stop_timeout_s=1.0)
        self.keeper = Keeper(part, self.log, on_change=lambda: None, on_death=self._died)

    async def _died(self) -> None:
        self.deaths += 1

    async def __aenter__(self) -> "Kept":
        self.task = asyncio.create_task(self.keeper.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.keeper.stop()
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.02)


async def test_process_is_ready_only_when_its_probe_says_so(tmp_path: Path) -> None:
    answer = False
    async with Kept(tmp_path, SLEEPER, ready=lambda: answer) as kept:
        await until(lambda: kept.keeper.state is State.STARTING)
        await asyncio.sleep(0.5)
        assert not kept.keeper.ready.is_set()
        answer = True
        await asyncio.wait_for(kept.keeper.ready.wait(), 5)
        assert kept.keeper.state is State.READY


async def test_killed_process_is_restarted_and_counted(tmp_path: Path) -> None:
    async with Kept(tmp_path, SLEEPER) as kept:
        await asyncio.wait_for(kept.keeper.ready.wait(), 5)
        assert kept.keeper.process is not None
        first = kept.keeper.process.pid
        os.kill(first, signal.SIGKILL)
        await until(lambda: kept.keeper.restarts == 1 and kept.keeper.state is State.READY)
        assert kept.keeper.process is not None
        assert kept.keeper.process.pid != first
        assert kept.deaths == 1


async def test_process_that_dies_at_once_is_restarted_with_growing_pauses(tmp_path: Path) -> None:
    code = "import time; print(time.time(), flush=True)"
    async with Kept(tmp_path, code, ready=lambda: False) as kept:
        await until(lambda: kept.keeper.restarts >= 3)
        starts = [float(line) for line in kept.log.read_text().split()]
        assert starts[2] - starts[1] > starts[1] - starts[0] > 0.5


async def test_held_process_stays_down_until_it_is_released(tmp_path: Path) -> None:
    async with Kept(tmp_path, SLEEPER) as kept:
        await asyncio.wait_for(kept.keeper.ready.wait(), 5)
        await kept.keeper.hold()
        assert kept.keeper.process is None
        await asyncio.sleep(0.5)
        assert kept.keeper.state is State.HELD
        kept.keeper.release()
        await asyncio.wait_for(kept.keeper.ready.wait(), 5)
        assert kept.keeper.restarts == 0


async def test_process_that_ignores_sigterm_is_killed_in_time(tmp_path: Path) -> None:
    async with Kept(tmp_path, STUBBORN) as kept:
        await until(lambda: kept.log.exists() and kept.log.read_text() == "1\n")
        process = kept.keeper.process
        assert process is not None
        started = time.monotonic()
        await kept.keeper.stop()
        assert process.exit_code() == -signal.SIGKILL
        assert time.monotonic() - started < 5


@pytest.mark.parametrize(("code", "state"), [("0", State.FINISHED), ("2", State.FAILED)])
async def test_one_shot_ends_with_its_verdict(tmp_path: Path, code: str, state: State) -> None:
    async with Kept(tmp_path, f"raise SystemExit({code})", one_shot=True) as kept:
        await asyncio.wait_for(kept.task, 5)
        assert kept.keeper.state is state
        assert kept.keeper.ready.is_set() == (state is State.FINISHED)


async def test_one_shot_that_was_killed_runs_again(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    code = (
        f"import os, pathlib, signal; mark = pathlib.Path({str(mark)!r})\n"
        "if not mark.exists(): mark.touch(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    async with Kept(tmp_path, code, one_shot=True) as kept:
        await asyncio.wait_for(kept.task, 10)
        assert kept.keeper.state is State.FINISHED
        assert kept.keeper.restarts == 1
