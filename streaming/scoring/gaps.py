"""Tells batches that were lost on the way from records that the log does not have any more."""

import logging

_log = logging.getLogger(__name__)


class Gaps:
    """The last batch of each partition that did not follow on the position.

    The consumer is sought back for it. Where the fetch from the position then begins with the same batch, retention
    took what was before it; a batch that was merely lost on the way comes before it this time.
    """

    def __init__(self) -> None:
        self._seen: dict[int, tuple[int, int]] = {}

    def is_for_good(self, partition: int, position: int, start: int) -> bool:
        """Whether the records from the position to the start of this batch will never come."""
        if self._seen.get(partition) != (position, start):
            self._seen[partition] = (position, start)
            return False
        _log.warning("records_missing partition=%d from=%d to=%d; the log does not have them any more",
                     partition, position, start)  # fmt: skip
        return True
