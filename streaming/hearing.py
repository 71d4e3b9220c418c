"""For how long the broker has answered for a partition without a pause.

A partition that brings nothing is idle only where the broker says that there is nothing. While the broker is away, or
after this process itself was stopped, nobody knows what the log has got meanwhile.
"""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

# The consumer looks at least once a second, the broker answers an empty fetch within 20 ms.
LONGEST_PAUSE_S = 3.0


@dataclass(frozen=True)
class _Heard:
    answer: object
    since_s: float
    last_s: float


class Hearing:
    """Written by the consumer's thread, read by others."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._heard: dict[Hashable, _Heard] = {}

    def note(self, place: Hashable, answer: object) -> None:
        """`answer` is different with every answer of the broker's."""
        known, now = self._heard.get(place), self._clock()
        if known is not None and known.answer == answer:
            return
        unbroken = known is not None and now - known.last_s <= LONGEST_PAUSE_S
        since = known.since_s if known is not None and unbroken else now
        self._heard[place] = _Heard(answer, since, now)

    def heard_for_s(self, place: Hashable) -> float:
        """Seconds; 0 where the last answer is too long ago."""
        known, now = self._heard.get(place), self._clock()
        if known is None or now - known.last_s > LONGEST_PAUSE_S:
            return 0.0
        return now - known.since_s
