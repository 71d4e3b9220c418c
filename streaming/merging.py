"""Merges the parts that the partitions of the events have of windows on another key; see `platform_assets.windows`.

Each partition of `windows.partials.v1` has all parts of its keys. Plain and synchronous; all calls come from one
thread.
"""

import logging
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from platform_assets.contracts.topics import PARTIALS, WINDOWS
from platform_assets.contracts.windows import (
    PartUpdates,
    UpdateKind,
    WindowDefinition,
    WindowUpdates,
    encode_updates,
)
from platform_assets.windows.accumulators import Accumulators
from platform_assets.windows.merging import MergedWindows, MergeSnapshot, Part, Source
from platform_assets.windows.watermark import BEFORE_ALL
from streaming.checkpoints import Checkpoint, SavedTable
from streaming.decoding import DecodedBatch
from streaming.event_columns import EventColumns
from streaming.sink import Admission
from streaming.stage import Emission, Outgoing, Restored, Saved, Tally
from streaming.windowing import ROWS_PER_RECORD, Tell

_log = logging.getLogger(__name__)

_SOURCES = "sources of "
_PART_COLUMNS = frozenset({"partition", "key", "start_ms", "end_ms", "next_offset", "is_final"})


@dataclass
class _Partition:
    log: str
    number: int
    position: int
    saved_position: int = -1
    # The events' log that the parts are of: another one starts anew.
    source_log: str = ""
    merged: dict[str, MergedWindows] = field(default_factory=dict)


class MergeStage:
    """The merged windows of every owned partition of `windows.partials.v1`; see `stage.Stage`."""

    topic = PARTIALS.name

    def __init__(self, definitions: Sequence[WindowDefinition], *, tell: Tell | None = None) -> None:
        self._definitions = {found.name: found for found in definitions if not found.is_partitioned_like_the_topic}
        self._tell = tell
        self._owned: dict[int, _Partition] = {}

    def position(self, partition: int, log: str) -> int | None:
        """See `Stage.position`."""
        owned = self._owned.get(partition)
        return owned.position if owned is not None and owned.log == log else None

    def open(self, log: str, partition: int, restored: Restored, partitions: int) -> None:
        """See `Stage.open`."""
        owned = _Partition(log, partition, restored.position)
        if restored.checkpoint is not None:
            owned.saved_position = restored.position
            self._restore(owned, restored.checkpoint)
        self._owned[partition] = owned

    def release(self, partitions: Collection[int]) -> None:
        """See `Stage.release`."""
        for partition in partitions:
            self._owned.pop(partition, None)

    def take(self, decoded: DecodedBatch, high_watermark: int | None) -> Admission:
        """See `Stage.take`. Parts say themselves how new they are, so that a repeated one changes nothing."""
        owned = self._owned.get(decoded.partition)
        if owned is None or owned.log != decoded.log:
            return Admission.NOT_OWNED
        if decoded.next_offset <= owned.position:
            return Admission.REPEATED
        if decoded.start > owned.position:
            return Admission.GAP
        for updates in decoded.parts:
            self._take(owned, updates)
        owned.position = decoded.next_offset
        return Admission.TAKE

    def tally(self, partition: int) -> Tally:
        """See `Stage.tally`."""
        return Tally(windows_open=sum(map(len, self._owned[partition].merged.values())))

    def collect(self, partitions: Collection[int], save: Collection[int]) -> Emission:
        """See `Stage.collect`."""
        records: list[Outgoing] = []
        saved: list[Saved] = []
        for number in partitions:
            owned = self._owned.get(number)
            if owned is not None:
                records += self._news(owned)
                if number in save and owned.position != owned.saved_position:
                    saved.append(self._save(owned))
        return Emission(records, saved)

    def rest(self, now_s: float) -> list[Saved]:
        """Sources say themselves when they are idle."""
        return []

    def finish(self, log: str, partition: int, restored: Restored, tail: Iterable[EventColumns]) -> Emission:
        """See `Stage.finish`. Parts do not land, so there is no tail."""
        owned = _Partition(log, partition, restored.position)
        if restored.checkpoint is not None:
            self._restore(owned, restored.checkpoint)
        emitted_ms = time.time_ns() // 1_000_000
        records = [
            record
            for merged in owned.merged.values()
            for record in self._records(owned, merged, UpdateKind.FINAL, merged.end().as_tuples(), emitted_ms)
        ]
        return Emission(records, [Saved(self.topic, log, partition, None)])

    @property
    def open_windows(self) -> int:
        """Windows that are open, in all."""
        return sum(len(merged) for owned in self._owned.values() for merged in owned.merged.values())

    def _take(self, owned: _Partition, updates: PartUpdates) -> None:
        definition = self._definitions.get(updates.window)
        if definition is None or definition.version != updates.version:
            return
        if owned.source_log != updates.source_log:
            if owned.source_log:
                _log.warning("source_replaced partition=%d old=%s new=%s", owned.number, owned.source_log,
                             updates.source_log)  # fmt: skip
            owned.source_log, owned.merged = updates.source_log, {}
        merged = owned.merged.get(definition.name)
        if merged is None:
            merged = owned.merged[definition.name] = MergedWindows(definition, updates.source_partitions)
        late = merged.take(updates.source_partition, _parts_of(updates))
        if late:
            _log.warning("parts_late window=%s source_partition=%d parts=%d events=%d", definition.name,
                         updates.source_partition, len(late), sum(part.state["events"] for part in late))  # fmt: skip
        if updates.watermark_ms is not None:
            merged.advance(updates.source_partition, updates.next_offset, updates.watermark_ms, updates.is_idle)

    def _news(self, owned: _Partition) -> Iterator[Outgoing]:
        emitted_ms = time.time_ns() // 1_000_000
        for merged in owned.merged.values():
            changed, closed = merged.collect()
            for kind, rows in ((UpdateKind.CHANGE, changed), (UpdateKind.FINAL, closed)):
                yield from self._records(owned, merged, kind, rows.as_tuples(), emitted_ms)

    def _records(
        self, owned: _Partition, merged: MergedWindows, kind: UpdateKind, tuples: list[tuple[Any, ...]], emitted_ms: int
    ) -> Iterator[Outgoing]:
        definition, watermark_ms = merged.definition, merged.watermark_ms
        if tuples and self._tell is not None:
            self._tell(definition.name, tuples)
        for begin in range(0, len(tuples), ROWS_PER_RECORD):
            value = encode_updates(
                WindowUpdates(
                    window=definition.name,
                    version=definition.version,
                    kind=kind,
                    source_topic=self.topic,
                    source_log=owned.log,
                    source_partition=owned.number,
                    next_offset=owned.position,
                    watermark_ms=None if watermark_ms == BEFORE_ALL else watermark_ms,
                    emitted_ms=emitted_ms,
                    aggregates=definition.aggregate_names,
                    rows=tuples[begin : begin + ROWS_PER_RECORD],
                )
            )
            yield Outgoing(WINDOWS.name, owned.number, None, value)

    def _save(self, owned: _Partition) -> Saved:
        tables: dict[str, SavedTable] = {}
        for name, merged in owned.merged.items():
            state = merged.snapshot()
            fingerprint = self._definitions[name].fingerprint
            tables[name] = SavedTable(fingerprint, _part_columns(self._definitions[name], state))
            tables[_SOURCES + name] = SavedTable(fingerprint, _source_columns(owned.source_log, state))
        owned.saved_position = owned.position
        return Saved(self.topic, owned.log, owned.number, Checkpoint(self.topic, owned.position, BEFORE_ALL, tables))

    def _restore(self, owned: _Partition, checkpoint: Checkpoint) -> None:
        for name, definition in self._definitions.items():
            parts, sources = checkpoint.tables.get(name), checkpoint.tables.get(_SOURCES + name)
            if parts is None or sources is None or parts.definition != definition.fingerprint:
                continue
            owned.source_log = sources.columns["log"][0]
            merged = MergedWindows(definition, len(sources.columns["partition"]))
            reached_ms = int(sources.columns["merged_watermark_ms"][0])
            merged.restore(MergeSnapshot(_sources_of(sources.columns), _saved_parts(parts.columns), reached_ms))
            # What was open then has been told already.
            merged.collect()
            owned.merged[name] = merged


def _parts_of(updates: PartUpdates) -> Iterator[Part]:
    for key, start, end, count, *state in updates.rows:
        columns = dict(zip(updates.columns, state, strict=True))
        is_final = updates.kind is UpdateKind.FINAL
        yield Part(key, start, end, updates.next_offset, {"events": count, **columns}, is_final)


def _part_columns(definition: WindowDefinition, snapshot: MergeSnapshot) -> dict[str, Any]:
    parts = snapshot.parts
    columns: dict[str, Any] = {
        "partition": np.array([partition for partition, _ in parts], dtype=np.int64),
        "key": [part.key for _, part in parts],
        "start_ms": np.array([part.start_ms for _, part in parts], dtype=np.int64),
        "end_ms": np.array([part.end_ms for _, part in parts], dtype=np.int64),
        "next_offset": np.array([part.next_offset for _, part in parts], dtype=np.int64),
        "is_final": np.array([int(part.is_final) for _, part in parts], dtype=np.int64),
        "events": np.array([part.state["events"] for _, part in parts], dtype=np.int64),
    }
    for name in Accumulators(definition.aggregates, slots=1).part_names:
        values = [part.state[name] for _, part in parts]
        columns[name] = values if name.startswith("sketch:") else np.array(values)
    return columns


def _saved_parts(columns: Mapping[str, Any]) -> list[tuple[int, Part]]:
    state_names = [name for name in columns if name not in _PART_COLUMNS]
    return [
        (
            int(columns["partition"][row]),
            Part(
                columns["key"][row],
                int(columns["start_ms"][row]),
                int(columns["end_ms"][row]),
                int(columns["next_offset"][row]),
                {name: columns[name][row] for name in state_names},
                bool(columns["is_final"][row]),
            ),
        )
        for row in range(len(columns["key"]))
    ]


def _source_columns(log: str, snapshot: MergeSnapshot) -> dict[str, Any]:
    sources = snapshot.sources
    return {
        "log": [log] * len(sources),
        "partition": np.array(list(sources), dtype=np.int64),
        "next_offset": np.array([source.next_offset for source in sources.values()], dtype=np.int64),
        "watermark_ms": np.array([source.watermark_ms for source in sources.values()], dtype=np.int64),
        "lets_go_ms": np.array([source.lets_go_ms for source in sources.values()], dtype=np.int64),
        "will_let_go_ms": np.array([source.will_let_go_ms for source in sources.values()], dtype=np.int64),
        "is_idle": np.array([int(source.is_idle) for source in sources.values()], dtype=np.int64),
        "merged_watermark_ms": np.full(len(sources), snapshot.watermark_ms, dtype=np.int64),
    }


def _sources_of(columns: Mapping[str, Any]) -> dict[int, Source]:
    return {
        int(partition): Source(
            int(columns["next_offset"][row]),
            int(columns["watermark_ms"][row]),
            bool(columns["is_idle"][row]),
            int(columns["lets_go_ms"][row]),
            int(columns["will_let_go_ms"][row]),
        )
        for row, partition in enumerate(columns["partition"])
    }
