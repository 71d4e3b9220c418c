"""`WindowedProcessor` of the public API: the worker's window engine, one event at a time, in the caller's process."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from platform_assets.contracts.events import ENVELOPE_FIELDS, Event
from platform_assets.contracts.windows import Aggregate, WindowDefinition, WindowType
from platform_assets.windows.columns import MISSING, Hashes, Ints
from platform_assets.windows.engine import PartitionWindows
from platform_assets.windows.open_windows import Rows
from streaming.id_hashes import hash_ids

_FIELDS = frozenset(ENVELOPE_FIELDS) - {"payload"}


class UnknownKey(ValueError):
    """An event has a window's key field neither in its payload nor in its envelope."""


@dataclass(frozen=True)
class WindowResult:
    """One window of one key: [start_ms, end_ms) in milliseconds since the epoch. A final result never changes."""

    window: str
    key: str | None
    start_ms: int
    end_ms: int
    count: int
    aggregates: Mapping[str, Any]
    is_final: bool


class WindowedProcessor:
    """Windows over events that are handed in, by event time.

    >>> processor = WindowedProcessor()
    >>> processor.define_window(key_field="user_id", window_type=WindowType.TUMBLING, size_ms=60_000)
    """

    def __init__(self, *, deduplicate: bool = True) -> None:
        """With `deduplicate` an event id that was seen within the last two minutes counts once."""
        self._deduplicate = deduplicate
        self._definitions: dict[str, WindowDefinition] = {}
        self._engine: PartitionWindows | None = None
        self._offsets = itertools.count()
        self.late_events: list[tuple[Event, tuple[str, ...]]] = []
        """Events that came too late, each with the names of the windows that it is not counted in."""

    def define_window(
        self,
        key_field: str,
        window_type: WindowType,
        size_ms: int,
        *,
        slide_ms: int | None = None,
        lateness_ms: int = 0,
        aggregates: Sequence[Aggregate] = (),
        name: str | None = None,
    ) -> WindowDefinition:
        """Add a window; `key_field` is looked up in the payload, then in the envelope.

        Raises:
            ValueError: a size or slide makes no sense, or the name is taken.
            RuntimeError: the processor has started; windows that join later would begin in the middle.
        """
        if self._engine is not None:
            raise RuntimeError("Windows are defined before start()")
        definition = WindowDefinition(
            name=name or f"{key_field}_{window_type.value}_{size_ms}ms",
            key_field=key_field,
            window_type=window_type,
            size_ms=size_ms,
            slide_ms=slide_ms,
            lateness_ms=lateness_ms,
            aggregates=tuple(aggregates),
        )
        if definition.name in self._definitions:
            raise ValueError(f"There is a window named {definition.name} already; give this one another name.")
        self._definitions[definition.name] = definition
        return definition

    async def start(self) -> None:
        """Begin with empty windows."""
        self._engine = PartitionWindows(list(self._definitions.values()), deduplicate=self._deduplicate)

    async def process_event(self, event: Event) -> list[WindowResult]:
        """Take one event; returns the windows that it changed, then those that it ended.

        Raises:
            UnknownKey: a window's key field is neither in the payload nor in the envelope; nothing is counted.
            RuntimeError: the processor has not started.
        """
        return await self.process_events([event])

    async def process_events(self, events: Sequence[Event]) -> list[WindowResult]:
        """As `process_event`, for several at once, in their order. A window that several change is told once."""
        if self._engine is None:
            raise RuntimeError("The processor has not started; await start() first")
        for definition in self._definitions.values():
            for event in events:
                if _value(event, definition.key_field) is MISSING:
                    raise UnknownKey(
                        f"Event {event.event_id} has no {definition.key_field}, the key of window {definition.name}: "
                        "neither its payload nor the envelope has a field of that name"
                    )
        taken = self._engine.process(_EventColumns(events, [next(self._offsets) for _ in events]))
        self.late_events += [(events[index], names) for index, names in taken.late.items()]
        return self._results()

    async def stop(self) -> list[WindowResult]:
        """End the windows that are open and return their results, which are final; `start` begins anew."""
        if self._engine is None:
            return []
        open_ = self._results()
        span = self._engine.closing_span_ms()
        if span is not None:
            self._engine.watermark.advance_to(span[1])
        ended = self._results()
        self._engine = None
        return [result for result in open_ if result.is_final] + ended

    def _results(self) -> list[WindowResult]:
        if self._engine is None:
            return []
        results = self._engine.collect()
        told = ((results.changed, False), (results.closed, True))
        return [
            result
            for by_name, is_final in told
            for name, rows in by_name.items()
            for result in self._as_results(name, rows, is_final=is_final)
        ]

    def _as_results(self, name: str, rows: Rows, *, is_final: bool) -> list[WindowResult]:
        names = self._definitions[name].aggregate_names
        return [
            WindowResult(name, key, start, end, count, dict(zip(names, values, strict=True)), is_final)
            for key, start, end, count, *values in rows.as_tuples()
        ]


class _EventColumns:
    """Events in memory behind the engine's `EventColumns`."""

    def __init__(self, events: Sequence[Event], offsets: Sequence[int]) -> None:
        self._events = events
        self.offsets: Ints = np.array(offsets, dtype=np.int64)
        self.occurred_ms: Ints = np.array([_milliseconds(event.occurred_at) for event in events], dtype=np.int64)
        self.received_ms: Ints = np.array([_milliseconds(event.received_at) for event in events], dtype=np.int64)
        self.id_hashes: Hashes = hash_ids(pa.array([event.event_id for event in events], pa.string()))
        self.event_names: Sequence[str] = [event.event_name for event in events]
        self.distinct_event_names = frozenset(self.event_names)

    def values(self, field: str, event_names: frozenset[str] | None) -> Sequence[Any]:
        return [_value(event, field) for event in self._events]


def _value(event: Event, field: str) -> Any:
    if field in event.payload:
        return event.payload[field]
    if field not in _FIELDS:
        return MISSING
    value = getattr(event, field)
    return value if value is None or type(value) in (str, int) else msgspec.to_builtins(value)


def _milliseconds(time: Any) -> int:
    return int(time.timestamp() * 1_000_000) // 1000
