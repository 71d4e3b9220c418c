"""Tumbling and sliding windows: [start, start + size), starts at the multiples of the hop since the epoch."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from platform_assets.contracts.windows import WindowDefinition
from platform_assets.windows.columns import Ints, Mask
from platform_assets.windows.open_windows import Key, Rows, Slots


class FixedWindows:
    """The open windows of one tumbling or sliding definition; see `open_windows.Windows`."""

    def __init__(self, definition: WindowDefinition, *, parts: bool = False) -> None:
        """With `parts` the values of the rows are mergeable states instead of results."""
        self.definition = definition
        self._slots = Slots(definition, parts=parts)
        # By start, then by key: most batches fall into one or two panes, whose look-up is one call in C.
        self._panes: dict[int, dict[Key, int]] = {}

    def add(self, times_ms: Ints, keys: Sequence[Key], before_ms: Ints, values: Mapping[str, Sequence[Any]]) -> Mask:
        """Count each event in every window that it falls into and is not late for; see `Windows.add`."""
        size, hop, lateness = self.definition.size_ms, self.definition.hop_ms, self.definition.lateness_ms
        late = np.ones(len(times_ms), dtype=np.bool_)
        newest = times_ms // hop * hop
        counted: list[tuple[Ints, Ints | None]] = []
        for step in range(-(-size // hop)):
            starts = newest - step * hop
            in_time = starts + size > np.maximum(times_ms, _reach(before_ms, lateness))
            late &= ~in_time
            if in_time.all():
                counted.append((self._find(starts, keys), None))
            elif in_time.any():
                chosen = np.flatnonzero(in_time)
                counted.append((self._find(starts[chosen], [keys[index] for index in chosen.tolist()]), chosen))
        if counted:
            self._count(counted, values)
        return late

    def changed(self) -> Rows:
        """See `Windows.changed`."""
        return self._slots.rows(self._slots.touched())

    def close(self, watermark_ms: int) -> Rows:
        """See `Windows.close`."""
        size, lateness = self.definition.size_ms, self.definition.lateness_ms
        due = [start for start in self._panes if start + size + lateness <= watermark_ms]
        for start in due:
            del self._panes[start]
        return self._slots.take(self._slots.ending_by(watermark_ms - lateness)) if due else self._slots.nothing

    def closing_span_ms(self) -> tuple[int, int] | None:
        """See `Windows.closing_span_ms`."""
        span = self._slots.end_span_ms()
        lateness = self.definition.lateness_ms
        return None if span is None else (span[0] + lateness, span[1] + lateness)

    def snapshot(self) -> dict[str, Any]:
        """See `Windows.snapshot`."""
        return self._slots.snapshot()

    def restore(self, columns: Mapping[str, Any]) -> None:
        """See `Windows.restore`."""
        for row, (key, start) in enumerate(zip(columns["key"], columns["start_ms"], strict=True)):
            slot = self._open(self._panes.setdefault(int(start), {}), key, int(start))
            self._slots.accumulators.merge_state(slot, columns, row)

    def __len__(self) -> int:
        return sum(map(len, self._panes.values()))

    def _count(self, counted: Sequence[tuple[Ints, Ints | None]], values: Mapping[str, Sequence[Any]]) -> None:
        """Add events: for each step back from the newest window their slots and positions, None for all of them."""
        slots, chosen = counted[0]
        if len(counted) > 1:
            # A window is one step back for this event and two for that: in the order of the steps its sum would
            # depend on where the batch was cut.
            positions = np.concatenate(
                [np.arange(len(slots)) if chosen is None else chosen for slots, chosen in counted]
            )
            order = np.argsort(positions, kind="stable")
            slots, chosen = np.concatenate([slots for slots, _ in counted])[order], positions[order]
        self._slots.accumulators.add(slots, values, chosen)
        self._slots.touch(slots)

    def _find(self, starts: Ints, keys: Sequence[Key]) -> Ints:
        """The slots of these windows; those that are not open yet are opened."""
        first = int(starts[0])
        if (starts == first).all():
            slots = self._slots_of(first, keys)
        else:
            slots = [0] * len(keys)
            panes = self._panes
            for index, (start, key) in enumerate(zip(starts.tolist(), keys, strict=True)):
                pane = panes.get(start)
                if pane is None:
                    pane = panes[start] = {}
                slot = pane.get(key)
                slots[index] = self._open(pane, key, start) if slot is None else slot
        return np.array(slots, dtype=np.int64)

    def _slots_of(self, start: int, keys: Sequence[Key]) -> list[int]:
        pane = self._panes.setdefault(start, {})
        slots: list[Any] = list(map(pane.get, keys))
        if None in slots:
            for index, slot in enumerate(slots):
                if slot is None:
                    key = keys[index]
                    known = pane.get(key)
                    slots[index] = self._open(pane, key, start) if known is None else known
        return slots

    def _open(self, pane: dict[Key, int], key: Key, start: int) -> int:
        slot = pane[key] = self._slots.claim(key, start, start + self.definition.size_ms)
        return slot


def _reach(before_ms: Ints, lateness_ms: int) -> Ints:
    """The latest end of which an event that meets this watermark is late; the first watermark is the least integer."""
    return np.maximum(before_ms, np.iinfo(np.int64).min + lateness_ms) - lateness_ms
