"""Brings a consumer back to its position, after batches were lost on the way from the fetch to the agent."""

import logging
import time
from collections.abc import Mapping
from typing import Any, Protocol

from faust.types import TP

_log = logging.getLogger(__name__)

# Batches that were in flight when the consumer sought back are gaps too; one seek answers them all.
SEEK_INTERVAL_S = 1.0


class Follower(Protocol):
    """Somebody who takes batches in order."""

    @property
    def is_ready(self) -> bool:
        """Whether batches are taken now."""
        ...

    def positions(self) -> Mapping[tuple[str, int], int]:
        """The offset to fetch next of every owned (topic, partition)."""
        ...


class SeekBack:
    """Seeks partitions of an app's consumer to the follower's positions."""

    def __init__(self, app: Any, follower: Follower) -> None:
        self._app = app
        self._follower = follower
        self._sought_at: dict[TP, float] = {}
        self._seen: dict[TP, int] = {}

    async def after_gap(self, place: TP) -> None:
        """A batch came that does not follow on the position: fetch again from there."""
        position = self._follower.positions().get((place.topic, place.partition))
        now = time.monotonic()
        if position is None or now - self._sought_at.get(place, float("-inf")) < SEEK_INTERVAL_S:
            return
        self._sought_at[place] = now
        _log.warning("sought_back topic=%s partition=%d position=%d", place.topic, place.partition, position)
        await self._app.consumer.seek_wait({place: position})

    async def where_nothing_moved(self) -> None:
        """To be called every few seconds: a lost batch shows as a gap only when another one follows it.

        A partition whose log has more than the follower, and whose follower has not moved since the last call, is
        fetched again from its position. Where the batch was merely slow, the follower finds the second copy repeated.
        """
        seen, self._seen = self._seen, {}
        if not self._follower.is_ready or self._app.rebalancing:
            return
        for (topic, partition), position in self._follower.positions().items():
            place = TP(topic, partition)
            end = self._app.consumer.highwater(place)
            if end is not None and end > position:
                self._seen[place] = position
                if seen.get(place) == position:
                    await self.after_gap(place)
