"""Windows on another key than the log's: the parts that each source partition has of a window become one result.

A source partition publishes the cumulative state of its part, not what was added to it. The newest state of a
(partition, key, start) is all there is to know of it: repeated or older news change nothing, and a source that was
restored from a checkpoint may publish again whatever it did before. Parts are added in the order of the partitions,
which makes sums equal to the last bit in every pass.

A window closes at the smallest watermark of the source partitions that are not idle. An idle source says so again and
again, and each time it lets go of what the others had reached when it last said it: an event that came to all of them
at once has woken it by then, and a source that has died says nothing. What is closed stays closed: a source that wakes
up further back does not take the watermark back with it. Sessions of a key are joined
where parts of them overlap; they wait for another gap before they close, since until then a source may still begin one
that overlaps. So which parts meet does not depend on whose news came first, but for one case: an event that is older
than the gap and still in time, because its own partition has an open session near it, reaches further back than that.
It counts once all the same, in the session that is open when its news come.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from platform_assets.contracts.windows import WindowDefinition, WindowType
from platform_assets.windows.accumulators import Accumulators
from platform_assets.windows.open_windows import Key, Rows
from platform_assets.windows.watermark import BEFORE_ALL

State = Mapping[str, Any]
"""One row of `Accumulators.state`."""


@dataclass(frozen=True)
class Part:
    """What one source partition has of one window as of `next_offset`; a state without events withdraws it.

    A final part does not change any more; a session that begins at the same start afterwards is another part.
    """

    key: Key
    start_ms: int
    end_ms: int
    next_offset: int
    state: State
    is_final: bool = False


@dataclass
class Source:
    """How far one source partition is.

    An idle one lets others go as far as `lets_go_ms`, and after its next word as far as `will_let_go_ms`.
    """

    next_offset: int = -1
    watermark_ms: int = int(BEFORE_ALL)
    is_idle: bool = False
    lets_go_ms: int = int(BEFORE_ALL)
    will_let_go_ms: int = int(BEFORE_ALL)


@dataclass(frozen=True)
class MergeSnapshot:
    """The state of a `MergedWindows`: the sources by partition, (partition, part) pairs, and the watermark."""

    sources: Mapping[int, Source]
    parts: list[tuple[int, Part]]
    watermark_ms: int


_Place = tuple[int, int, int]
"""Start, source partition, and the end of a final part; parts that may change have none."""
_MAY_CHANGE = np.iinfo(np.int64).max


@dataclass(frozen=True)
class _Window:
    end_ms: int
    parts: tuple[tuple[_Place, Part], ...]


class MergedWindows:
    """The open windows of one definition over all source partitions. Not safe to share between threads."""

    def __init__(self, definition: WindowDefinition, source_partitions: int) -> None:
        self.definition = definition
        self._sources = {partition: Source() for partition in range(source_partitions)}
        self.watermark_ms = int(BEFORE_ALL)
        """The greatest that the smallest watermark of the sources that are not idle has been."""
        self._parts: dict[Key, dict[_Place, Part]] = {}
        self._touched: set[Key] = set()
        # What readers have been told of each key, by start.
        self._windows: dict[Key, dict[int, _Window]] = {}
        self._first_end_ms: int | None = None
        is_session = definition.window_type is WindowType.SESSION
        self._wait_ms = definition.lateness_ms + (definition.size_ms if is_session else 0)

    def __len__(self) -> int:
        return sum(map(len, self._windows.values()))

    def take(self, partition: int, parts: Iterable[Part]) -> list[Part]:
        """Take news of a source partition.

        Returns:
            The parts of windows that are closed: they are in no result, and were not known before.
        """
        source = self._sources[partition]
        reached = self.watermark_ms - self._wait_ms
        late: list[Part] = []
        for part in parts:
            # Published once more after a crash. Taken again, a session that another one has swallowed since would come
            # back beside it. Silence alone makes a part final, at the offset that it had.
            if part.next_offset < source.next_offset or (part.next_offset == source.next_offset and not part.is_final):
                continue
            held = self._parts.get(part.key, {})
            place = (part.start_ms, partition, part.end_ms if part.is_final else _MAY_CHANGE)
            before = held.get((part.start_ms, partition, _MAY_CHANGE))
            if before is not None and before.next_offset > part.next_offset:
                continue
            if before is None and place not in held and part.end_ms <= reached:
                if part.state["events"] and part.next_offset > source.next_offset:
                    late.append(part)
                continue
            if part.is_final and before is not None:
                del held[part.start_ms, partition, _MAY_CHANGE]
            if part.state["events"]:
                self._parts.setdefault(part.key, held)[place] = part
            else:
                held.pop(place, None)
            self._touched.add(part.key)
        return late

    def advance(self, partition: int, next_offset: int, watermark_ms: int, is_idle: bool) -> None:
        """All parts that a source partition had as of `next_offset` have been taken."""
        source = self._sources[partition]
        if next_offset < source.next_offset:
            return
        source.next_offset = next_offset
        source.watermark_ms = max(source.watermark_ms, watermark_ms)
        was_idle, source.is_idle = source.is_idle, is_idle
        awake = [other.watermark_ms for other in self._sources.values() if not other.is_idle]
        # Where all are idle nobody holds the furthest of them up.
        reached = min(awake) if awake else max(other.watermark_ms for other in self._sources.values())
        if is_idle:
            source.lets_go_ms = source.will_let_go_ms if was_idle else int(BEFORE_ALL)
            source.will_let_go_ms = reached
        let_go = [other.lets_go_ms for other in self._sources.values() if other.is_idle]
        self.watermark_ms = max(self.watermark_ms, min([reached, *let_go]))

    def collect(self) -> tuple[Rows, Rows]:
        """The windows that have changed, and the final results, since the last call; ended windows are forgotten.

        A changed row with a count of 0 withdraws a session whose start has moved.
        """
        changed: list[tuple[Any, ...]] = []
        for key in self._touched:
            before, now = self._windows.get(key, {}), dict(self._windows_of(key))
            changed += [(key, start, before[start].end_ms, None) for start in before.keys() - now.keys()]
            changed += [
                (key, start, window.end_ms, window) for start, window in now.items() if window != before.get(start)
            ]
            if now:
                self._windows[key] = now
            else:
                self._windows.pop(key, None)
        if self._touched:
            self._first_end_ms = self._smallest_end()
        self._touched.clear()
        closed = self._close()
        gone = {(key, start) for key, start, _, _ in closed}
        return self._rows([row for row in changed if row[:2] not in gone]), self._rows(closed)

    def end(self) -> Rows:
        """Every open window as it stands, as final results, since nothing more can come; all are forgotten."""
        windows = [
            (key, start, window.end_ms, window) for key in self._parts for start, window in self._windows_of(key)
        ]
        rows = self._rows(windows)
        self._parts, self._windows, self._touched, self._first_end_ms = {}, {}, set(), None
        return rows

    def snapshot(self) -> MergeSnapshot:
        """A copy of the state; what happens afterwards does not change it."""
        return MergeSnapshot(
            {partition: Source(**vars(source)) for partition, source in self._sources.items()},
            [(partition, part) for held in self._parts.values() for (_, partition, _), part in held.items()],
            self.watermark_ms,
        )

    def restore(self, snapshot: MergeSnapshot) -> None:
        """Take up a snapshot; to be called on fresh windows. Readers are told all open windows again."""
        self._sources.update(snapshot.sources)
        self.watermark_ms = snapshot.watermark_ms
        for partition, part in snapshot.parts:
            place = (part.start_ms, partition, part.end_ms if part.is_final else _MAY_CHANGE)
            self._parts.setdefault(part.key, {})[place] = part
            self._touched.add(part.key)

    def _windows_of(self, key: Key) -> Iterator[tuple[int, _Window]]:
        held = sorted(self._parts.get(key, {}).items(), key=lambda item: item[0])
        is_session = self.definition.window_type is WindowType.SESSION
        start = end = 0
        group: list[tuple[_Place, Part]] = []
        for place, part in held:
            if group and (place[0] < end if is_session else place[0] == start):
                group.append((place, part))
                end = max(end, part.end_ms)
                continue
            if group:
                yield start, _Window(end, tuple(group))
            start, end, group = place[0], part.end_ms, [(place, part)]
        if group:
            yield start, _Window(end, tuple(group))

    def _close(self) -> list[tuple[Any, ...]]:
        limit = self.watermark_ms - self._wait_ms
        if self._first_end_ms is None or self._first_end_ms > limit:
            return []
        closed: list[tuple[Any, ...]] = []
        for key, windows in list(self._windows.items()):
            for start in [start for start, window in windows.items() if window.end_ms <= limit]:
                window = windows.pop(start)
                closed.append((key, start, window.end_ms, window))
                for place, _ in window.parts:
                    del self._parts[key][place]
            if not windows:
                del self._windows[key]
                del self._parts[key]
        self._first_end_ms = self._smallest_end()
        return closed

    def _smallest_end(self) -> int | None:
        return min((window.end_ms for windows in self._windows.values() for window in windows.values()), default=None)

    def _rows(self, windows: list[tuple[Any, ...]]) -> Rows:
        results = [self._result(window) for _, _, _, window in windows]
        return Rows(
            [key for key, _, _, _ in windows],
            [start for _, start, _, _ in windows],
            [end for _, _, end, _ in windows],
            [count for count, _ in results],
            [[values[column] for _, values in results] for column in range(len(self.definition.aggregates))],
        )

    def _result(self, window: _Window | None) -> tuple[int, list[Any]]:
        if window is None:
            return 0, [None] * len(self.definition.aggregates)
        merged = Accumulators(self.definition.aggregates, slots=1)
        slot = merged.claim()
        for _, part in sorted(window.parts, key=lambda item: (item[0][1], item[0])):
            merged.merge_state(slot, {name: [value] for name, value in part.state.items()}, 0)
        slots = np.array([slot])
        return int(merged.events[slot]), [column[0] for column in merged.results(slots)]
