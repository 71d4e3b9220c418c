"""Waiting for conditions; nothing in these tests sleeps in the hope that something has happened."""

import time
from collections.abc import Callable


def wait_until(
    condition: Callable[[], bool], what: Callable[[], str] | str, seconds: float, *, every_s: float = 0.05
) -> float:
    """Poll a condition; returns how many seconds it took.

    Raises:
        AssertionError: it did not hold in time; `what` tells what was waited for.
    """
    begun = time.monotonic()
    while not condition():
        waited = time.monotonic() - begun
        assert waited < seconds, f"not within {seconds:.0f} s: {what if isinstance(what, str) else what()}"
        time.sleep(every_s)
    return time.monotonic() - begun
