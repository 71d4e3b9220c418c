"""What both kinds of windows, fixed and sessions, have in common: slots with a key, a start and an end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from platform_assets.contracts.windows import WindowDefinition
from platform_assets.windows.accumulators import Accumulators
from platform_assets.windows.columns import Ints, Mask

Key = str | None


@dataclass(frozen=True)
class Rows:
    """Results of windows as columns; `values` has a column per aggregate."""

    keys: list[Key]
    starts_ms: list[int]
    ends_ms: list[int]
    counts: list[int]
    values: list[list[Any]]

    def __len__(self) -> int:
        return len(self.keys)

    def followed_by(self, others: "Rows") -> "Rows":
        """These, then others of the same definition."""
        return Rows(
            self.keys + others.keys,
            self.starts_ms + others.starts_ms,
            self.ends_ms + others.ends_ms,
            self.counts + others.counts,
            [mine + theirs for mine, theirs in zip(self.values, others.values, strict=True)],
        )

    def as_tuples(self) -> list[tuple[Any, ...]]:
        """(key, start_ms, end_ms, count, *values) per window, as `WindowUpdates.rows` has them."""
        return list(zip(self.keys, self.starts_ms, self.ends_ms, self.counts, *self.values, strict=True))


class Windows(Protocol):
    """The open windows of one definition on one partition."""

    definition: WindowDefinition

    def add(self, times_ms: Ints, keys: Sequence[Key], before_ms: Ints, values: Mapping[str, Sequence[Any]]) -> Mask:
        """Take events in log order, each with the watermark before it; returns which were late for every window."""
        ...

    def changed(self) -> Rows:
        """Windows that have changed since the last call; a count of 0 withdraws one whose start has moved."""
        ...

    def close(self, watermark_ms: int) -> Rows:
        """The windows whose end, plus the allowed lateness, the watermark has reached; they are forgotten."""
        ...

    def closing_span_ms(self) -> tuple[int, int] | None:
        """The watermarks that would close the first and the last of the open windows; None where none is open."""
        ...

    def snapshot(self) -> dict[str, Any]:
        """The open windows as columns of one row per window."""
        ...

    def restore(self, columns: Mapping[str, Any]) -> None:
        """Take up the windows of a snapshot; to be called on fresh windows."""
        ...

    def __len__(self) -> int: ...


class Slots:
    """Keys, starts and ends of the open windows, beside their accumulators."""

    def __init__(self, definition: WindowDefinition, *, parts: bool = False) -> None:
        self._parts = parts
        self.accumulators = Accumulators(definition.aggregates)
        capacity = self.accumulators.capacity
        self.keys: list[Key] = [None] * capacity
        self.starts_ms = np.zeros(capacity, dtype=np.int64)
        self.ends_ms = np.zeros(capacity, dtype=np.int64)
        self._touched = np.zeros(capacity, dtype=np.bool_)
        self._open = np.zeros(capacity, dtype=np.bool_)
        self.nothing = self._rows(np.empty(0, dtype=np.int64))
        """The rows of no window."""

    def claim(self, key: Key, start_ms: int, end_ms: int) -> int:
        """Open a window."""
        slot = self.accumulators.claim()
        if self.accumulators.capacity > len(self.keys):
            self._grow()
        self.keys[slot] = key
        self.starts_ms[slot] = start_ms
        self.ends_ms[slot] = end_ms
        self._open[slot] = True
        return slot

    def touch(self, slots: Ints) -> None:
        """Note that these have changed."""
        self._touched[slots] = True

    def touched(self) -> Ints:
        """The open slots that have changed since the last call."""
        slots: Ints = np.flatnonzero(self._touched)
        self._touched[slots] = False
        return slots

    def merge(self, source: int, target: int) -> None:
        """Add what one window holds to another, and forget the one."""
        one = np.array([source])
        self.accumulators.merge_state(target, self.accumulators.state(one), 0)
        self.free(one)

    def free(self, slots: Ints) -> None:
        """Forget windows."""
        self._touched[slots] = False
        self._open[slots] = False
        for slot in slots.tolist():
            self.keys[slot] = None
        self.accumulators.free(slots)

    def open(self) -> Ints:
        """Every open slot."""
        slots: Ints = np.flatnonzero(self._open)
        return slots

    def end_span_ms(self) -> tuple[int, int] | None:
        """The first and the last end of the open windows; None where none is open."""
        ends = self.ends_ms[self._open]
        return (int(ends.min()), int(ends.max())) if len(ends) else None

    def ending_by(self, limit_ms: int) -> Ints:
        """The open slots whose end is at or before a time, by start."""
        slots = np.flatnonzero(self._open & (self.ends_ms <= limit_ms))
        ordered: Ints = slots[np.argsort(self.starts_ms[slots], kind="stable")]
        return ordered

    def rows(self, slots: Ints) -> Rows:
        """What these windows hold."""
        # Every pass asks three definitions twice, and mostly nothing has ended and one has changed.
        return self._rows(slots) if len(slots) else self.nothing

    def take(self, slots: Ints) -> Rows:
        """What these windows hold, which are forgotten."""
        if not len(slots):
            return self.nothing
        rows = self._rows(slots)
        self.free(slots)
        return rows

    def _rows(self, slots: Ints) -> Rows:
        chosen = slots.tolist()
        keys = self.keys
        return Rows(
            [keys[slot] for slot in chosen],
            self.starts_ms[slots].tolist(),
            self.ends_ms[slots].tolist(),
            self.accumulators.events[slots].tolist(),
            self.accumulators.parts(slots) if self._parts else self.accumulators.results(slots),
        )

    def snapshot(self) -> dict[str, Any]:
        """Every open window as columns."""
        slots = self.open()
        return {
            "key": [self.keys[slot] for slot in slots.tolist()],
            "start_ms": self.starts_ms[slots],
            "end_ms": self.ends_ms[slots],
            **self.accumulators.state(slots),
        }

    def _grow(self) -> None:
        added = self.accumulators.capacity - len(self.keys)
        self.keys.extend([None] * added)
        self.starts_ms = np.concatenate([self.starts_ms, np.zeros(added, dtype=np.int64)])
        self.ends_ms = np.concatenate([self.ends_ms, np.zeros(added, dtype=np.int64)])
        self._touched = np.concatenate([self._touched, np.zeros(added, dtype=np.bool_)])
        self._open = np.concatenate([self._open, np.zeros(added, dtype=np.bool_)])
