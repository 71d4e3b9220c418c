"""The windows once more, from the landed events, one event after the other: what the stream has to agree with (I5).

Written apart from the engine, in plain Python over rows, so that both are not wrong in the same way. Counts and sums
are compared; the sums of the ledger's events are whole numbers, exact in any order.
"""

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import pyarrow.parquet as pq

from platform_assets.contracts.topics import EVENTS
from platform_assets.contracts.topics import WINDOWS as WINDOWS_TOPIC
from platform_assets.contracts.windows import WINDOWS, AggregateFunction, WindowDefinition, WindowType
from resources.landing_zone import LandingZone

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

Place = tuple[str, int | None, str | None, int]
"""Definition, source partition (None where it is merged over all), key, start in milliseconds."""


@dataclass
class Result:
    """One window: its end, its events and its sums by aggregate."""

    end_ms: int
    count: int
    sums: dict[str, float]


class DifferentResults(AssertionError):
    """Two final results of one window do not say the same."""


def final_results(zone: LandingZone, source_logs: Collection[str]) -> dict[Place, Result]:
    """What the stream said at last of the windows of these incarnations (of the events and of the parts), as landed.

    Raises:
        DifferentResults: a window was told twice, and not the same.
    """
    merged = {found.name for found in WINDOWS if not found.is_partitioned_like_the_topic}
    sums = {found.name: _sum_names(found) for found in WINDOWS}
    results: dict[Place, Result] = {}
    for file in zone.files(WINDOWS_TOPIC.name):
        for row in pq.read_table(zone.root / file.path).to_pylist():
            name = row["window_name"]
            if row["source_log"] not in source_logs:
                continue
            aggregates = json.loads(row["aggregates"])
            result = Result(
                _milliseconds(row["window_end"]), row["event_count"], {found: aggregates[found] for found in sums[name]}
            )
            partition = None if name in merged else row["source_partition"]
            place = (name, partition, row["key"], _milliseconds(row["window_start"]))
            known = results.setdefault(place, result)
            if known != result:
                raise DifferentResults(f"{place} was told as {known} and as {result}")
    return results


@dataclass
class Recomputed:
    """All windows, and those that an event has ended. The stream ends others too, of partitions that fell silent."""

    results: dict[Place, Result]
    ended: set[Place]


def recomputed_results(zone: LandingZone, log: str) -> Recomputed:
    """The windows from the landed events of one incarnation."""
    results: dict[Place, Result] = {}
    watermarks: list[int] = []
    for partition in range(EVENTS.partitions):
        events, reached = _counted_events(zone, log, partition)
        watermarks.append(reached)
        for definition in WINDOWS:
            place = None if not definition.is_partitioned_like_the_topic else partition
            for (key, start), result in _windows(definition, events).items():
                known = results.get((definition.name, place, key, start))
                results[definition.name, place, key, start] = result if known is None else _both(known, result)
    lateness = {found.name: found.lateness_ms for found in WINDOWS}
    ended = {
        place
        for place, result in results.items()
        if result.end_ms + lateness[place[0]] <= (min(watermarks) if place[1] is None else watermarks[place[1]])
    }
    return Recomputed(results, ended)


@dataclass(frozen=True)
class _Event:
    name: str
    user_id: str | None
    payload: dict[str, Any]
    at_ms: int
    watermark_ms: int


def _counted_events(zone: LandingZone, log: str, partition: int) -> tuple[list[_Event], int]:
    """The first copy of every event in the order of the log, with the watermark before it; and the last watermark."""
    columns = ["event_id", "event_name", "user_id", "occurred_at", "received_at", "payload", "kafka_offset"]
    rows: list[dict[str, Any]] = []
    for file in zone.files(EVENTS.name, log):
        if file.partition == partition:
            rows += pq.read_table(zone.root / file.path, columns=columns).to_pylist()
    events: list[_Event] = []
    seen: set[str] = set()
    watermark = -(1 << 62)
    for row in rows:
        at = _milliseconds(row["occurred_at"])
        if row["event_id"] not in seen:
            seen.add(row["event_id"])
            payload = json.loads(row["payload"])
            events.append(_Event(row["event_name"], row["user_id"], payload, at, watermark))
        watermark = max(watermark, min(at, _milliseconds(row["received_at"])))
    return events, watermark


def _windows(definition: WindowDefinition, events: list[_Event]) -> dict[tuple[str | None, int], Result]:
    chosen = [event for event in events if definition.event_names is None or event.name in definition.event_names]
    if definition.window_type is WindowType.SESSION:
        return _sessions(definition, chosen)
    results: dict[tuple[str | None, int], Result] = {}
    for event in chosen:
        start = event.at_ms - event.at_ms % definition.hop_ms
        while start > event.at_ms - definition.size_ms:
            end = start + definition.size_ms
            if end + definition.lateness_ms > event.watermark_ms:
                key = _key(definition, event)
                result = results.setdefault((key, start), _nothing(definition, end))
                results[key, start] = _both(result, _alone(definition, event, end))
            start -= definition.hop_ms
    return results


def _sessions(definition: WindowDefinition, events: list[_Event]) -> dict[tuple[str | None, int], Result]:
    gap = definition.size_ms
    sessions: dict[str | None, list[tuple[int, Result]]] = defaultdict(list)
    for event in events:
        key = _key(definition, event)
        ended = event.watermark_ms - definition.lateness_ms
        near = [
            (start, result)
            for start, result in sessions[key]
            if result.end_ms > ended and start < event.at_ms + gap and event.at_ms < result.end_ms
        ]
        end = max([event.at_ms + gap, *(result.end_ms for _, result in near)])
        if end <= ended:
            continue
        whole = _alone(definition, event, end)
        for found in near:
            sessions[key].remove(found)
            whole = _both(whole, found[1])
        sessions[key].append((min([event.at_ms, *(start for start, _ in near)]), whole))
    return {(key, start): result for key, found in sessions.items() for start, result in found}


def _key(definition: WindowDefinition, event: _Event) -> str | None:
    if definition.key_field == "user_id":
        return event.user_id
    return str(event.payload[definition.key_field])


def _sum_names(definition: WindowDefinition) -> list[str]:
    return [found.name for found in definition.aggregates if found.function is AggregateFunction.SUM]


def _nothing(definition: WindowDefinition, end_ms: int) -> Result:
    return Result(end_ms, 0, dict.fromkeys(_sum_names(definition), 0.0))


def _alone(definition: WindowDefinition, event: _Event, end_ms: int) -> Result:
    fields = {found.name: found.field for found in definition.aggregates}
    return Result(end_ms, 1, {name: event.payload.get(fields[name], 0.0) for name in _sum_names(definition)})


def _both(one: Result, other: Result) -> Result:
    sums = {name: value + other.sums[name] for name, value in one.sums.items()}
    return Result(max(one.end_ms, other.end_ms), one.count + other.count, sums)


def _milliseconds(time: dt.datetime) -> int:
    return (time - _EPOCH) // dt.timedelta(milliseconds=1)
