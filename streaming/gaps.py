"""Offsets that a fetch skips: not there yet, or never.

The embedded broker shows what one producer appended before what another one did at smaller offsets, for some
milliseconds: of three producers' 8,500 batches a reader at the end of the log missed two, all of them acknowledged.
So a gap is fetched again, and passed once it has stood for longer than an append takes: then the log has it of its own,
as one that was compacted does.
"""

import logging
import time
from collections.abc import Callable, Hashable

_log = logging.getLogger(__name__)

GRACE_S = 3.0
# A broker that was away or stood still in between has had no time to show what is missing.
LONGEST_PAUSE_S = 1.0


class Gaps:
    """The gap that the reader of each partition stands before, if it does."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # Where it begins, since when it is known, and when it was last looked for.
        self._met: dict[Hashable, tuple[int, float, float]] = {}

    def may_pass(self, place: Hashable, offset: int) -> bool:
        """Whether the reader may go on past the gap that begins at its offset; False is to come back later."""
        now_s = self._clock()
        begins, since_s, last_s = self._met.get(place, (offset, now_s, now_s))
        if begins != offset or now_s - last_s > LONGEST_PAUSE_S:
            since_s = now_s
        self._met[place] = (offset, since_s, now_s)
        if now_s - since_s < GRACE_S:
            return False
        _log.warning("gap_passed place=%s offset=%d; nothing came there for %.0f s", place, offset, GRACE_S)
        return True

    def read(self, place: Hashable, next_offset: int) -> None:
        """Note how far the reader has come."""
        if place in self._met and self._met[place][0] < next_offset:
            del self._met[place]

    def stands_before_one(self, place: Hashable) -> bool:
        """Whether the reader waits for what is missing."""
        return place in self._met
