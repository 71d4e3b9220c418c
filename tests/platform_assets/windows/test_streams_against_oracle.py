"""The window engine on random logs, against what the same logs mean when computed by brute force."""

import dataclasses
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from platform_assets.contracts.windows import AggregateFunction, WindowDefinition, WindowType
from platform_assets.windows.columns import Hashes
from platform_assets.windows.engine import PartitionWindows, Results, Taken
from platform_assets.windows.open_windows import Rows
from platform_assets.windows.sketches import QUANTILE_RELATIVE_ACCURACY
from tests.platform_assets.windows.oracle import Expected, Place, Record, Window, exact, expected_windows
from tests.platform_assets.windows.random_streams import MONTH_MS, RecordColumns, random_cuts, random_stream

STREAMS_EACH = 100
CHUNKS = 10
AFTER_ALL_MS = 10**15
CHUNK = pytest.mark.parametrize("chunk", range(CHUNKS))
TYPE = pytest.mark.parametrize("window_type", list(WindowType))


@dataclass
class Produced:
    """What the engine made of one partition: (count, *values) per window, and what it reported beside."""

    final: dict[Place, tuple[Any, ...]] = field(default_factory=dict)
    open: dict[Place, tuple[Any, ...]] = field(default_factory=dict)
    seen_changing: dict[Place, tuple[Any, ...]] = field(default_factory=dict)
    late: set[tuple[int, str]] = field(default_factory=set)
    late_watermarks_ms: dict[int, int] = field(default_factory=dict)
    duplicates: int = 0

    def note(self, records: Sequence[Record], taken: Taken) -> None:
        """Keep what a batch did not count."""
        self.late |= {(records[index].offset, name) for index, names in taken.late.items() for name in names}
        self.late_watermarks_ms |= {
            records[index].offset: watermark for index, watermark in taken.late_watermarks_ms.items()
        }
        self.duplicates += taken.duplicates

    def keep(self, results: Results) -> None:
        """Keep final results, and follow the changes as a reader of `windows.v1` does."""
        for place, row in _by_place(results.closed):
            assert place not in self.final, f"{place} has a second final result"
            self.final[place] = row
            self._replace(place, None)
        for place, row in _by_place(results.changed):
            self._replace(place, row if row[0] else None)

    def _replace(self, place: Place, row: tuple[Any, ...] | None) -> None:
        """The newest of a (key, start) counts, whatever its end; one without events withdraws it."""
        self.seen_changing = {other: kept for other, kept in self.seen_changing.items() if other[:3] != place[:3]}
        if row is not None:
            self.seen_changing[place] = row


@dataclass
class Saved:
    """What a worker writes down of an engine: snapshots, and beside them the ids that came in between."""

    ids: list[tuple[int, Hashes]] = field(default_factory=list)

    def restore(
        self,
        dying: PartitionWindows,
        definitions: Sequence[WindowDefinition],
        *,
        parts_of: frozenset[str] = frozenset(),
    ) -> PartitionWindows:
        """A fresh engine with the state of another one."""
        self.take(dying)
        fresh = PartitionWindows(definitions, parts_of=parts_of, keeps_unsaved_ids=True)
        fresh.restore(dying.snapshot())
        assert fresh.seen is not None
        for number, hashes in self.ids:
            fresh.seen.remember(hashes, number)
        return fresh

    def take(self, engine: PartitionWindows) -> None:
        """The ids since the last time; a bucket that brought none leaves no row in a file."""
        assert engine.seen is not None
        self.ids += [(number, hashes) for number, hashes in engine.seen.take_unsaved() if len(hashes)]


def run(
    rng: random.Random,
    batches: Sequence[RecordColumns],
    definitions: Sequence[WindowDefinition],
    restore_at: int | None,
) -> Produced:
    """Process a partition; before the batch `restore_at` a restored engine takes over from one that dies later."""
    engine = PartitionWindows(definitions, keeps_unsaved_ids=True)
    saved = Saved()
    produced = Produced()
    for number, batch in enumerate(batches):
        if number == restore_at:
            dying, engine = engine, saved.restore(engine, definitions)
            for lost in batches[number:]:
                dying.process(lost)
            dying.collect()
        produced.note(batch.records, engine.process(batch))
        if rng.random() < 0.6:
            produced.keep(engine.collect())
        if rng.random() < 0.3:
            saved.take(engine)
    produced.keep(engine.collect())
    engine.watermark.advance_to(AFTER_ALL_MS)
    produced.open = dict(_by_place(engine.collect().closed))
    assert engine.open_count == 0
    return produced


def _by_place(results: Mapping[str, Rows]) -> Iterable[tuple[Place, tuple[Any, ...]]]:
    for name, rows in results.items():
        for key, start, end, *row in rows.as_tuples():
            yield (name, key, start, end), tuple(row)


def assert_equals_oracle(produced: Produced, expected: Expected, definitions: Sequence[WindowDefinition]) -> None:
    """Windows, their values, late events and duplicates."""
    assert produced.late == expected.late
    assert produced.duplicates == len(expected.duplicates)
    by_name = {definition.name: definition for definition in definitions}
    for found, wanted in ((produced.final, expected.final), (produced.open, expected.open)):
        assert found.keys() == wanted.keys()
        for place, window in wanted.items():
            assert_holds(found[place], window, by_name[place[0]])


def assert_holds(row: tuple[Any, ...], window: Window, definition: WindowDefinition) -> None:
    """Exact where the aggregate is; a quantile within its accuracy, and a small distinct count is exact too."""
    count, *values = row
    assert count == len(window.events)
    for aggregate, value in zip(definition.aggregates, values, strict=True):
        truth = exact(aggregate, window.values(aggregate))
        if truth is None or aggregate.function in {AggregateFunction.MIN, AggregateFunction.MAX}:
            assert value == truth
        elif aggregate.function is AggregateFunction.QUANTILE:
            assert value == pytest.approx(truth, rel=QUANTILE_RELATIVE_ACCURACY * 1.000001)
        else:
            assert value == pytest.approx(truth, rel=1e-12, abs=1e-9)


@TYPE
@CHUNK
def test_windows_of_random_streams_equal_the_oracle(window_type: WindowType, chunk: int) -> None:
    """However the log is cut, and with a restored engine from a random cut on; a seed in the message repeats it."""
    for number in range(STREAMS_EACH):
        seed = f"{window_type}/{chunk}/{number}"
        rng = random.Random(seed)  # noqa: S311
        stream = random_stream(rng, window_type)
        for partition, records in enumerate(stream.partitions):
            expected = expected_windows(records, stream.definitions)
            one_cut, other_cut = random_cuts(rng, records), random_cuts(rng, records)
            try:
                one = run(rng, one_cut, stream.definitions, restore_at=rng.randrange(len(one_cut)))
                other = run(rng, other_cut, stream.definitions, restore_at=None)
                assert_equals_oracle(one, expected, stream.definitions)
                assert (one.final, one.open, one.late, one.late_watermarks_ms) == (
                    other.final,
                    other.open,
                    other.late,
                    other.late_watermarks_ms,
                )
                assert other.seen_changing == other.open
            except AssertionError as error:
                error.add_note(f"Stream {seed}, partition {partition}.")
                raise


@TYPE
def test_month_old_events_make_the_windows_that_they_made_then(window_type: WindowType) -> None:
    """The same events in the same order, received a month later: the clock plays no part."""
    for number in range(STREAMS_EACH):
        rng = random.Random(f"replay/{window_type}/{number}")  # noqa: S311
        stream = random_stream(rng, window_type)
        for records in stream.partitions:
            then = [
                dataclasses.replace(record, occurred_ms=min(record.occurred_ms, record.received_ms))
                for record in records
            ]
            now = [dataclasses.replace(record, received_ms=record.received_ms + MONTH_MS) for record in then]
            assert run(rng, random_cuts(rng, then), stream.definitions, None) == run(
                rng, random_cuts(rng, now), stream.definitions, None
            )


def test_restored_engine_goes_on_with_the_clock_of_a_repeated_record() -> None:
    """A repeated record moved the clock into a bucket that has no id of its own, and a slower server's comes after."""
    times = [("apple", 10_000), ("pear", 50_000), ("pear", 170_000), ("apple", 159_000)]
    records = [
        Record(offset, event_id, 0, received_ms, "bought", {"user_id": "u"})
        for offset, (event_id, received_ms) in enumerate(times)
    ]
    definitions = [WindowDefinition(name="first", key_field="user_id", window_type=WindowType.TUMBLING, size_ms=60_000)]
    for restore_at in (None, 1):
        rng = random.Random(restore_at)  # noqa: S311
        produced = run(rng, [RecordColumns(records[:3]), RecordColumns(records[3:])], definitions, restore_at)
        assert_equals_oracle(produced, expected_windows(records, definitions), definitions)
        assert produced.duplicates == 1
