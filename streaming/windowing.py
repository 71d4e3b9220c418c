"""The windows of the events topic: one engine per partition, its news as records, its state as checkpoints.

Plain and synchronous; all calls come from one thread. Windows on the topic's own key become records of `windows.v1`;
of those on another key each partition has a part, which goes to `windows.partials.v1` to be merged (`merging`).
"""

import math
import time
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from platform_assets.contracts.topics import EVENTS, LATE, PARTIALS, WINDOWS
from platform_assets.contracts.windows import (
    LateEvent,
    PartUpdates,
    UpdateKind,
    WindowDefinition,
    WindowUpdates,
    encode_late,
    encode_parts,
    encode_updates,
)
from platform_assets.windows.accumulators import Accumulators
from platform_assets.windows.engine import PartitionWindows, Snapshot, Taken
from platform_assets.windows.open_windows import Rows
from platform_assets.windows.watermark import BEFORE_ALL
from streaming.checkpoints import Checkpoint, SavedIds, SavedTable
from streaming.decoding import DecodedBatch
from streaming.event_columns import EventColumns
from streaming.sink import Admission
from streaming.stage import Emission, Outgoing, Restored, Saved, Tally
from streaming.window_columns import WindowColumns, from_offset

# A row is some 60 bytes of JSON; a broker takes records of 1 MB unless told otherwise.
ROWS_PER_RECORD = 4_000
PART_ROWS_PER_RECORD = 1_000
# Merged windows are hours long. Told at every micro-batch, they would be most of what is published.
PARTS_INTERVAL_S = 0.1
HEARTBEAT_INTERVAL_S = 0.5
# An idle partition says so once a second for as long as somebody may wait for it, then so often that windows close.
IDLE_WORD_INTERVAL_S = 1.0
LONG_IDLE_S = 60.0
LONG_IDLE_WORD_INTERVAL_S = 10.0

Tell = Callable[[str, Sequence[Sequence[Any]]], None]
"""Is told the rows of a definition, changed or final, as they are published."""


@dataclass
class _Partition:
    log: str
    number: int
    position: int
    windows: PartitionWindows
    arrived_s: float
    high_watermark: int = 0
    # The watermark when the last record came: while nothing comes, the clock takes it on from there.
    last_watermark_ms: int = int(BEFORE_ALL)
    late: list[LateEvent] = field(default_factory=list)
    saved_position: int = -1
    # Where the ids that each of the kept buckets holds begin in the log, for removing files past the horizon.
    ids_from: dict[int, int] = field(default_factory=dict)
    parts_told_s: float = 0.0
    parts_told: tuple[int, bool] | None = None
    is_idle: bool = False
    late_count: int = 0
    duplicate_count: int = 0


class WindowStage:
    """The windows of every owned partition of `events.v1`; see `stage.Stage`."""

    topic = EVENTS.name

    def __init__(
        self,
        definitions: Sequence[WindowDefinition],
        *,
        deduplicate: bool,
        idle_timeout_s: float,
        part_partitions: int,
        heard_for_s: Callable[[int], float] = lambda partition: math.inf,
        end_of_log: Callable[[int], int | None] = lambda partition: None,
        tell: Tell | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`part_partitions` is how many partitions the topic of parts has; each of them merges its own keys.

        `heard_for_s` says for how long the broker has answered for a partition: only so long is it known to be silent;
        `end_of_log` where its log ended in the last answer, whose records may still be on their way.
        """
        self._definitions = {definition.name: definition for definition in definitions}
        self._own = [name for name, found in self._definitions.items() if found.is_partitioned_like_the_topic]
        self._parted = [name for name in self._definitions if name not in self._own]
        self._part_columns = {
            name: Accumulators(self._definitions[name].aggregates, slots=1).part_names for name in self._parted
        }
        self._deduplicate = deduplicate
        self._idle_timeout_s = idle_timeout_s
        self._heard_for_s = heard_for_s
        self._end_of_log = end_of_log
        self._part_partitions = part_partitions
        self._tell = tell
        self._clock = clock
        self._source_partitions = EVENTS.partitions
        self._owned: dict[int, _Partition] = {}

    def position(self, partition: int, log: str) -> int | None:
        """See `Stage.position`."""
        owned = self._owned.get(partition)
        return owned.position if owned is not None and owned.log == log else None

    def open(self, log: str, partition: int, restored: Restored, partitions: int) -> None:
        """See `Stage.open`."""
        self._source_partitions = partitions
        self._owned[partition] = self._begin(log, partition, restored)

    def _begin(self, log: str, partition: int, restored: Restored) -> _Partition:
        windows = PartitionWindows(
            list(self._definitions.values()),
            deduplicate=self._deduplicate,
            parts_of=frozenset(self._parted),
            keeps_unsaved_ids=True,
        )
        owned = _Partition(log, partition, restored.position, windows, self._clock())
        if restored.checkpoint is not None:
            checkpoint = restored.checkpoint
            windows.restore(Snapshot(checkpoint.watermark_ms, self._still_defined(checkpoint), checkpoint.clock_ms))
            owned.last_watermark_ms = restored.checkpoint.watermark_ms
            owned.saved_position = restored.position
        if windows.seen is not None:
            for number, hashes in restored.ids:
                windows.seen.remember(hashes, number)
                owned.ids_from[number] = 0
        return owned

    def release(self, partitions: Collection[int]) -> None:
        """See `Stage.release`."""
        for partition in partitions:
            self._owned.pop(partition, None)

    def take(self, decoded: DecodedBatch, high_watermark: int | None) -> Admission:
        """See `Stage.take`."""
        owned = self._owned.get(decoded.partition)
        if owned is None or owned.log != decoded.log or decoded.events is None:
            return Admission.NOT_OWNED
        if decoded.next_offset <= owned.position:
            return Admission.REPEATED
        if decoded.start > owned.position:
            return Admission.GAP
        self._count(owned, decoded.events)
        owned.position = decoded.next_offset
        owned.high_watermark = high_watermark or 0
        owned.arrived_s = self._clock()
        owned.is_idle = False
        return Admission.TAKE

    def _count(self, owned: _Partition, events: EventColumns) -> None:
        """Take what is new of these events into the windows."""
        events = from_offset(events, owned.position)
        if len(events):
            taken = owned.windows.process(WindowColumns(events, self._definitions.values()))
            owned.late_count += len(taken.late)
            owned.duplicate_count += taken.duplicates
            if taken.late:
                owned.late += _late_events(taken, events, owned)
            self._note_ids(owned)
            owned.last_watermark_ms = owned.windows.watermark.value_ms

    def tally(self, partition: int) -> Tally:
        """See `Stage.tally`."""
        owned = self._owned[partition]
        return Tally(owned.late_count, owned.duplicate_count, owned.windows.open_count)

    def collect(self, partitions: Collection[int], save: Collection[int]) -> Emission:
        """See `Stage.collect`."""
        records: list[Outgoing] = []
        saved: list[Saved] = []
        for number in partitions:
            owned = self._owned.get(number)
            if owned is not None:
                records += self._news(owned, everything=number in save)
                if number in save and owned.position != owned.saved_position:
                    saved.append(self._save(owned))
        return Emission(records, saved)

    def rest(self, now_s: float) -> list[Saved]:
        """See `Stage.rest`."""
        advanced = []
        for owned in self._owned.values():
            silent_s = min(now_s - owned.arrived_s, self._heard_for_s(owned.number))
            idle_s = silent_s - self._idle_timeout_s
            end = max(owned.high_watermark, self._end_of_log(owned.number) or 0)
            if idle_s < 0 or owned.position < end:
                owned.is_idle = False
                continue
            target = None
            if owned.last_watermark_ms != BEFORE_ALL:
                target = owned.windows.idle_target_ms(owned.last_watermark_ms + int(idle_s * 1000))
            if target is None and owned.is_idle:
                continue
            owned.is_idle = True
            if target is not None and target > owned.windows.watermark.value_ms:
                owned.windows.watermark.advance_to(target)
                advanced.append(self._save(owned))
        return advanced

    def finish(self, log: str, partition: int, restored: Restored, tail: Iterable[EventColumns]) -> Emission:
        """See `Stage.finish`."""
        owned = self._begin(log, partition, restored)
        for events in tail:
            self._count(owned, events)
            if len(events):
                owned.position = int(events.offsets[-1]) + 1
        span = owned.windows.closing_span_ms()
        if span is not None:
            owned.windows.watermark.advance_to(span[1])
        return Emission(list(self._own_news(owned)), [Saved(self.topic, log, partition, None)])

    @property
    def open_windows(self) -> int:
        """Windows that are open, in all."""
        return sum(owned.windows.open_count for owned in self._owned.values())

    def _still_defined(self, checkpoint: Checkpoint) -> dict[str, Any]:
        return {
            name: saved.columns
            for name, saved in checkpoint.tables.items()
            if name in self._definitions and self._definitions[name].fingerprint == saved.definition
        }

    def _note_ids(self, owned: _Partition) -> None:
        seen = owned.windows.seen
        if seen is not None and seen.newest_bucket is not None:
            owned.ids_from.setdefault(seen.newest_bucket, owned.position)

    def _save(self, owned: _Partition) -> Saved:
        state = owned.windows.snapshot()
        tables = {
            name: SavedTable(self._definitions[name].fingerprint, columns) for name, columns in state.windows.items()
        }
        seen = owned.windows.seen
        ids = None
        needed_from = 0
        if seen is not None:
            first = max(owned.saved_position, 0)
            ids = SavedIds(first, owned.position, seen.take_unsaved())
            oldest = seen.oldest_bucket
            owned.ids_from = {
                number: first for number, first in owned.ids_from.items() if oldest is None or number >= oldest
            }
            needed_from = min(owned.ids_from.values(), default=0)
        owned.saved_position = owned.position
        checkpoint = Checkpoint(self.topic, owned.position, state.watermark_ms, tables, state.clock_ms)
        return Saved(self.topic, owned.log, owned.number, checkpoint, ids, needed_from)

    def _news(self, owned: _Partition, *, everything: bool) -> Iterator[Outgoing]:
        yield from self._own_news(owned)
        now_s = self._clock()
        if self._parted and (everything or now_s - owned.parts_told_s >= PARTS_INTERVAL_S):
            yield from self._parts(owned, now_s)

    def _own_news(self, owned: _Partition) -> Iterator[Outgoing]:
        results = owned.windows.collect(self._own)
        emitted_ms = time.time_ns() // 1_000_000
        for kind, by_name in ((UpdateKind.CHANGE, results.changed), (UpdateKind.FINAL, results.closed)):
            for name, rows in by_name.items():
                tuples = rows.as_tuples()
                if self._tell is not None:
                    self._tell(name, tuples)
                for begin in range(0, len(tuples), ROWS_PER_RECORD):
                    value = encode_updates(
                        WindowUpdates(
                            window=name,
                            version=self._definitions[name].version,
                            kind=kind,
                            source_topic=self.topic,
                            source_log=owned.log,
                            source_partition=owned.number,
                            next_offset=owned.position,
                            watermark_ms=_known(owned.windows.watermark.value_ms),
                            emitted_ms=emitted_ms,
                            aggregates=self._definitions[name].aggregate_names,
                            rows=tuples[begin : begin + ROWS_PER_RECORD],
                        )
                    )
                    yield Outgoing(WINDOWS.name, owned.number, None, value)
        late, owned.late = owned.late, []
        for event in late:
            yield Outgoing(LATE.name, None, event.event_id.encode(), encode_late(event))

    def _parts(self, owned: _Partition, now_s: float) -> Iterator[Outgoing]:
        results = owned.windows.collect(self._parted)
        standing = (owned.windows.watermark.value_ms, owned.is_idle)
        quiet_s = now_s - owned.parts_told_s
        heartbeat = standing != owned.parts_told and quiet_s >= HEARTBEAT_INTERVAL_S
        if owned.is_idle:
            is_long = now_s - owned.arrived_s >= LONG_IDLE_S
            heartbeat |= quiet_s >= (LONG_IDLE_WORD_INTERVAL_S if is_long else IDLE_WORD_INTERVAL_S)
        if not results.changed and not results.closed and not heartbeat:
            return
        owned.parts_told_s, owned.parts_told = now_s, standing
        targets = self._part_partitions
        for name in self._parted:
            # Final ones first: a session may begin where another one has just ended.
            told = ((UpdateKind.FINAL, results.closed.get(name)), (UpdateKind.CHANGE, results.changed.get(name)))
            chunks: list[list[tuple[UpdateKind, list[tuple[Any, ...]]]]] = [[] for _ in range(targets)]
            for kind, rows in told:
                for target, found in enumerate(_by_target(rows, targets)):
                    chunks[target] += [
                        (kind, found[begin : begin + PART_ROWS_PER_RECORD])
                        for begin in range(0, len(found), PART_ROWS_PER_RECORD)
                    ]
            for target, of_target in enumerate(chunks):
                yield from self._part_records(owned, name, target, of_target)

    def _part_records(
        self, owned: _Partition, name: str, target: int, chunks: list[tuple[UpdateKind, list[tuple[Any, ...]]]]
    ) -> Iterator[Outgoing]:
        """The last record has the watermark; one without rows says only that."""
        chunks = chunks or [(UpdateKind.CHANGE, [])]
        for number, (kind, rows) in enumerate(chunks, start=1):
            value = encode_parts(
                PartUpdates(
                    window=name,
                    version=self._definitions[name].version,
                    kind=kind,
                    source_topic=self.topic,
                    source_log=owned.log,
                    source_partition=owned.number,
                    source_partitions=self._source_partitions,
                    next_offset=owned.position,
                    watermark_ms=owned.windows.watermark.value_ms if number == len(chunks) else None,
                    is_idle=owned.is_idle,
                    columns=self._part_columns[name],
                    rows=rows,
                )
            )
            yield Outgoing(PARTIALS.name, target, None, value)


def _by_target(rows: Rows | None, targets: int) -> list[list[tuple[Any, ...]]]:
    found: list[list[tuple[Any, ...]]] = [[] for _ in range(targets)]
    for row in rows.as_tuples() if rows is not None else ():
        found[part_partition(row[0], targets)].append(row)
    return found


def part_partition(key: str | None, partitions: int) -> int:
    """The partition on which all parts of a key meet."""
    return 0 if key is None else zlib.crc32(key.encode()) % partitions


def _known(watermark_ms: int) -> int | None:
    return None if watermark_ms == BEFORE_ALL else watermark_ms


def _late_events(taken: Taken, events: EventColumns, owned: _Partition) -> list[LateEvent]:
    ids, names, users = (events.column(name) for name in ("event_id", "event_name", "user_id"))
    return [
        LateEvent(
            event_id=str(ids[index]),
            event_name=str(names[index]),
            user_id=users[index],
            occurred_ms=int(events.occurred_us[index]) // 1000,
            received_ms=int(events.received_us[index]) // 1000,
            watermark_ms=taken.late_watermarks_ms[index],
            windows=windows,
            source_topic=EVENTS.name,
            source_log=owned.log,
            source_partition=owned.number,
            source_offset=int(events.offsets[index]),
        )
        for index, windows in sorted(taken.late.items())
    ]
