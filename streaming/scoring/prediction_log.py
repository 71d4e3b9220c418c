"""The way of predictions to `predictions.v1`."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from platform_assets.contracts.predictions import StreamPrediction, encode_prediction
from platform_assets.contracts.topics import PREDICTIONS
from resources.event_log.producer import EventLogProducer
from resources.event_log.topics import LogUnavailable


class PredictionLog:
    """Appends predictions by entity. Belongs to one event loop."""

    def __init__(self, bootstrap_servers: str, marks_dir: Path) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._marks_dir = marks_dir
        self._producer: EventLogProducer | None = None
        self._connecting = asyncio.Lock()

    async def connect(self) -> None:
        """Be ready for the first prediction. Raises LogUnavailable."""
        async with self._connecting:
            # A broker that forgot its log refuses the producer for good; another one is welcome.
            if self._producer is not None and self._producer.is_broken:
                await asyncio.to_thread(self._producer.close)
                self._producer = None
            if self._producer is None:
                producer = EventLogProducer(self._bootstrap_servers, [PREDICTIONS.name], marks_dir=self._marks_dir)
                await asyncio.to_thread(producer.connect)
                self._producer = producer

    async def append(self, predictions: Sequence[StreamPrediction]) -> None:
        """Returns when the broker has acknowledged all of them. Raises LogUnavailable."""
        await self.connect()
        if self._producer is None:
            raise LogUnavailable("The prediction log was closed")
        records = [(made.entity_id.encode(), encode_prediction(made)) for made in predictions]
        await self._producer.append(PREDICTIONS.name, records)

    async def close(self) -> None:
        """Deliver what is under way and disconnect."""
        if self._producer is not None:
            await asyncio.to_thread(self._producer.close)
            self._producer = None
