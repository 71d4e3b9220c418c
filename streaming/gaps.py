"""Offsets that a fetch skips: not there yet, or never.

The embedded broker shows what one producer appended before what another one did at smaller offsets, for some
milliseconds: of three producers' 8,500 batches a reader at the end of the log missed two, all of them acknowledged.
So a gap is fetched again, and passed once it has stood for longer than an append takes while the broker answered: then
the log has it of its own, as one that was compacted does.
"""

import logging
import time
from collections.abc import Callable, Hashable

_log = logging.getLogger(__name__)

# Twice what the broker may be silent for and still count as heard (`hearing`).
GRACE_S = 6.0


class Gaps:
    """The gap that the reader of each partition stands before, if it does."""

    def __init__(self, heard_for_s: Callable[[Hashable], float], clock: Callable[[], float] = time.monotonic) -> None:
        """`heard_for_s` says for how long the broker has answered for a partition without a pause."""
        self._heard_for_s = heard_for_s
        self._clock = clock
        # Where it begins, and since when it is known.
        self._met: dict[Hashable, tuple[int, float]] = {}

    def may_pass(self, place: Hashable, offset: int) -> bool:
        """Whether the reader may go on past the gap that begins at its offset; False is to come back later."""
        begins, since_s = self._met.get(place, (None, 0.0))
        if begins != offset:
            self._met[place] = (offset, self._clock())
            return False
        if min(self._clock() - since_s, self._heard_for_s(place)) < GRACE_S:
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
