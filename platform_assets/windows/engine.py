"""All windows of one partition: deduplication, the watermark, and every definition's open windows.

    engine = PartitionWindows(definitions)
    engine.process(columns)                # a micro-batch, of any length
    results = engine.collect()             # changes and final results since the last call
    saved = engine.snapshot()              # as of the last record processed
    PartitionWindows(definitions).restore(saved)

What comes out depends on the records and their order alone, not on how the log is cut into batches, nor on when.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from platform_assets.contracts.windows import WindowDefinition, WindowType
from platform_assets.windows.columns import MISSING, EventColumns, Ints, Mask, Missing, key_text
from platform_assets.windows.deduplication import SeenIds
from platform_assets.windows.fixed import FixedWindows
from platform_assets.windows.open_windows import Key, Rows, Windows
from platform_assets.windows.sessions import SessionWindows
from platform_assets.windows.watermark import BEFORE_ALL, Watermark


@dataclass(frozen=True)
class Taken:
    """What was not counted of a batch.

    `late` holds positions within the batch and the definitions that the event is late for, `late_watermarks_ms` the
    watermark that each of them met.
    """

    late: Mapping[int, tuple[str, ...]]
    late_watermarks_ms: Mapping[int, int]
    duplicates: int = 0


@dataclass(frozen=True)
class Results:
    """By the name of the definition: the windows that are open and have changed, and the final results."""

    changed: Mapping[str, Rows]
    closed: Mapping[str, Rows]


@dataclass(frozen=True)
class Snapshot:
    """The state of a partition's windows, arrays and lists only. Ids that were seen are kept apart, see `SeenIds`.

    `windows` has per definition the columns of `Windows.snapshot`; `clock_ms` is the clock of deduplication.
    """

    watermark_ms: int
    windows: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    clock_ms: int = int(BEFORE_ALL)


class PartitionWindows:
    """The windows of one partition. Not safe to share between threads."""

    def __init__(
        self,
        definitions: Sequence[WindowDefinition],
        *,
        deduplicate: bool = True,
        parts_of: frozenset[str] = frozenset(),
        keeps_unsaved_ids: bool = False,
    ) -> None:
        """The results of the definitions named in `parts_of` are states to be merged, see `merging`."""
        self.watermark = Watermark()
        self.seen: SeenIds | None = SeenIds(keeps_unsaved=keeps_unsaved_ids) if deduplicate else None
        self._windows: dict[str, Windows] = {
            definition.name: new_windows(definition, parts=definition.name in parts_of) for definition in definitions
        }

    def process(self, records: EventColumns) -> Taken:
        """Take the next records of the partition."""
        before = self.watermark.advance(records.occurred_ms, records.received_ms)
        first: Mask | None = None
        if self.seen is not None:
            first = self.seen.first_sightings(records.id_hashes, records.received_ms)
            if first.all():
                first = None
        late: dict[int, list[str]] = {}
        for name, windows in self._windows.items():
            for index in _add(windows, records, before, first):
                late.setdefault(index, []).append(name)
        return Taken(
            {index: tuple(names) for index, names in late.items()},
            {index: int(before[index]) for index in late},
            0 if first is None else int(len(first) - np.count_nonzero(first)),
        )

    def collect(self, names: Collection[str] | None = None) -> Results:
        """What has changed and what has ended since the last call; ended windows are forgotten.

        To be called as often as readers want to know, for some definitions or for all. Late events are told by the
        watermark, not by what has been closed.
        """
        closed: dict[str, Rows] = {}
        changed: dict[str, Rows] = {}
        for name in self._windows if names is None else names:
            windows = self._windows[name]
            ended = windows.close(self.watermark.value_ms)
            if ended.keys:
                closed[name] = ended
            rows = windows.changed()
            if rows.keys:
                changed[name] = rows
        return Results(changed, closed)

    def idle_target_ms(self, reached_ms: int) -> int | None:
        """How far the watermark may go while nothing comes; `reached_ms` is where the clock would have taken it.

        It moves only where that closes a window, and never further than closes the windows that are open: a stream
        replayed from the past and interrupted finds its later windows untouched.

        Returns:
            The watermark to advance to, or None.
        """
        span = self.closing_span_ms()
        return None if span is None or reached_ms < span[0] else min(reached_ms, span[1])

    def closing_span_ms(self) -> tuple[int, int] | None:
        """The watermarks that would close the first and the last of the open windows; None where none is open."""
        spans = [found for windows in self._windows.values() if (found := windows.closing_span_ms()) is not None]
        return (min(first for first, _ in spans), max(last for _, last in spans)) if spans else None

    @property
    def open_count(self) -> int:
        """Windows that are open."""
        return sum(map(len, self._windows.values()))

    def snapshot(self) -> Snapshot:
        """A copy of the state; what happens afterwards does not change it."""
        return Snapshot(
            self.watermark.value_ms,
            {name: windows.snapshot() for name, windows in self._windows.items()},
            int(BEFORE_ALL) if self.seen is None else self.seen.clock_ms,
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Take up a snapshot; to be called on a fresh engine. Definitions that it does not hold start empty."""
        self.watermark.advance_to(snapshot.watermark_ms)
        if self.seen is not None:
            self.seen.advance_to(snapshot.clock_ms)
        for name, columns in snapshot.windows.items():
            self._windows[name].restore(columns)


def new_windows(definition: WindowDefinition, *, parts: bool = False) -> Windows:
    """The open windows of a definition; none yet."""
    kind = SessionWindows if definition.window_type is WindowType.SESSION else FixedWindows
    return kind(definition, parts=parts)


def _add(windows: Windows, records: EventColumns, before_ms: Ints, first: Mask | None) -> list[int]:
    """Add a batch to the windows of one definition; returns the positions of events that are late for it."""
    definition = windows.definition
    names = definition.event_names
    if names is not None and names.isdisjoint(records.distinct_event_names):
        return []
    keys: Sequence[Any] = records.values(definition.key_field, names)
    if not keys:
        return []
    kinds = set(map(type, keys))
    if not kinds <= {str, type(None)}:
        keys = [key_text(key) for key in keys]
        kinds = set(map(type, keys))
    chosen = first
    if names is not None and not names >= records.distinct_event_names:
        named = np.fromiter((name in names for name in records.event_names), dtype=np.bool_, count=len(keys))
        chosen = named if chosen is None else chosen & named
    if Missing in kinds:
        there = np.fromiter((key is not MISSING for key in keys), dtype=np.bool_, count=len(keys))
        chosen = there if chosen is None else chosen & there
    values = {aggregate.field: records.values(aggregate.field, names) for aggregate in definition.aggregates}
    times = records.occurred_ms
    if chosen is None or chosen.all():
        return _late_positions(windows.add(times, keys, before_ms, values), None)
    positions: Ints = np.flatnonzero(chosen)
    if not len(positions):
        return []
    picked = positions.tolist()
    late = windows.add(
        times[positions],
        _pick(keys, picked),
        before_ms[positions],
        {name: _pick(column, picked) for name, column in values.items()},
    )
    return _late_positions(late, positions)


def _pick(column: Sequence[Any], positions: list[int]) -> list[Key]:
    return [column[position] for position in positions]


def _late_positions(late: Mask, positions: Ints | None) -> list[int]:
    if not late.any():
        return []
    found = np.flatnonzero(late) if positions is None else positions[late]
    return list(found.tolist())
