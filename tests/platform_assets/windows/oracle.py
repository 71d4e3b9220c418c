"""What windows must hold, computed the slow and obvious way from a whole partition of the log.

Written from the semantics of spec/rows.md and of `platform_assets.contracts.windows`, not from the engine:

- The watermark before a record is the greatest min(occurred, received) of all earlier records of the partition,
  repeated ones and ones of other event names included.
- A record is a duplicate of the first one with its id as long as the clock of the partition, the greatest received_at
  so far, has moved on by at most six buckets of 20 s. A duplicate is nothing but a record for the watermark and the
  clock: it counts nowhere, is late nowhere, and does not prolong the first one's time.
- An event is late for a window once the watermark before it has reached the window's end plus the allowed lateness,
  and late for a definition if it is late for all of its windows there; in the others it counts.
- A session lives until its end plus the lateness. An event joins all living sessions of its key that are nearer than
  the gap; one that joins none and would make a session that has ended already is late.
- An event that has no such key field has no window; one whose key field is null has those of the null key.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from platform_assets.contracts.windows import Aggregate, AggregateFunction, WindowDefinition, WindowType

CLOCK_BUCKET_MS = 20_000
HORIZON_BUCKETS = 6


@dataclass(frozen=True)
class Record:
    """One record of a partition; its place in the sequence is its place in the log.

    `fields` are those of the payload and of the envelope.
    """

    offset: int
    event_id: str
    occurred_ms: int
    received_ms: int
    event_name: str
    fields: Mapping[str, Any]


Place = tuple[str, str | None, int, int]
"""Definition, key, start and end of a window.

The end is needed to tell two sessions apart: after [100, 110) of gap 10 has ended, 105 makes one that does not know
of it, and 100 then makes that one [100, 115).
"""


@dataclass
class Window:
    """One window of one key: the events that count in it, in the order of the log."""

    start_ms: int
    end_ms: int
    events: list[Record] = field(default_factory=list)

    def values(self, aggregate: Aggregate) -> list[Any]:
        """The values of the aggregate's field, of the events that have one."""
        found = [event.fields.get(aggregate.field) for event in self.events]
        return [value for value in found if value is not None]


@dataclass
class Expected:
    """What one partition must have produced when its log ends."""

    final: dict[Place, Window] = field(default_factory=dict)
    open: dict[Place, Window] = field(default_factory=dict)
    late: set[tuple[int, str]] = field(default_factory=set)
    duplicates: set[int] = field(default_factory=set)
    watermark_ms: int | None = None


def expected_windows(records: Sequence[Record], definitions: Sequence[WindowDefinition]) -> Expected:
    """Everything that the log of one partition means."""
    watermarks = watermarks_before(records)
    expected = Expected(duplicates=_duplicates(records))
    expected.watermark_ms = watermarks[-1]
    for definition in definitions:
        counted = [
            (record, watermark)
            for record, watermark in zip(records, watermarks, strict=False)
            if record.offset not in expected.duplicates
            and (definition.event_names is None or record.event_name in definition.event_names)
        ]
        by_key: dict[str | None, list[tuple[Record, int | None]]] = defaultdict(list)
        for record, watermark in counted:
            if definition.key_field in record.fields:
                by_key[record.fields[definition.key_field]].append((record, watermark))
        for key, events in by_key.items():
            compute = _sessions if definition.window_type is WindowType.SESSION else _fixed_windows
            windows, late = compute(events, definition)
            expected.late |= {(offset, definition.name) for offset in late}
            for window in windows:
                over = _is_over(window.end_ms, definition, expected.watermark_ms)
                (expected.final if over else expected.open)[definition.name, key, window.start_ms, window.end_ms] = (
                    window
                )
    return expected


def exact(aggregate: Aggregate, values: Sequence[Any]) -> Any:
    """The aggregate without approximation; of no values None, but 0 for a distinct count.

    A quantile is the smallest value that at least this share of the values do not exceed.
    """
    function = aggregate.function
    if function is AggregateFunction.APPROX_DISTINCT:
        # To Python, though not to JSON, True is 1.
        return len({(type(value) is bool, value) for value in values})
    if not values:
        return None
    if function is AggregateFunction.QUANTILE:
        assert aggregate.quantile is not None
        return _quantile(values, aggregate.quantile)
    compute: dict[AggregateFunction, Callable[[Sequence[Any]], Any]] = {
        AggregateFunction.SUM: math.fsum,
        AggregateFunction.MIN: min,
        AggregateFunction.MAX: max,
        AggregateFunction.MEAN: lambda values: math.fsum(values) / len(values),
    }
    return compute[function](values)


def _quantile(values: Sequence[float], share: float) -> float:
    def rank(value: float) -> int:
        return sum(other <= value for other in values)

    return min(value for value in values if rank(value) >= share * len(values) - 1e-9)


def watermarks_before(records: Sequence[Record]) -> list[int | None]:
    """One more than there are records: the last is the one at the end of the log."""
    watermarks: list[int | None] = [None]
    for record in records:
        seen = min(record.occurred_ms, record.received_ms)
        before = watermarks[-1]
        watermarks.append(seen if before is None else max(before, seen))
    return watermarks


def _duplicates(records: Sequence[Record]) -> set[int]:
    duplicates: set[int] = set()
    bucket_of_first: dict[str, int] = {}
    for position, record in enumerate(records):
        clock = max(earlier.received_ms for earlier in records[: position + 1])
        bucket = clock // CLOCK_BUCKET_MS
        first = bucket_of_first.get(record.event_id)
        if first is not None and bucket - first <= HORIZON_BUCKETS:
            duplicates.add(record.offset)
        else:
            bucket_of_first[record.event_id] = bucket
    return duplicates


def _is_over(end_ms: int, definition: WindowDefinition, watermark_ms: int | None) -> bool:
    return watermark_ms is not None and watermark_ms >= end_ms + definition.lateness_ms


def _fixed_windows(
    events: Sequence[tuple[Record, int | None]], definition: WindowDefinition
) -> tuple[list[Window], list[int]]:
    windows: dict[int, Window] = {}
    late = []
    for event, watermark in events:
        counts = False
        for start in _starts(event.occurred_ms, definition.size_ms, definition.hop_ms):
            end = start + definition.size_ms
            if not _is_over(end, definition, watermark):
                windows.setdefault(start, Window(start, end)).events.append(event)
                counts = True
        if not counts:
            late.append(event.offset)
    return list(windows.values()), late


def _starts(occurred_ms: int, size_ms: int, hop_ms: int) -> list[int]:
    """Every multiple of the hop whose window contains the time."""
    around = range(occurred_ms // hop_ms - size_ms // hop_ms - 2, occurred_ms // hop_ms + 2)
    return [number * hop_ms for number in around if number * hop_ms <= occurred_ms < number * hop_ms + size_ms]


def _sessions(
    events: Sequence[tuple[Record, int | None]], definition: WindowDefinition
) -> tuple[list[Window], list[int]]:
    ended: list[Window] = []
    living: list[Window] = []
    late = []
    for event, watermark in events:
        ended += [session for session in living if _is_over(session.end_ms, definition, watermark)]
        living = [session for session in living if not _is_over(session.end_ms, definition, watermark)]
        start, end = event.occurred_ms, event.occurred_ms + definition.size_ms
        near = [session for session in living if session.start_ms < end and start < session.end_ms]
        joined = Window(
            min([start, *(session.start_ms for session in near)]), max([end, *(session.end_ms for session in near)])
        )
        if _is_over(joined.end_ms, definition, watermark):
            late.append(event.offset)
            continue
        joined.events = sorted(
            [event, *(earlier for session in near for earlier in session.events)], key=lambda one: one.offset
        )
        living = [session for session in living if session not in near] + [joined]
    return ended + living, late
