"""How fast the cores were during a run: the same piece of work over and over, in time on a processor.

A virtual core may share a physical one with a stranger's: on the machine of the README's figures the same work takes
70 or 120 µs, by what the other one does, and neither the load nor the stolen time says so. A latency is that of a
machine at its best speed only where both figures are near 1.
"""

import time

import msgspec
import numpy as np

# 70 µs, 20 times a second: 0.15 % of a core.
_ROUNDS = 2_000
_FEWEST = 20


class CoreSpeed(msgspec.Struct, frozen=True, kw_only=True):
    """Shares of the speed that the fastest twentieth of the samples had; a tenth of them was slower than `p10`."""

    p50: float
    p10: float


class CoreSpeedometer:
    """Takes the samples."""

    def __init__(self) -> None:
        self._took_ns: list[int] = []

    def sample(self) -> None:
        """Work for a moment. Time off the processor does not count."""
        begun = time.thread_time_ns()
        total = 0
        for number in range(_ROUNDS):
            total += number
        self._took_ns.append(time.thread_time_ns() - begun)

    def speed(self) -> CoreSpeed | None:
        """None where there are too few samples to say."""
        if len(self._took_ns) < _FEWEST:
            return None
        fastest, median, slow = np.percentile(self._took_ns, [5, 50, 90]).tolist()
        return CoreSpeed(p50=round(fastest / median, 2), p10=round(fastest / slow, 2))
