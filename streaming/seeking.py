"""Brings the consumer back to where the sink stands, after batches were lost between the two."""

import logging
import time
from typing import Any

from faust.types import TP

from streaming.lander import Lander

_log = logging.getLogger(__name__)

# Batches that were in flight when the consumer sought back are gaps too; one seek answers them all.
SEEK_INTERVAL_S = 1.0


class SeekBack:
    """Seeks partitions of an app's consumer to the sink's position."""

    def __init__(self, app: Any, lander: Lander) -> None:
        self._app = app
        self._lander = lander
        self._sought_at: dict[TP, float] = {}
        self._seen: dict[TP, int] = {}

    async def after_gap(self, place: TP) -> None:
        """A batch came that does not follow on the position: fetch again from there."""
        owned = self._lander.sink.find(place.topic, place.partition)
        now = time.monotonic()
        if owned is None or now - self._sought_at.get(place, float("-inf")) < SEEK_INTERVAL_S:
            return
        self._sought_at[place] = now
        _log.warning("sought_back topic=%s partition=%d position=%d", place.topic, place.partition, owned.position)
        await self._app.consumer.seek_wait({place: owned.position})

    async def where_nothing_moved(self) -> None:
        """To be called every few seconds: a lost batch shows as a gap only when another one follows it.

        A partition whose log has more than the sink, and whose sink has not moved since the last call, is fetched
        again from its position. Where the batch was merely slow, the sink finds the second copy repeated.
        """
        if not self._lander.is_ready or self._app.rebalancing:
            self._seen.clear()
            return
        seen, self._seen = self._seen, {}
        for owned in self._lander.sink.owned:
            place = TP(owned.topic, owned.partition)
            end = self._app.consumer.highwater(place)
            if end is not None and end > owned.position:
                self._seen[place] = owned.position
                if seen.get(place) == owned.position:
                    await self.after_gap(place)
