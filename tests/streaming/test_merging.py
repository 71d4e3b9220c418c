"""The stage of the parts: what several partitions of the events have becomes one result, saved and restored."""

import random
from collections.abc import Sequence
from typing import Any

import pytest

from platform_assets.contracts.topics import EVENTS, PARTIALS, WINDOWS
from platform_assets.contracts.windows import (
    PartUpdates,
    UpdateKind,
    WindowDefinition,
    WindowType,
    WindowUpdates,
    decode_updates,
    encode_parts,
)
from platform_assets.windows.accumulators import Accumulators
from platform_assets.windows.engine import PartitionWindows
from streaming.decoding import decode_part_updates
from streaming.merging import MergeStage
from streaming.sink import Admission
from streaming.stage import Emission, Restored
from tests.platform_assets.windows.oracle import Record
from tests.platform_assets.windows.random_streams import AGGREGATES, NOW_MS, RecordColumns, random_cuts
from tests.streaming_records import NOW, a_batch

LOG, SOURCE_LOG = "log2", "log1"
SOURCES = 3
AFTER_ALL_MS = 10**15


def defined(window_type: WindowType, **changes: Any) -> WindowDefinition:
    fields: dict[str, Any] = {
        "name": "by_store",
        "key_field": "store_id",
        "window_type": window_type,
        "size_ms": 1000,
        "slide_ms": 400 if window_type is WindowType.SLIDING else None,
        "aggregates": AGGREGATES,
    }
    return WindowDefinition(**{**fields, **changes})


TUMBLING = defined(WindowType.TUMBLING, aggregates=AGGREGATES[:1])


def said_by_source(
    source: int,
    rows: Sequence[tuple[Any, ...]],
    *,
    next_offset: int,
    watermark_ms: int | None = None,
    kind: UpdateKind = UpdateKind.CHANGE,
    is_idle: bool = False,
    definition: WindowDefinition = TUMBLING,
    log: str = SOURCE_LOG,
) -> PartUpdates:
    return PartUpdates(
        window=definition.name,
        version=definition.version,
        kind=kind,
        source_topic=EVENTS.name,
        source_log=log,
        source_partition=source,
        source_partitions=SOURCES,
        next_offset=next_offset,
        watermark_ms=watermark_ms,
        is_idle=is_idle,
        columns=Accumulators(definition.aggregates, slots=1).part_names,
        rows=rows,
    )


class Bench:
    """A stage of one partition, and the records that it takes at dense offsets."""

    def __init__(self, *definitions: WindowDefinition, restored: Restored | None = None) -> None:
        self.told: list[tuple[str, Sequence[Sequence[Any]]]] = []
        self.stage = MergeStage(definitions or (TUMBLING,), tell=lambda name, rows: self.told.append((name, rows)))
        self.stage.open(LOG, 0, restored or Restored(0), 4)

    def take(self, *said: PartUpdates, start: int | None = None) -> Admission:
        first = self.stage.position(0, LOG) or 0 if start is None else start
        values = list(enumerate(map(encode_parts, said), first))
        batch = a_batch(values, start=first, next_offset=first + len(values), topic=PARTIALS.name)
        return self.stage.take(decode_part_updates(batch, LOG, NOW), None)

    def say(self, *save: int) -> Emission:
        return self.stage.collect(frozenset({0}), frozenset(save))

    def heir(self, *definitions: WindowDefinition) -> "Bench":
        """A stage that begins where this one is saved now."""
        (saved,) = self.say(0).saved
        assert saved.checkpoint is not None
        return Bench(*definitions, restored=Restored(saved.checkpoint.next_offset, saved.checkpoint))


def rows(emission: Emission, kind: UpdateKind) -> list[tuple[Any, ...]]:
    updates = [decode_updates(record.value) for record in emission.records]
    return sorted((tuple(row) for one in updates if one.kind is kind for row in one.rows), key=repr)


def test_results_of_all_sources_are_published_with_the_place_that_they_were_merged_at() -> None:
    bench = Bench()
    bench.take(
        said_by_source(0, [("s", 0, 1000, 2, 2, 5.0)], next_offset=10, watermark_ms=500),
        said_by_source(1, [("s", 0, 1000, 1, 1, 2.5)], next_offset=7, watermark_ms=700),
    )
    said = bench.say()
    assert rows(said, UpdateKind.CHANGE) == [("s", 0, 1000, 3, 7.5)]
    (record,) = said.records
    assert (record.topic, record.partition) == (WINDOWS.name, 0)
    update: WindowUpdates = decode_updates(record.value)
    assert (update.source_topic, update.source_log, update.source_partition) == (PARTIALS.name, LOG, 0)
    assert (update.next_offset, update.watermark_ms, update.aggregates) == (2, None, ("total",))
    assert bench.told == [("by_store", [("s", 0, 1000, 3, 7.5)])]
    bench.take(*(said_by_source(source, [], next_offset=20, watermark_ms=1000 + source) for source in range(SOURCES)))
    said = bench.say()
    assert rows(said, UpdateKind.FINAL) == [("s", 0, 1000, 3, 7.5)]
    assert decode_updates(said.records[0].value).watermark_ms == 1000
    assert bench.stage.open_windows == 0


def test_stage_takes_each_offset_of_the_parts_once() -> None:
    bench = Bench()
    one = said_by_source(0, [("s", 0, 1000, 1, 1, 5.0)], next_offset=1)
    assert bench.take(one) is Admission.TAKE
    assert bench.take(one, start=0) is Admission.REPEATED
    assert bench.take(one, start=2) is Admission.GAP
    assert bench.stage.position(0, "another") is None
    bench.stage.release([0])
    assert bench.take(one, start=1) is Admission.NOT_OWNED


def test_record_that_is_not_the_last_of_an_emission_moves_no_watermark() -> None:
    """The rest of it may hold parts of the windows that it would close."""
    bench = Bench()
    for source in (1, 2):
        bench.take(said_by_source(source, [], next_offset=5, watermark_ms=5000))
    bench.take(said_by_source(0, [("a", 0, 1000, 1, 1, 1.0)], next_offset=5))
    assert rows(bench.say(), UpdateKind.FINAL) == []
    bench.take(said_by_source(0, [("b", 0, 1000, 1, 1, 1.0)], next_offset=5, watermark_ms=1000))
    assert [row[0] for row in rows(bench.say(), UpdateKind.FINAL)] == ["a", "b"]


def test_parts_of_unknown_windows_and_of_other_versions_are_passed_over() -> None:
    bench = Bench()
    old = defined(WindowType.TUMBLING, aggregates=AGGREGATES[:1], version=9)
    foreign = defined(WindowType.TUMBLING, aggregates=AGGREGATES[:1], name="foreign")
    for definition in (old, foreign):
        bench.take(said_by_source(0, [("s", 0, 1000, 1, 1, 1.0)], next_offset=1, definition=definition))
    assert bench.say().records == []
    assert bench.stage.position(0, LOG) == 2


def test_parts_that_come_after_the_end_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    for source in range(SOURCES):
        bench.take(said_by_source(source, [], next_offset=5, watermark_ms=5000))
    bench.take(said_by_source(1, [("s", 0, 1000, 4, 4, 1.0)], next_offset=6, watermark_ms=5001))
    assert "parts_late window=by_store source_partition=1 parts=1 events=4" in caplog.text
    assert bench.say().records == []


def test_parts_of_another_incarnation_of_the_events_start_anew() -> None:
    """Offsets and watermarks of the new log have nothing to do with those of the old one."""
    bench = Bench()
    bench.take(said_by_source(0, [("s", 0, 1000, 2, 2, 5.0)], next_offset=100, watermark_ms=900))
    bench.say()
    bench.take(said_by_source(0, [("s", 0, 1000, 1, 1, 1.0)], next_offset=1, watermark_ms=100, log="log9"))
    assert rows(bench.say(), UpdateKind.CHANGE) == [("s", 0, 1000, 1, 1.0)]


def test_restored_stage_goes_on_with_parts_sources_and_sketches() -> None:
    """Null keys, null sketches, an idle source; open windows are not told again."""
    definition = defined(WindowType.SESSION)
    names = Accumulators(definition.aggregates, slots=1).part_names
    state = [None if name.startswith("sketch") else (1 if name.startswith("counts") else 2.0) for name in names]
    bench = Bench(definition)
    bench.take(said_by_source(0, [(None, 0, 1000, 1, *state)], next_offset=3, watermark_ms=10, definition=definition))
    bench.take(said_by_source(1, [], next_offset=0, watermark_ms=-(2**63), is_idle=True, definition=definition))
    heir = bench.heir(definition)
    assert heir.stage.position(0, LOG) == 2
    assert heir.say(0) == Emission([], [])
    for stage in (bench, heir):
        stage.take(
            said_by_source(2, [("s", 0, 1000, 1, *state)], next_offset=1, watermark_ms=9000, definition=definition)
        )
        stage.take(said_by_source(0, [], next_offset=4, watermark_ms=9000, definition=definition))
        for _ in range(2):
            stage.take(said_by_source(1, [], next_offset=0, watermark_ms=-(2**63), is_idle=True, definition=definition))
    assert rows(heir.say(), UpdateKind.FINAL) == rows(bench.say(), UpdateKind.FINAL) != []


def test_definition_that_has_changed_starts_empty() -> None:
    bench = Bench()
    bench.take(said_by_source(0, [("s", 0, 1000, 2, 2, 5.0)], next_offset=100, watermark_ms=900))
    changed = defined(WindowType.TUMBLING, aggregates=AGGREGATES[:1], lateness_ms=5)
    heir = bench.heir(changed)
    assert heir.stage.open_windows == 0
    assert heir.stage.position(0, LOG) == 1


def test_checkpoint_is_taken_only_where_something_has_moved() -> None:
    bench = Bench()
    bench.take(said_by_source(0, [], next_offset=1, watermark_ms=1))
    assert [saved.checkpoint is not None for saved in bench.say(0).saved] == [True]
    assert bench.say(0).saved == []
    assert bench.stage.rest(1e9) == []


def test_log_of_parts_that_is_over_ends_its_windows_as_they_stand() -> None:
    bench = Bench()
    bench.take(said_by_source(0, [("s", 0, 1000, 2, 2, 5.0)], next_offset=100, watermark_ms=900))
    (saved,) = bench.say(0).saved
    assert saved.checkpoint is not None
    said = Bench().stage.finish(LOG, 0, Restored(1, saved.checkpoint), [])
    assert rows(said, UpdateKind.FINAL) == [("s", 0, 1000, 2, 5.0)]
    assert [(gone.log, gone.checkpoint) for gone in said.saved] == [(LOG, None)]


def in_order(rng: random.Random, count: int) -> list[Record]:
    """Records of one stream in the order of their times, so that no partition of it makes any of them late."""
    moment, records = NOW_MS, []
    for number in range(count):
        moment += rng.choice([0, 1, 90, 300, 1500])
        fields: dict[str, Any] = {"store_id": rng.choice([None, "north", "south"]), "shelf": rng.choice(["a", "b", 1])}
        if rng.random() < 0.8:
            fields |= {"price": rng.randint(-9, 9), "units": rng.randint(1, 9)}
        records.append(Record(number, f"e{number}", moment, moment, "bought", fields))
    return records


def published(
    rng: random.Random, source: int, records: Sequence[Record], definition: WindowDefinition
) -> list[PartUpdates]:
    """What a source publishes in its life, with one fall back to a checkpoint after which it says things again."""
    engine = PartitionWindows([definition], parts_of=frozenset({definition.name}))
    said: list[PartUpdates] = []
    checkpoint, crash_at = (0, PartitionWindows([definition]).snapshot()), rng.randint(0, len(records))
    begin = 0
    while begin < len(records):
        for batch in random_cuts(rng, records[begin:]):
            engine.process(batch)
            begin += len(batch.records)
            results = engine.collect()
            for kind, found in ((UpdateKind.FINAL, results.closed), (UpdateKind.CHANGE, results.changed)):
                told = found[definition.name].as_tuples() if definition.name in found else []
                said.append(
                    said_by_source(
                        source,
                        told,
                        next_offset=begin,
                        watermark_ms=engine.watermark.value_ms if kind is UpdateKind.CHANGE else None,
                        kind=kind,
                        definition=definition,
                    )
                )
            if rng.random() < 0.2:
                checkpoint = (begin, engine.snapshot())
            if crash_at <= begin:
                crash_at = len(records) + 1
                begin, state = checkpoint
                engine = PartitionWindows([definition], parts_of=frozenset({definition.name}))
                engine.restore(state)
                break
    last = said_by_source(source, [], next_offset=len(records) + 1, watermark_ms=AFTER_ALL_MS, definition=definition)
    engine.watermark.advance_to(AFTER_ALL_MS)
    ended = engine.collect().closed
    if definition.name in ended:
        tuples = ended[definition.name].as_tuples()
        said.append(
            said_by_source(source, tuples, next_offset=len(records) + 1, kind=UpdateKind.FINAL, definition=definition)
        )
    return [*said, last]


@pytest.mark.parametrize("window_type", list(WindowType))
@pytest.mark.parametrize("seed", range(25))
def test_merged_windows_equal_those_of_one_engine_over_all_events(window_type: WindowType, seed: int) -> None:
    """Three sources at their own pace, each with a crash; the merging side restored at any point."""
    rng = random.Random(f"{window_type}/{seed}")  # noqa: S311
    definition = defined(window_type)
    records = in_order(rng, rng.randint(1, 60))
    whole = PartitionWindows([definition])
    whole.process(RecordColumns(records))
    whole.watermark.advance_to(AFTER_ALL_MS)
    closed = whole.collect().closed
    wanted = sorted(closed[definition.name].as_tuples() if closed else [], key=repr)

    of_source: list[list[Record]] = [[] for _ in range(SOURCES)]
    for record in records:
        of_source[rng.randrange(SOURCES)].append(record)
    queues = [published(rng, source, found, definition) for source, found in enumerate(of_source)]
    bench, finals = Bench(definition), list[tuple[Any, ...]]()
    while any(queues):
        queue = rng.choice([queue for queue in queues if queue])
        upto = rng.randint(1, 4)
        bench.take(*queue[:upto])
        del queue[:upto]
        if rng.random() < 0.5:
            finals += rows(bench.say(), UpdateKind.FINAL)
        if rng.random() < 0.1:
            said = bench.say(0)
            finals += rows(said, UpdateKind.FINAL)
            for saved in said.saved:
                assert saved.checkpoint is not None
                bench = Bench(definition, restored=Restored(saved.checkpoint.next_offset, saved.checkpoint))
    finals += rows(bench.say(), UpdateKind.FINAL)
    found = sorted(finals, key=repr)
    assert [row[:4] for row in found] == [row[:4] for row in wanted]
    for mine, theirs in zip(found, wanted, strict=True):
        assert mine[4:] == pytest.approx(theirs[4:])
    assert bench.stage.open_windows == 0
