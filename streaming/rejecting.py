"""The way of undecodable records to the rejected topic."""

import asyncio

from platform_assets.contracts.topics import REJECTED
from resources.event_log.producer import EventLogProducer
from resources.settings import Settings


class RejectionLog:
    """Appends to the rejected topic; connects at the first rejection, as most workers never see one."""

    def __init__(self, settings: Settings) -> None:
        self._address = settings.kafka.address
        self._marks_dir = settings.acknowledged_dir
        self._producer: EventLogProducer | None = None
        self._connecting = asyncio.Lock()

    async def append(self, records: list[tuple[bytes, bytes]]) -> None:
        """Append keys and values; returns when the broker has acknowledged all of them. Raises LogUnavailable."""
        async with self._connecting:
            if self._producer is None:
                producer = EventLogProducer(self._address, [REJECTED.name], marks_dir=self._marks_dir)
                await asyncio.to_thread(producer.connect)
                self._producer = producer
        await self._producer.append(REJECTED.name, records)

    async def close(self) -> None:
        """Deliver what is under way and disconnect."""
        if self._producer is not None:
            await asyncio.to_thread(self._producer.close)
            self._producer = None
