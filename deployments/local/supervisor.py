"""The supervisor: starts the platform's processes in order, keeps them, recycles the broker, drains and stops.

It runs apart from the terminal (`python -m deployments.local.supervisor`); the commands read what it publishes.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import time

import psutil

from deployments.local.accounting import Accounts
from deployments.local.dagster_client import DagsterClient, DagsterUnavailable
from deployments.local.demo.state import DemoRequest, Failure, Phase, forget_failure, request
from deployments.local.demo.state import load as load_demo
from deployments.local.keeper import Keeper, State
from deployments.local.plan import (
    API,
    BROKER,
    CODE_SERVER,
    DAEMON,
    DEMO,
    PREPARE,
    SCORER,
    WEBSERVER,
    WORKER,
    Part,
    addresses,
    needs_embedded_broker,
    parts,
)
from deployments.local.processes import ProcessRecord, RunningProcess, left_over_groups
from deployments.local.state_files import read_json, write_json
from deployments.local.status import DemoStatus, EventCounts, PlatformStatus, ProcessStatus, SupervisorLock, publish
from resources.event_log.gate import IngestionGate
from resources.event_log.topics import LogUnavailable, ensure_topics
from resources.landing_zone import LandingZone
from resources.settings import Settings, load_settings

logger = logging.getLogger("supervisor")

DRAIN_S = 60.0
_TICK_S = 0.5


class Supervisor:
    """Owns every process of one data folder. Make one, `await run()`, and it returns when all have ended."""

    def __init__(self, settings: Settings, request: DemoRequest) -> None:
        self._settings = settings
        self._request = request
        self._stop = asyncio.Event()
        self._hurry = False
        self._finished_stopping = False
        self._fault: BaseException | None = None
        self._not_landed: int | None = None
        self._records_path = settings.state_dir / "processes.json"
        self._gate = IngestionGate(settings.state_dir)
        self._accounts = Accounts(
            settings.acknowledged_dir, LandingZone(settings.landing_dir), settings.state_dir / "losses.json"
        )
        self._keepers = {part.name: self._keeper(part) for part in parts(settings, request)}
        me = psutil.Process(os.getpid())
        self._me = ProcessRecord(me.pid, me.create_time(), "supervisor")
        self._runs_to_settle_before: float | None = None

    async def run(self) -> None:
        """Run the platform until a signal asks for the end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._asked_to_stop)
        self._write_workspace()
        self._gate.open()
        await self._take_over()
        tasks = [asyncio.create_task(self._keep(keeper), name=keeper.part.name) for keeper in self._keepers.values()]
        ticking = asyncio.create_task(self._tick(), name="tick")
        stopping = asyncio.create_task(self._stop.wait(), name="stop")
        for task in (ticking, *tasks):
            task.add_done_callback(self._ended)
        await stopping
        # First of all the watch: it may be in the middle of recycling the broker.
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)
        try:
            await self._shut_down()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._finished_stopping = True
            self._publish()
        if self._fault is not None:
            raise self._fault

    def _ended(self, task: "asyncio.Task[None]") -> None:
        """A task of ours that raised is a fault of ours: stop in order and say so, rather than watch half of it."""
        if not task.cancelled() and (fault := task.exception()) is not None:
            logger.error("%s failed", task.get_name(), exc_info=fault)
            self._fault = fault
            self._stop.set()

    def _keeper(self, part: Part) -> Keeper:
        log_path = self._settings.logs_dir / f"{part.name}.log"
        if part.name == BROKER:
            return Keeper(
                part,
                log_path,
                on_change=self._publish,
                on_ready=self._open_logs,
                on_death=self._broker_died,
            )
        return Keeper(part, log_path, on_change=self._publish)

    async def _keep(self, keeper: Keeper) -> None:
        for name in keeper.part.after:
            await self._keepers[name].ready.wait()
        if keeper.part.name == API and not needs_embedded_broker(self._settings):
            await self._open_logs()
        await keeper.run()

    # -- taking over -------------------------------------------------------------------------------------------

    async def _take_over(self) -> None:
        """Adopt what an earlier supervisor left running, and end what does not fit."""
        records = read_json(self._records_path, dict[str, ProcessRecord]) or {}
        adopted = {
            name for name, record in records.items() if name in self._keepers and self._keepers[name].adopt(record)
        }
        if adopted:
            logger.info("adopted %s from an earlier supervisor", ", ".join(sorted(adopted)))
        for name, record in records.items():
            if name not in adopted:
                await _end_left_over(name, record)
        for name, processes in left_over_groups({n: r for n, r in records.items() if n not in adopted}).items():
            logger.info("ending %d processes that %s left behind", len(processes), name)
            for process in processes:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()

    # -- the event log -----------------------------------------------------------------------------------------

    async def _open_logs(self) -> None:
        """Make the topics and settle the incarnations that are over."""
        while True:
            try:
                logs = await asyncio.to_thread(ensure_topics, self._settings.kafka.address)
                break
            except LogUnavailable as error:
                logger.warning("waiting for the event log: %s", error)
                await asyncio.sleep(1.0)
        if needs_embedded_broker(self._settings):
            for loss in self._accounts.close_ended_logs(log.log for log in logs.values()):
                logger.error("%d acknowledged records of %s died with the broker", loss.records, loss.topic)
        for name in (API, WORKER, SCORER):
            self._keepers[name].release()

    async def _broker_died(self) -> None:
        """Its log is gone with it: whoever knows the old incarnation starts again once the new one is there."""
        logger.error("the broker died; its log was in memory only")
        for name in (WORKER, SCORER, API):
            await self._keepers[name].hold()

    async def _recycle_broker(self) -> None:
        """Give the broker's memory back: let everything land, then start a new incarnation of the log."""
        broker = self._keepers[BROKER]
        logger.info("the broker holds %.0f MB; recycling it", broker.process.memory_mb() if broker.process else 0)
        self._gate.close("the embedded broker is being recycled")
        await self._keepers[API].hold()
        landed = await self._wait_until_landed()
        if landed:
            await self._keepers[WORKER].hold()
            await self._keepers[SCORER].hold()
            await broker.hold()
            broker.release()
            await broker.ready.wait()
        else:
            logger.error("not everything landed within %.0f s; the broker is kept", DRAIN_S)
            self._keepers[API].release()
        self._gate.open()

    async def _wait_until_landed(self) -> bool:
        deadline = time.monotonic() + DRAIN_S
        while time.monotonic() < deadline and not self._hurry:
            if (await asyncio.to_thread(self._accounts.tally)).under_way == 0:
                return True
            self._publish()
            await asyncio.sleep(0.2)
        return False

    # -- the watch ---------------------------------------------------------------------------------------------

    async def _tick(self) -> None:
        while True:
            self._write_records()
            self._publish()
            await self._settle_runs()
            broker = self._keepers.get(BROKER)
            limit = self._settings.kafka.embedded_memory_limit_mb
            if broker is not None and broker.ready.is_set() and broker.process and broker.process.memory_mb() > limit:
                await self._recycle_broker()
            await asyncio.sleep(_TICK_S)

    async def _settle_runs(self) -> None:
        """Cancel runs whose process went with an earlier code server; Dagster would wait for them for ever."""
        code_server = self._keepers[CODE_SERVER]
        if code_server.started_now and code_server.process is not None:
            self._runs_to_settle_before = code_server.process.record.started_at
            code_server.started_now = False
        if self._runs_to_settle_before is None or not self._keepers[WEBSERVER].ready.is_set():
            return
        client = DagsterClient(addresses(self._settings)["dagster"])
        try:
            settled = await asyncio.to_thread(client.cancel_unfinished, self._runs_to_settle_before)
        except DagsterUnavailable as error:
            logger.warning("could not look for unfinished runs: %s", error)
            return
        self._runs_to_settle_before = None
        if settled:
            logger.info("cancelled %d runs that a stop or a kill left unfinished", settled)

    # -- the end -----------------------------------------------------------------------------------------------

    def _asked_to_stop(self) -> None:
        if self._stop.is_set():
            self._hurry = True
        self._stop.set()

    async def _shut_down(self) -> None:
        logger.info("stopping")
        self._publish()
        self._gate.close("the platform is stopping")
        if DEMO in self._keepers:
            await self._keepers[DEMO].stop()
        await self._keepers[API].stop()
        # Before the worker, which lands the predictions.
        await self._keepers[SCORER].stop()
        if self._keepers[WORKER].process is not None:
            await self._wait_until_landed()
        await self._keepers[WORKER].stop()
        self._not_landed = (await asyncio.to_thread(self._accounts.tally)).under_way
        await asyncio.gather(*(self._keepers[name].stop() for name in (DAEMON, WEBSERVER, CODE_SERVER)))
        for keeper in reversed(self._keepers.values()):
            if keeper.state != State.STOPPED:
                await keeper.stop()
        if needs_embedded_broker(self._settings):
            await asyncio.to_thread(self._accounts.close_ended_logs, ())
        self._gate.open()
        self._records_path.unlink(missing_ok=True)

    # -- what is written down ----------------------------------------------------------------------------------

    def _write_workspace(self) -> None:
        path = self._settings.state_dir / "workspace.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        dagster = self._settings.dagster
        path.write_text(
            "load_from:\n  - grpc_server:\n"
            f"      host: {dagster.host}\n      port: {dagster.code_server_port}\n      location_name: analytics\n"
        )

    def _write_records(self) -> None:
        records = {name: keeper.process.record for name, keeper in self._keepers.items() if keeper.process is not None}
        write_json(self._records_path, records)

    def _publish(self) -> None:
        publish(self._settings.state_dir, self._status())

    def _preparation_failure(self) -> Failure | None:
        """Without its preparation nothing of Dagster starts; the rest of the platform runs."""
        keeper = self._keepers[PREPARE]
        if keeper.state is not State.FAILED:
            return None
        return Failure(
            step="prepare what Dagster needs",
            cause="a command of the set-up failed",
            log=str(keeper.log_path),
            remedy="Mend what the log names, then `analytics down` and `analytics up`.",
        )

    def _status(self) -> PlatformStatus:
        state = load_demo(self._settings.state_dir)
        wanted = self._request.runs
        phase = state.phase if state and wanted else (Phase.WAITING if wanted else Phase.OFF)
        up = all(keeper.ready.is_set() for name, keeper in self._keepers.items() if name != DEMO)
        tally = self._accounts.tally()
        return PlatformStatus(
            ready=up and phase in (Phase.DONE, Phase.OFF) and not self._stop.is_set(),
            accepting=self._keepers[API].ready.is_set() and not self._stop.is_set(),
            demo=DemoStatus(phase, state.done if state else 0, state.total if state else 0),
            processes=[
                ProcessStatus(name, keeper.process.pid if keeper.process else None, keeper.state, keeper.restarts)
                for name, keeper in self._keepers.items()
            ],
            addresses=addresses(self._settings),
            events=EventCounts(tally.acknowledged, tally.landed, tally.under_way, tally.lost),
            supervisor=None if self._finished_stopping else self._me,
            stopping=self._stop.is_set(),
            failure=self._preparation_failure() or (state.failure if state and phase is Phase.FAILED else None),
            not_landed=self._not_landed,
        )


async def _end_left_over(name: str, record: ProcessRecord) -> None:
    """End a process of an earlier supervisor that this one has no use for."""
    process = RunningProcess.adopt(record)
    if process is None:
        return
    logger.info("ending %s (pid %d) of an earlier supervisor", name, record.pid)
    process.terminate()
    deadline = time.monotonic() + 15.0
    while process.exit_code() is None and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    process.end_group()


def main() -> None:
    """Run the supervisor of the data folder that the settings name."""
    parser = argparse.ArgumentParser(description="Supervises the local platform; `analytics up` starts it.")
    parser.add_argument("--demo", choices=("full", "sample"))
    parser.add_argument("--no-demo", action="store_true")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for every probe would bury the rest
    settings = load_settings()
    lock = SupervisorLock(settings.state_dir)
    if not lock.take():
        raise SystemExit(f"Another supervisor runs on {settings.root}")
    wanted = request(settings.state_dir, asked=arguments.demo, without=arguments.no_demo)
    if wanted.runs:
        forget_failure(settings.state_dir)

    async def supervise() -> None:
        await Supervisor(settings, wanted).run()

    asyncio.run(supervise())


if __name__ == "__main__":
    main()
