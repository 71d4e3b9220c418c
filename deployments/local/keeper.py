"""Keeps one process alive: starts it, probes it, restarts it with a growing pause, holds it back, ends it."""

import asyncio
import enum
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from deployments.local.plan import Part
from deployments.local.processes import ProcessRecord, RunningProcess

_POLL_S = 0.2
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
# A process that was ready this long is taken for healthy: the next death starts with a short pause again.
_HEALTHY_S = 30.0
_FINAL_EXIT = 2


class State(enum.StrEnum):
    """Where a process stands."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    BACKING_OFF = "backing-off"
    HELD = "held"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"


async def _nothing() -> None:
    return


class Keeper:
    """Watches one part. `on_ready` runs before others may count on it; `on_death` before it is started again."""

    def __init__(
        self,
        part: Part,
        log_path: Path,
        *,
        on_change: Callable[[], None],
        on_ready: Callable[[], Awaitable[None]] = _nothing,
        on_death: Callable[[], Awaitable[None]] = _nothing,
    ) -> None:
        self.part = part
        self.log_path = log_path
        self.state = State.WAITING
        self.restarts = 0
        self.process: RunningProcess | None = None
        self.started_now = False
        self.ready = asyncio.Event()
        self._allowed = asyncio.Event()
        self._allowed.set()
        self._on_change = on_change
        self._on_ready = on_ready
        self._on_death = on_death
        self._pause_s = _FIRST_PAUSE_S

    def adopt(self, record: ProcessRecord) -> bool:
        """Take over the process of an earlier supervisor, if it is alive and was started from the same command."""
        if record.fingerprint != self.part.command.fingerprint:
            return False
        self.process = RunningProcess.adopt(record)
        return self.process is not None

    async def run(self) -> None:
        """Keep the part running until it is finished, failed for good or stopped."""
        while self.state not in (State.STOPPED, State.FINISHED, State.FAILED):
            await self._allowed.wait()
            process = self._start()
            code = await self._watch(process)
            if code is None:
                continue
            self.ready.clear()
            process.end_group()
            self.process = None
            if self.part.one_shot and code in (0, _FINAL_EXIT):
                self._become(State.FINISHED if code == 0 else State.FAILED)
                if code == 0:
                    self.ready.set()
                return
            await self._pause_after_death()

    async def hold(self) -> None:
        """End the process and keep it from starting until `release`."""
        self._allowed.clear()
        await self.end()
        if self.state not in (State.FINISHED, State.FAILED, State.STOPPED):
            self._become(State.HELD)

    def release(self) -> None:
        """Let it start again."""
        self._allowed.set()

    async def stop(self) -> None:
        """End the process for good."""
        self._allowed.clear()
        await self.end()
        self._become(State.STOPPED)

    async def end(self) -> None:
        """Ask the process to finish, wait, then end what is left of its group."""
        process, self.process = self.process, None
        self.ready.clear()
        if process is None:
            return
        process.terminate()
        deadline = time.monotonic() + self.part.stop_timeout_s
        while process.exit_code() is None and time.monotonic() < deadline:
            await asyncio.sleep(_POLL_S / 4)
        process.end_group()
        while process.exit_code() is None:
            await asyncio.sleep(_POLL_S / 4)

    def _start(self) -> RunningProcess:
        if self.process is None:
            self.process = RunningProcess.start(self.part.command, self.log_path)
            self.started_now = True
        self._become(State.STARTING)
        return self.process

    async def _watch(self, process: RunningProcess) -> int | None:
        """The exit code, or None when the process was taken away by `end`."""
        ready_since: float | None = None
        while self.process is process:
            code = process.exit_code()
            if code is not None:
                return code
            if ready_since is None and not self.part.one_shot and await asyncio.to_thread(self.part.is_ready):
                await self._on_ready()
                if self.process is process:
                    ready_since = time.monotonic()
                    self.ready.set()
                    self._become(State.READY)
            if ready_since is not None and time.monotonic() - ready_since > _HEALTHY_S:
                self._pause_s = _FIRST_PAUSE_S
            await asyncio.sleep(_POLL_S)
        return None

    async def _pause_after_death(self) -> None:
        self.restarts += 1
        self._become(State.BACKING_OFF)
        await self._on_death()
        await asyncio.sleep(self._pause_s)
        self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)

    def _become(self, state: State) -> None:
        if self.state != state:
            self.state = state
            self._on_change()
