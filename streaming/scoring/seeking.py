"""Brings the scorer's consumer back to its position after Faust dropped batches on the way."""

import time
from typing import Any

from faust.types import TP

from platform_assets.contracts.topics import WINDOWS
from streaming.scoring.pipeline import ScoringPipeline

# Batches that were in flight when the consumer sought back are gaps too; one seek answers them all.
SEEK_INTERVAL_S = 1.0


class SeekBack:
    """Seeks partitions of an app's consumer to the pipeline's positions."""

    def __init__(self, app: Any, pipeline: ScoringPipeline) -> None:
        self._app = app
        self._pipeline = pipeline
        self._sought_at: dict[int, float] = {}
        self._seen: dict[int, int] = {}

    async def after_gap(self, partition: int) -> None:
        """A batch came that does not follow on the position: fetch again from there."""
        position, now = self._pipeline.position(partition), time.monotonic()
        if position is None or now - self._sought_at.get(partition, float("-inf")) < SEEK_INTERVAL_S:
            return
        self._sought_at[partition] = now
        await self._app.consumer.seek_wait({TP(WINDOWS.name, partition): position})

    async def where_nothing_moved(self) -> None:
        """To be called every few seconds: a lost batch shows as a gap only when another one follows it."""
        seen, self._seen = self._seen, {}
        if not self._pipeline.is_ready or self._pipeline.is_waiting_for_a_model or self._app.rebalancing:
            return
        for partition in self._pipeline.positions():
            position = self._pipeline.position(partition)
            end = self._app.consumer.highwater(TP(WINDOWS.name, partition))
            if position is not None and end is not None and end > position:
                self._seen[partition] = position
                if seen.get(partition) == position:
                    await self.after_gap(partition)
