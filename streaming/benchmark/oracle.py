"""What the windows must hold, computed in bulk from the producer's ledger; and how what was found differs from it."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from streaming.benchmark.load import MICROSECONDS, Load, Numbers, quarters_of, user_index

WINDOW = "user_activity_1m"
"""The window under test: 60 s tumbling per user, count and the sum of sales_value."""

WINDOW_MS = 60_000
_AT_ONCE = 500_000

Found = tuple[str, int, int, float]
"""One window as an engine reports it: user, start in ms, count, sum of sales_value."""


@dataclass(frozen=True)
class WindowTable:
    """Count and sum (in quarters) of every user and minute; a row per minute from `first_minute`, a column per user."""

    first_minute: int
    counts: Numbers
    quarters: Numbers


@dataclass(frozen=True)
class Comparison:
    """How found windows differ from the expected ones: windows that differ, and events by which they do."""

    windows: int
    different: int
    events_missing: int
    events_too_many: int

    @property
    def match(self) -> bool:
        """Whether every window is as expected and there is no other."""
        return self.different == 0


def expected_windows(load: Load, events: int, twice: Numbers | None = None) -> WindowTable:
    """The windows of the first `events` events, and once more of those in `twice` (where nothing deduplicates)."""
    users = load.users
    if not events:
        return WindowTable(0, np.zeros((0, users), np.int64), np.zeros((0, users), np.int64))
    ends = load.intended_us(np.array([0, events - 1]))
    first, last = (int(time_us) // (WINDOW_MS * 1000) for time_us in ends)
    cells = (last - first + 1) * users
    counts, quarters = np.zeros(cells, np.int64), np.zeros(cells, np.int64)
    chunks = [np.arange(begin, min(begin + _AT_ONCE, events)) for begin in range(0, events, _AT_ONCE)]
    for numbers in [*chunks, *([] if twice is None else [twice])]:
        minutes = load.intended_us(numbers) // (60 * MICROSECONDS) - first
        cell = minutes * users + load.turns.users_of(numbers)
        counts += np.bincount(cell, minlength=cells)
        quarters += np.bincount(cell, weights=quarters_of(numbers), minlength=cells).astype(np.int64)
    return WindowTable(first, counts.reshape(-1, users), quarters.reshape(-1, users))


def compare(expected: WindowTable, found: Iterable[Found]) -> Comparison:
    """Compare every window that an engine reports, once each, with the expected ones."""
    counts, quarters = np.zeros_like(expected.counts), np.zeros_like(expected.quarters)
    strangers = strange_events = 0
    for user, start_ms, count, total in found:
        place = _place(expected, user, start_ms)
        if place is None:
            strangers += 1
            strange_events += count
        else:
            counts[place] += count
            # A sum that is no whole number of quarters must not be rounded into a right one.
            quarters[place] += int(total * 4) if float(total * 4).is_integer() else -(1 << 40)
    missing = expected.counts - counts
    return Comparison(
        windows=int((expected.counts > 0).sum()),
        different=int(((missing != 0) | (quarters != expected.quarters)).sum()) + strangers,
        events_missing=int(missing[missing > 0].sum()),
        events_too_many=int(-missing[missing < 0].sum()) + strange_events,
    )


def _place(expected: WindowTable, user: str, start_ms: int) -> tuple[int, int] | None:
    minute, rest = divmod(start_ms, WINDOW_MS)
    row = minute - expected.first_minute
    if rest or not 0 <= row < len(expected.counts):
        return None
    try:
        column = user_index(user)
    except (ValueError, TypeError):
        return None
    return (row, column) if 0 <= column < expected.counts.shape[1] else None
