"""The stage of the events: what it says of windows, when it says it is final, and what the clock may do."""

import dataclasses
import math
from collections.abc import Iterable, Sequence

import pytest

from platform_assets.contracts.events import encode_event
from platform_assets.contracts.topics import EVENTS, LATE, PARTIALS, WINDOWS
from platform_assets.contracts.windows import (
    Aggregate,
    AggregateFunction,
    LateEvent,
    PartUpdates,
    UpdateKind,
    WindowDefinition,
    WindowType,
    WindowUpdates,
    decode_late,
    decode_parts,
    decode_updates,
)
from platform_assets.windows.watermark import BEFORE_ALL
from streaming import windowing
from streaming.checkpoints import Checkpoint, SavedIds
from streaming.decoding import decode_events
from streaming.sink import Admission
from streaming.stage import Emission, Outgoing, Restored, Saved
from streaming.windowing import WindowStage, part_partition
from tests.streaming_records import NOW, a_batch, an_event, at

LOG = "log1"
T = int(NOW.timestamp() * 1000)
IDLE_S = 5.0
SIZE = 10_000


def defined(name: str, key_field: str = "user_id", **changes: object) -> WindowDefinition:
    aggregates = (Aggregate(name="total", function=AggregateFunction.SUM, field="price"),)
    definition = WindowDefinition(
        name=name, key_field=key_field, window_type=WindowType.TUMBLING, size_ms=SIZE, aggregates=aggregates
    )
    return dataclasses.replace(definition, **changes)  # type: ignore[arg-type]


BY_USER, BY_STORE = defined("by_user"), defined("by_store", "store_id")


def value(
    event_id: str, second: float, *, user: str | None = "u1", store: str | None = "s1", price: float = 1
) -> bytes:
    payload: dict[str, object] = {"price": price} if store is None else {"price": price, "store_id": store}
    moment = at(second)
    event = an_event(event_id, user_id=user, occurred_at=moment, received_at=moment, payload=payload)
    return encode_event(event)


class Bench:
    """A stage, a clock, and the events of partitions at dense offsets."""

    def __init__(
        self,
        definitions: Sequence[WindowDefinition] = (BY_USER,),
        *,
        deduplicate: bool = True,
        part_partitions: int = 4,
    ) -> None:
        self.now_s = 100.0
        self.heard_for_s = math.inf
        self.told: list[tuple[str, list[tuple[object, ...]]]] = []
        self.stage = WindowStage(
            definitions,
            deduplicate=deduplicate,
            idle_timeout_s=IDLE_S,
            part_partitions=part_partitions,
            heard_for_s=lambda partition: self.heard_for_s,
            tell=lambda name, rows: self.told.append((name, [tuple(row) for row in rows])),
            clock=lambda: self.now_s,
        )

    def open(self, *partitions: int, restored: Restored | None = None) -> "Bench":
        for partition in partitions or (0,):
            self.stage.open(LOG, partition, restored or Restored(0), EVENTS.partitions)
        return self

    def take(
        self, values: Sequence[bytes], *, partition: int = 0, start: int | None = None, end: int | None = None
    ) -> Admission:
        """From the position on unless told otherwise; the log ends there unless told otherwise."""
        first = self.stage.position(partition, LOG) or 0 if start is None else start
        upto = first + len(values)
        batch = a_batch(list(enumerate(values, first)), start=first, next_offset=upto, partition=partition)
        return self.stage.take(decode_events(batch, LOG, NOW), upto if end is None else end)

    def say(self, *save: int, partitions: Iterable[int] = (0,)) -> Emission:
        return self.stage.collect(frozenset(partitions), frozenset(save))

    def save(self) -> tuple[Checkpoint, SavedIds]:
        (saved,) = self.say(0).saved
        assert saved.checkpoint is not None
        assert saved.ids is not None
        return saved.checkpoint, saved.ids


def updates(records: Sequence[Outgoing]) -> list[WindowUpdates]:
    return [decode_updates(record.value) for record in records if record.topic == WINDOWS.name]


def rows(emission: Emission, kind: UpdateKind) -> list[tuple[object, ...]]:
    found = [tuple(row) for one in updates(emission.records) if one.kind is kind for row in one.rows]
    return sorted(found, key=repr)


def parts(emission: Emission) -> list[tuple[int, PartUpdates]]:
    return [
        (record.partition if record.partition is not None else -1, decode_parts(record.value))
        for record in emission.records
        if record.topic == PARTIALS.name
    ]


def late(emission: Emission) -> list[LateEvent]:
    return [decode_late(record.value) for record in emission.records if record.topic == LATE.name]


def restored_of(saved: Saved) -> Restored:
    assert saved.checkpoint is not None
    ids = [] if saved.ids is None else [(number, found) for number, found in saved.ids.buckets if len(found)]
    return Restored(saved.checkpoint.next_offset, saved.checkpoint, ids)


def test_changes_hold_the_state_of_a_window_so_far_and_where_it_is_from() -> None:
    """Not the difference: a reader keeps the newest, and a repeated one says the same again."""
    bench = Bench().open()
    bench.take([value("a", 1), value("b", 2, user="u2", price=5)])
    first = bench.say()
    assert rows(first, UpdateKind.CHANGE) == [("u1", T, T + SIZE, 1, 1.0), ("u2", T, T + SIZE, 1, 5.0)]
    (record,) = first.records
    assert (record.topic, record.partition, record.key) == (WINDOWS.name, 0, None)
    (said,) = updates(first.records)
    assert (said.window, said.version, said.source_topic, said.source_log, said.source_partition) == (
        "by_user",
        1,
        EVENTS.name,
        LOG,
        0,
    )
    assert (said.next_offset, said.watermark_ms, said.aggregates) == (2, T + 2000, ("total",))
    bench.take([value("c", 3)])
    assert rows(bench.say(), UpdateKind.CHANGE) == [("u1", T, T + SIZE, 2, 2.0)]
    assert bench.say().records == []


def test_windows_are_final_when_the_watermark_reaches_their_end_and_are_not_told_as_changes_too() -> None:
    bench = Bench().open()
    bench.take([value("a", 1), value("b", 12)])
    said = bench.say()
    assert rows(said, UpdateKind.FINAL) == [("u1", T, T + SIZE, 1, 1.0)]
    assert rows(said, UpdateKind.CHANGE) == [("u1", T + SIZE, T + 2 * SIZE, 1, 1.0)]
    bench.take([value("c", 13)])
    assert rows(bench.say(), UpdateKind.FINAL) == []


def test_late_events_are_told_with_their_place_and_the_watermark_that_they_met() -> None:
    """They are counted in none of the windows that are named, and the key is that of the event."""
    bench = Bench([BY_USER, defined("patient", lateness_ms=60_000)]).open()
    bench.take([value("a", 1), value("b", 25), value("c", 2)])
    said = bench.say()
    (event,) = late(said)
    assert (event.event_id, event.windows, event.watermark_ms) == ("c", ("by_user",), T + 25_000)
    assert (event.source_topic, event.source_log, event.source_partition, event.source_offset) == (
        EVENTS.name,
        LOG,
        0,
        2,
    )
    assert [record.key for record in said.records if record.topic == LATE.name] == [b"c"]
    assert ("u1", T, T + SIZE, 2, 2.0) in rows(said, UpdateKind.CHANGE)
    assert rows(said, UpdateKind.FINAL) == [("u1", T, T + SIZE, 1, 1.0)]
    assert late(bench.say()) == []


def test_repeated_events_count_once_and_are_not_late() -> None:
    bench = Bench().open()
    bench.take([value("a", 1), value("a", 1), value("b", 25), value("a", 1)])
    said = bench.say()
    assert rows(said, UpdateKind.FINAL) == [("u1", T, T + SIZE, 1, 1.0)]
    assert late(said) == []
    careless = Bench(deduplicate=False).open()
    careless.take([value("a", 1), value("a", 1)])
    assert rows(careless.say(), UpdateKind.CHANGE) == [("u1", T, T + SIZE, 2, 2.0)]


def test_stage_takes_each_offset_once() -> None:
    """Repeated batches, a gap, an overlap, another partition and another incarnation."""
    bench = Bench().open()
    values = [value(f"e{number}", number) for number in range(6)]
    assert bench.take(values[:3], start=0) is Admission.TAKE
    assert bench.take(values[:2], start=0) is Admission.REPEATED
    assert bench.take(values[4:], start=4) is Admission.GAP
    assert bench.take(values[1:5], start=1) is Admission.TAKE
    assert bench.take(values[:1], partition=1) is Admission.NOT_OWNED
    batch = a_batch([(5, values[5])], start=5, next_offset=6)
    assert bench.stage.take(decode_events(batch, "another", NOW), 6) is Admission.NOT_OWNED
    assert bench.stage.position(0, LOG) == 5
    assert bench.stage.position(0, "another") is None
    assert rows(bench.say(), UpdateKind.CHANGE) == [("u1", T, T + SIZE, 5, 5.0)]
    bench.stage.release([0])
    assert bench.take(values[5:], start=5) is Admission.NOT_OWNED


def test_what_is_told_to_records_is_told_to_the_listener_too() -> None:
    bench = Bench().open()
    bench.take([value("a", 1), value("b", 12)])
    bench.say()
    assert bench.told == [
        ("by_user", [("u1", T + SIZE, T + 2 * SIZE, 1, 1.0)]),
        ("by_user", [("u1", T, T + SIZE, 1, 1.0)]),
    ]


def test_many_windows_are_told_in_records_that_a_broker_takes() -> None:
    bench = Bench().open()
    count = windowing.ROWS_PER_RECORD + 1
    bench.take([value(f"e{number}", 1, user=f"u{number}") for number in range(count)])
    assert [len(one.rows) for one in updates(bench.say().records)] == [windowing.ROWS_PER_RECORD, 1]


def test_idle_partition_closes_its_windows_by_the_clock_and_no_more_than_those() -> None:
    """Saved before it is told. The watermark goes as far as the last open window needs, however long nothing comes."""
    bench = Bench().open()
    bench.take([value("a", 1)])
    bench.say(0)
    bench.now_s += IDLE_S + 8
    assert bench.stage.rest(bench.now_s) == [], "the clock would be at 9 s: no window ends"
    bench.now_s += 1000
    (saved,) = bench.stage.rest(bench.now_s)
    assert saved.checkpoint is not None
    assert (saved.partition, saved.checkpoint.next_offset, saved.checkpoint.watermark_ms) == (0, 1, T + SIZE)
    assert rows(bench.say(), UpdateKind.FINAL) == [("u1", T, T + SIZE, 1, 1.0)]
    assert bench.stage.rest(bench.now_s) == []
    # The next events are old, as in a replay; their windows have not been closed.
    bench.take([value("b", 11), value("c", 1.5)])
    said = bench.say()
    assert rows(said, UpdateKind.CHANGE) == [("u1", T + SIZE, T + 2 * SIZE, 1, 1.0)]
    assert [event.event_id for event in late(said)] == ["c"]


def test_partition_that_nobody_answers_for_is_not_idle() -> None:
    """The broker was away, or this process was stopped: what came meanwhile would meet a clock that is ahead."""
    bench = Bench().open()
    bench.take([value("a", 1)])
    bench.now_s += 1000
    bench.heard_for_s = IDLE_S - 1
    assert bench.stage.rest(bench.now_s) == []
    bench.heard_for_s = IDLE_S + SIZE / 1000
    assert len(bench.stage.rest(bench.now_s)) == 1


def test_idle_partition_closes_windows_one_after_the_other_as_the_clock_passes_them() -> None:
    bench = Bench([BY_USER, defined("minute", size_ms=60_000)]).open()
    bench.take([value("a", 1)])
    bench.say(0)
    bench.now_s += IDLE_S + 15
    (saved,) = bench.stage.rest(bench.now_s)
    assert saved.checkpoint is not None
    assert saved.checkpoint.watermark_ms == T + 16_000
    assert [name.window for name in updates(bench.say().records)] == ["by_user"]
    bench.now_s += 60
    assert len(bench.stage.rest(bench.now_s)) == 1
    assert [name.window for name in updates(bench.say().records)] == ["minute"]


def test_partition_that_is_behind_the_end_of_its_log_is_not_idle() -> None:
    """The events are there and have not been fetched yet: a slow worker is not a silent source."""
    bench = Bench().open()
    bench.take([value("a", 1)], end=500)
    bench.say(0)
    bench.now_s += 1000
    assert bench.stage.rest(bench.now_s) == []


def test_partition_without_events_is_idle_and_has_nothing_to_close() -> None:
    bench = Bench([BY_STORE]).open()
    bench.now_s += 1000
    assert bench.stage.rest(bench.now_s) == []
    said = parts(bench.say())
    assert {one.is_idle for _, one in said} == {True}
    assert {one.watermark_ms for _, one in said} == {int(BEFORE_ALL)}


def test_worker_restored_from_an_idle_checkpoint_tells_what_the_clock_had_closed() -> None:
    """It died between the state and the news: the results come, and the same events meet the same watermark."""
    bench = Bench().open()
    bench.take([value("a", 1)])
    bench.say(0)
    bench.now_s += IDLE_S + 1000
    (saved,) = bench.stage.rest(bench.now_s)
    heir = Bench().open(restored=restored_of(saved))
    assert rows(heir.say(), UpdateKind.FINAL) == [("u1", T, T + SIZE, 1, 1.0)]
    heir.take([value("c", 1.5)])
    assert [event.event_id for event in late(heir.say())] == ["c"]


def test_checkpoint_is_taken_where_something_has_moved_and_holds_the_ids_since_the_last_one() -> None:
    bench = Bench().open()
    assert bench.say(0).saved != [], "a partition without a checkpoint is saved whatever it holds"
    assert bench.say(0).saved == []
    bench.take([value("a", 1), value("b", 1)])
    checkpoint, ids = bench.save()
    assert checkpoint.next_offset == 2
    assert (ids.first, ids.next_offset, sum(len(found) for _, found in ids.buckets)) == (0, 2, 2)
    bench.take([value("b", 1), value("c", 1)])
    _, ids = bench.save()
    assert (ids.first, ids.next_offset, sum(len(found) for _, found in ids.buckets)) == (2, 4, 1)
    assert bench.say(0).saved == []


def test_restored_stage_says_what_the_first_one_would_have_said() -> None:
    """Open windows, the watermark, the ids, and nothing of what was final."""
    bench = Bench().open()
    bench.take([value("a", 1), value("b", 12), value("c", 13, user="u2")])
    (saved,) = bench.say(0).saved
    heir = Bench().open(restored=restored_of(saved))
    following = [value("b", 12), value("d", 3), value("e", 14), value("f", 30)]
    for stage in (bench, heir):
        stage.take(following)
    one, other = bench.say(), heir.say()
    for kind in UpdateKind:
        assert rows(one, kind) == rows(other, kind)
    assert late(one) == late(other)
    assert rows(one, UpdateKind.FINAL) == [
        ("u1", T + SIZE, T + 2 * SIZE, 2, 2.0),
        ("u2", T + SIZE, T + 2 * SIZE, 1, 1.0),
    ]


@pytest.mark.parametrize("change", [{"version": 2}, {"size_ms": 20_000}, {"event_names": frozenset({"page_view"})}])
def test_definition_that_has_changed_starts_empty_and_the_others_go_on(change: dict[str, object]) -> None:
    """State that another meaning left behind is of no use; the watermark holds all the same."""
    bench = Bench([BY_USER, defined("other")]).open()
    bench.take([value("a", 1)])
    (saved,) = bench.say(0).saved
    changed = dataclasses.replace(BY_USER, **change)  # type: ignore[arg-type]
    heir = Bench([changed, defined("other"), defined("new")]).open(restored=restored_of(saved))
    heir.take([value("b", 2)])
    counts = {one.window: one.rows[0][3] for one in updates(heir.say().records)}
    assert counts == {"by_user": 1, "other": 2, "new": 1}


def test_id_files_are_needed_from_the_first_offset_of_the_oldest_bucket() -> None:
    """Buckets of 20 s, the six before the newest are kept; files of older ones may go."""
    bench = Bench().open()
    needed = []
    for number in range(10):
        bench.take([value(f"e{number}", 20 * number)])
        (saved,) = bench.say(0).saved
        needed.append(saved.ids_needed_from)
    assert needed == [0, 0, 0, 0, 0, 0, 0, 1, 2, 3]


def test_parts_of_a_key_go_to_one_partition_from_everywhere() -> None:
    """Cumulative, with the state of every aggregate; each target hears of the watermark though it gets no rows."""
    bench = Bench([BY_STORE]).open(0, 1)
    for partition in (0, 1):
        stores = [f"s{number}" for number in range(20)]
        bench.take([value(f"{partition}{store}", 1, store=store) for store in stores], partition=partition)
    said = parts(bench.say(partitions=(0, 1)))
    targets: dict[str, set[int]] = {}
    for target, one in said:
        for row in one.rows:
            targets.setdefault(row[0], set()).add(target)
            assert target == part_partition(row[0], 4)
    assert len(targets) == 20
    assert all(len(found) == 1 for found in targets.values())
    assert {(target, one.source_partition) for target, one in said} == {(t, p) for t in range(4) for p in (0, 1)}
    assert {one.watermark_ms for _, one in said} == {T + 1000}
    assert {one.source_partitions for _, one in said} == {EVENTS.partitions}
    assert all(one.columns == ("counts:price", "sums:price") for _, one in said)
    assert updates(bench.say(partitions=(0, 1)).records) == []


def test_events_without_the_key_field_are_in_no_part_and_null_is_a_key() -> None:
    bench = Bench([BY_STORE], part_partitions=1).open()
    nothing = encode_event(an_event("n", payload={"price": 1, "store_id": None}, occurred_at=at(1), received_at=at(1)))
    bench.take([value("a", 1, store=None), nothing])
    ((_, said),) = parts(bench.say())
    assert [tuple(row) for row in said.rows] == [(None, T, T + SIZE, 1, 1, 1.0)]


def test_parts_are_told_rarely_but_before_every_checkpoint() -> None:
    """A part that was not told when its state was saved would be told no more."""
    bench = Bench([BY_STORE], part_partitions=1).open()
    bench.take([value("a", 1)])
    assert len(parts(bench.say())) == 1
    bench.now_s += windowing.PARTS_INTERVAL_S / 2
    bench.take([value("b", 2)])
    assert parts(bench.say()) == []
    ((_, said),) = parts(bench.say(0))
    assert [tuple(row) for row in said.rows] == [("s1", T, T + SIZE, 2, 2, 2.0)]
    bench.take([value("c", 3)])
    assert parts(bench.say()) == []
    bench.now_s += 2 * windowing.PARTS_INTERVAL_S
    ((_, said),) = parts(bench.say())
    assert said.rows[0][3] == 3


def test_part_that_has_ended_is_told_whole_and_final_before_the_watermark_that_ended_it() -> None:
    bench = Bench([BY_STORE], part_partitions=1).open()
    bench.take([value("a", 1)])
    bench.say()
    bench.now_s += 1
    bench.take([value("b", 2), value("c", 15)])
    (_, ended), (_, opened) = parts(bench.say())
    assert [(row[0], row[1], row[3]) for row in ended.rows] == [("s1", T, 2)]
    assert (ended.kind, ended.watermark_ms) == (UpdateKind.FINAL, None)
    assert [(row[0], row[1], row[3]) for row in opened.rows] == [("s1", T + SIZE, 1)]
    assert (opened.kind, opened.watermark_ms) == (UpdateKind.CHANGE, T + 15_000)


def test_watermark_alone_is_told_now_and_then() -> None:
    """A source whose events have no such key would hold up the windows of the others."""
    bench = Bench([BY_STORE], part_partitions=1).open()
    bench.take([value("a", 1, store=None)])
    bench.say()
    bench.take([value("b", 2, store=None)])
    bench.now_s += windowing.HEARTBEAT_INTERVAL_S / 2
    assert parts(bench.say()) == []
    bench.now_s += windowing.HEARTBEAT_INTERVAL_S
    ((_, said),) = parts(bench.say())
    assert (said.rows, said.watermark_ms, said.next_offset) == ([], T + 2000, 2)
    bench.now_s += 100
    assert parts(bench.say()) == []


def test_many_parts_are_told_in_records_of_which_only_the_last_moves_the_watermark(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A reader that has not had all of an emission must not close windows by it."""
    monkeypatch.setattr(windowing, "PART_ROWS_PER_RECORD", 3)
    bench = Bench([BY_STORE], part_partitions=1).open()
    bench.take([value(f"e{number}", 1, store=f"s{number}") for number in range(7)])
    said = [one for _, one in parts(bench.say())]
    assert [len(one.rows) for one in said] == [3, 3, 1]
    assert [one.watermark_ms for one in said] == [None, None, T + 1000]


def test_log_that_is_over_ends_its_windows_as_they_stand() -> None:
    """What was saved of it, then what landed after that; all of it is final, and its state may go."""
    bench = Bench().open()
    bench.take([value("a", 1)])
    (saved,) = bench.say(0).saved
    batch = a_batch([(0, value("a", 1)), (1, value("b", 2))], start=0, next_offset=2)
    tail = decode_events(batch, LOG, NOW).events
    assert tail is not None
    said = Bench().stage.finish(LOG, 0, restored_of(saved), [tail])
    assert rows(said, UpdateKind.FINAL) == [("u1", T, T + SIZE, 2, 2.0)]
    ((gone),) = said.saved
    assert (gone.log, gone.partition, gone.checkpoint) == (LOG, 0, None)
