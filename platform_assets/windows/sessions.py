"""Session windows: a key's events that lie less than the gap apart; [first event, last event + gap).

An event at t has the window [t, t + gap). It is merged with every open session of its key that it overlaps; where the
merged one has ended before the watermark, lateness allowed for, the event is late and nothing changes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from platform_assets.contracts.windows import WindowDefinition
from platform_assets.windows.columns import Ints, Mask
from platform_assets.windows.open_windows import Key, Rows, Slots


class _Session:
    __slots__ = ("end_ms", "slot", "start_ms")

    def __init__(self, start_ms: int, end_ms: int, slot: int) -> None:
        self.start_ms = start_ms
        self.end_ms = end_ms
        self.slot = slot


class SessionWindows:
    """The open sessions of one definition; see `open_windows.Windows`."""

    def __init__(self, definition: WindowDefinition, *, parts: bool = False) -> None:
        """With `parts` the values of the rows are mergeable states instead of results."""
        self.definition = definition
        self._slots = Slots(definition, parts=parts)
        self._sessions: dict[Key, list[_Session]] = {}
        # Sessions that ended in the middle of a batch; nothing merges with them any more.
        self._ended: list[int] = []
        self._withdrawn: list[tuple[Key, int, int]] = []

    def add(self, times_ms: Ints, keys: Sequence[Key], before_ms: Ints, values: Mapping[str, Sequence[Any]]) -> Mask:
        """See `Windows.add`. One event after the other: what an event joins depends on those before it."""
        late = np.zeros(len(times_ms), dtype=np.bool_)
        batch = _Pending(self._slots, values)
        gap, lateness = self.definition.size_ms, self.definition.lateness_ms
        for index, (time, key, before) in enumerate(zip(times_ms.tolist(), keys, before_ms.tolist(), strict=True)):
            reached = before - lateness
            sessions = self._sessions.get(key)
            if sessions is not None:
                if any(session.end_ms <= reached for session in sessions):
                    sessions = self._end(key, sessions, reached)
                joined = [session for session in sessions if session.start_ms < time + gap and time < session.end_ms]
            else:
                joined = []
            end = max([time + gap, *[session.end_ms for session in joined]])
            if end <= reached:
                late[index] = True
                continue
            if not joined:
                session = _Session(time, end, self._slots.claim(key, time, end))
                self._sessions.setdefault(key, []).append(session)
            else:
                session = self._join(key, joined, batch)
                session.end_ms = end
                if time < session.start_ms:
                    self._withdraw(key, session)
                    session.start_ms = time
            batch.add(index, session)
        batch.apply()
        return late

    def changed(self) -> Rows:
        """See `Windows.changed`."""
        rows = self._slots.rows(self._slots.touched())
        withdrawn, self._withdrawn = self._withdrawn, []
        return rows if not withdrawn else _withdrawn(withdrawn, len(rows.values)).followed_by(rows)

    def close(self, watermark_ms: int) -> Rows:
        """See `Windows.close`."""
        limit = watermark_ms - self.definition.lateness_ms
        slots = self._slots.ending_by(limit)
        ended = set(self._ended)
        for slot in slots.tolist():
            if slot not in ended:
                key = self._slots.keys[slot]
                self._keep(key, [session for session in self._sessions[key] if session.slot != slot])
        self._ended = []
        return self._slots.take(slots)

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
        ranges = zip(columns["key"], columns["start_ms"], columns["end_ms"], strict=True)
        for row, (key, start, end) in enumerate(ranges):
            session = _Session(int(start), int(end), self._slots.claim(key, int(start), int(end)))
            self._sessions.setdefault(key, []).append(session)
            self._slots.accumulators.merge_state(session.slot, columns, row)

    def __len__(self) -> int:
        return sum(map(len, self._sessions.values())) + len(self._ended)

    def _end(self, key: Key, sessions: list[_Session], reached_ms: int) -> list[_Session]:
        self._ended += [session.slot for session in sessions if session.end_ms <= reached_ms]
        left = [session for session in sessions if session.end_ms > reached_ms]
        self._keep(key, left)
        return left

    def _join(self, key: Key, joined: list[_Session], batch: "_Pending") -> _Session:
        """One session of several, the earliest of them with what the others held."""
        if len(joined) == 1:
            return joined[0]
        # What is pending belongs to the sums from before the merge: the order of additions stays that of the log.
        batch.apply()
        joined.sort(key=lambda session: session.start_ms)
        first, *others = joined
        for other in others:
            self._withdraw(key, other)
            self._slots.merge(other.slot, first.slot)
        self._keep(key, [session for session in self._sessions[key] if session not in others])
        return first

    def _withdraw(self, key: Key, session: _Session) -> None:
        """Its start is no longer one: readers that know it by that are told that nothing is left of it."""
        self._withdrawn.append((key, session.start_ms, session.end_ms))

    def _keep(self, key: Key, left: list[_Session]) -> None:
        if left:
            self._sessions[key] = left
        else:
            del self._sessions[key]


class _Pending:
    """Events of a batch that know their session and are not added up yet."""

    def __init__(self, slots: Slots, values: Mapping[str, Sequence[Any]]) -> None:
        self._slots = slots
        self._values = values
        self._indices: list[int] = []
        self._sessions: list[_Session] = []

    def add(self, index: int, session: _Session) -> None:
        self._indices.append(index)
        self._sessions.append(session)

    def apply(self) -> None:
        if not self._indices:
            return
        slots = np.array([session.slot for session in self._sessions], dtype=np.int64)
        self._slots.accumulators.add(slots, self._values, np.array(self._indices, dtype=np.int64))
        self._slots.starts_ms[slots] = [session.start_ms for session in self._sessions]
        self._slots.ends_ms[slots] = [session.end_ms for session in self._sessions]
        self._slots.touch(slots)
        self._indices, self._sessions = [], []


def _withdrawn(windows: Sequence[tuple[Key, int, int]], columns: int) -> Rows:
    keys, starts, ends = zip(*windows, strict=True)
    return Rows(list(keys), list(starts), list(ends), [0] * len(windows), [[None] * len(windows)] * columns)
