"""The way of the stages' records to the log."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

from platform_assets.contracts.topics import LATE, PARTIALS, WINDOWS
from resources.event_log.producer import EventLogProducer
from resources.settings import Settings
from streaming.stage import Outgoing

# The other half of the latency of a change is the round trip to the broker.
LINGER_MS = 1


class NewsLog:
    """Appends windows, their parts and late events; connects at the first record."""

    def __init__(self, settings: Settings) -> None:
        # Parts never land, so nobody waits for them to.
        self._producer = EventLogProducer(
            settings.kafka.address,
            [WINDOWS.name, LATE.name],
            unmarked=[PARTIALS.name],
            marks_dir=settings.acknowledged_dir,
            linger_ms=LINGER_MS,
        )
        self._is_connected = False
        self._connecting = asyncio.Lock()

    async def append(self, records: Sequence[Outgoing]) -> None:
        """Return when the broker has every record. Raises LogUnavailable."""
        await self.connect()
        keyed: defaultdict[str, list[Outgoing]] = defaultdict(list)
        placed: defaultdict[str, list[tuple[int, Outgoing]]] = defaultdict(list)
        for record in records:
            if record.partition is None:
                keyed[record.topic].append(record)
            else:
                partition = record.partition % self._producer.partitions(record.topic)
                placed[record.topic].append((partition, record))
        await asyncio.gather(
            *(
                self._producer.append(topic, [(record.key, record.value) for record in found])
                for topic, found in keyed.items()
            ),
            *(
                self._producer.append(
                    topic, [(record.key, record.value) for _, record in found], [partition for partition, _ in found]
                )
                for topic, found in placed.items()
            ),
        )

    async def connect(self) -> None:
        """Connect, unless that has been done, or again where the broker has forgotten the producer."""
        async with self._connecting:
            if self._is_connected and self._producer.is_broken:
                await asyncio.to_thread(self._producer.close)
                self._is_connected = False
            if not self._is_connected:
                await asyncio.to_thread(self._producer.connect)
                self._is_connected = True

    async def close(self) -> None:
        """Deliver what is under way and disconnect."""
        if self._is_connected:
            await asyncio.to_thread(self._producer.close)
            self._is_connected = False
