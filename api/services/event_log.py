"""The door's connection to the event log: made in the background, watched, and made anew when the log changes."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence

from platform_assets.contracts.topics import TOPICS
from resources.event_log.gate import IngestionGate
from resources.event_log.producer import EventLogProducer, Record
from resources.event_log.topics import Log, LogUnavailable, describe_logs
from resources.settings import Settings

# A look costs the process 3 ms of its own time and says within a second that a broker went, came or forgot its log.
WATCH_INTERVAL_S = 1.0
DESCRIBE_TIMEOUT_S = 2.0
# Beyond the producer's own time-out, so that no request can hang on a report that never comes.
GRACE_S = 2.0

logger = logging.getLogger(__name__)


class EventLog:
    """Appends to the log while it can be reached, and knows whether it can.

    A broker that starts over has other logs under the same names (see `Log`): the acknowledgements of the new ones
    must not be counted for the old, so the watch compares incarnations, and `append` compares the gate's generation
    before it trusts the connection.
    """

    def __init__(self, settings: Settings, gate: IngestionGate) -> None:
        self._address = settings.kafka.address
        self._marks_dir = settings.acknowledged_dir
        self._timeout_s = settings.api.acknowledgement_timeout_s
        self._linger_ms = settings.kafka.linger_ms
        self._gate = gate
        self._topics = [topic.name for topic in TOPICS]
        self._producer: EventLogProducer | None = None
        self._logs: dict[str, Log] = {}
        self._generation = ""
        self._fault: str | None = "The first look at the event log is not done yet"
        self._look_now = asyncio.Event()
        self._look: asyncio.Future[None] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def fault(self) -> str | None:
        """Why the log cannot be reached, as of the last look, about a second ago; None if it can."""
        return self._fault

    def start(self) -> None:
        """Connect and keep watch in the background; a broker that is not there yet is waited for."""
        self._look = asyncio.get_running_loop().create_future()
        self._watcher = asyncio.create_task(self._watch(), name="event-log-watch")

    async def append(self, topic: str, records: Sequence[Record]) -> None:
        """Append records; returns when the broker has acknowledged every one.

        Raises:
            LogUnavailable: not every record was acknowledged in time; some may have been stored.
        """
        if not records:
            return
        producer = await self._connected()
        try:
            await asyncio.wait_for(producer.append(topic, records), self._timeout_s + GRACE_S)
        except (LogUnavailable, TimeoutError) as error:
            self._look_now.set()
            if isinstance(error, LogUnavailable):
                raise
            raise LogUnavailable(f"{self._address} acknowledged nothing in {self._timeout_s + GRACE_S:.0f} s") from None

    async def stop(self) -> None:
        """Deliver what was handed over and let go."""
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher
        if self._closing:
            await asyncio.wait(self._closing)
        if self._producer is not None:
            await asyncio.to_thread(self._producer.close)
            self._producer = None

    async def _connected(self) -> EventLogProducer:
        if self._producer is not None and self._is_current():
            return self._producer
        # A look that was under way when the gate opened may have seen the log from before it: hence a second one.
        for _ in range(2):
            if not self._is_current() and self._look is not None:
                self._look_now.set()
                await asyncio.shield(self._look)
        if self._producer is None or not self._is_current():
            raise LogUnavailable(self._fault or "The event log is not connected yet")
        return self._producer

    def _is_current(self) -> bool:
        return self._producer is not None and self._generation == self._gate.generation()

    async def _watch(self) -> None:
        while True:
            self._look_now.clear()
            try:
                await self._connect()
            except LogUnavailable as error:
                if self._fault is None:
                    logger.warning("The event log went away", extra={"cause": str(error)})
                self._fault = str(error)
            except Exception:
                # The watch must outlive whatever one look runs into, or the door would never find the log again.
                logger.exception("Looking at the event log failed")
                self._fault = "Looking at the event log failed; the log of this process says why"
            self._announce()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._look_now.wait(), WATCH_INTERVAL_S)

    def _announce(self) -> None:
        looked, self._look = self._look, asyncio.get_running_loop().create_future()
        if looked is not None:
            looked.set_result(None)

    async def _connect(self) -> None:
        """Make the connection fit the logs that the broker holds now."""
        generation = self._gate.generation()
        logs = await asyncio.to_thread(
            describe_logs, self._address, self._topics, timeout_s=min(DESCRIBE_TIMEOUT_S, self._timeout_s)
        )
        producer = self._producer
        if producer is None or producer.is_broken or logs != self._logs or generation != self._generation:
            await self._replace_producer(logs, generation)
        elif self._fault is not None:
            logger.info("The event log answers again")
        self._fault = None

    async def _replace_producer(self, logs: dict[str, Log], generation: str) -> None:
        fresh = EventLogProducer(
            self._address,
            self._topics,
            marks_dir=self._marks_dir,
            timeout_s=self._timeout_s,
            linger_ms=self._linger_ms,
        )
        await asyncio.to_thread(fresh.connect)
        previous, self._producer = self._producer, fresh
        self._logs, self._generation = logs, generation
        logger.info("Connected to the event log", extra={"logs": {log.topic: log.log for log in logs.values()}})
        if previous is not None:
            # Requests may still wait for its reports; it delivers or fails them, then goes.
            closing = asyncio.create_task(asyncio.to_thread(previous.close))
            self._closing.add(closing)
            closing.add_done_callback(self._closed)

    def _closed(self, closing: asyncio.Task[None]) -> None:
        self._closing.discard(closing)
        if not closing.cancelled() and closing.exception() is not None:
            logger.error("A replaced producer did not close cleanly", exc_info=closing.exception())
