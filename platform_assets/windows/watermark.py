"""Event time as one partition has seen it."""

import numpy as np

from platform_assets.windows.columns import Ints

BEFORE_ALL = np.iinfo(np.int64).min
"""The watermark of a partition that has no records yet."""


class Watermark:
    """The largest event time so far, in milliseconds. An event from the future counts as of when it was received.

    It depends on the records and their order alone, not on how the log is cut into batches.
    """

    def __init__(self, value_ms: int = BEFORE_ALL) -> None:
        self.value_ms = int(value_ms)

    def advance(self, occurred_ms: Ints, received_ms: Ints) -> Ints:
        """Take records in; returns for each of them the watermark just before it."""
        reached = np.minimum(occurred_ms, received_ms)
        np.maximum.accumulate(reached, out=reached)
        before = np.empty_like(reached)
        before[:1] = self.value_ms
        np.maximum(reached[:-1], self.value_ms, out=before[1:])
        if len(reached):
            self.value_ms = max(self.value_ms, int(reached[-1]))
        return before

    def advance_to(self, value_ms: int) -> None:
        """Move it on without a record, as an idle partition does; never back."""
        self.value_ms = max(self.value_ms, value_ms)
