"""The windows of a partition together: which events count where, and how far silence may take the watermark."""

from typing import Any

import pytest

from platform_assets.contracts.windows import Aggregate, AggregateFunction, WindowDefinition, WindowType
from platform_assets.windows.engine import PartitionWindows
from platform_assets.windows.watermark import BEFORE_ALL
from tests.platform_assets.windows.oracle import Record
from tests.platform_assets.windows.random_streams import RecordColumns

TOTAL = (Aggregate(name="total", function=AggregateFunction.SUM, field="price"),)


def defined(name: str = "w", **changes: Any) -> WindowDefinition:
    fields: dict[str, Any] = {
        "key_field": "user_id",
        "window_type": WindowType.TUMBLING,
        "size_ms": 10,
        "aggregates": TOTAL,
    }
    return WindowDefinition(name=name, **{**fields, **changes})


def record(offset: int, time_ms: int, *, event_id: str | None = None, name: str = "bought", **fields: Any) -> Record:
    return Record(offset, event_id or f"e{offset}", time_ms, time_ms, name, {"user_id": "u", "price": 1, **fields})


def process(engine: PartitionWindows, *records: Record) -> tuple[dict[int, tuple[str, ...]], dict[int, int], int]:
    taken = engine.process(RecordColumns(records))
    return dict(taken.late), dict(taken.late_watermarks_ms), taken.duplicates


def changed(engine: PartitionWindows, name: str = "w") -> list[tuple[Any, ...]]:
    rows = engine.collect().changed.get(name)
    return [] if rows is None else rows.as_tuples()


def test_late_events_are_told_by_position_with_all_the_definitions_and_the_watermark() -> None:
    engine = PartitionWindows(
        [defined("short", size_ms=20), defined("long", size_ms=100), defined("shorter", size_ms=5)]
    )
    assert process(engine, record(0, 50), record(1, 3), record(2, 49)) == (
        {1: ("short", "shorter"), 2: ("shorter",)},
        {1: 50, 2: 50},
        0,
    )


def test_duplicates_count_nowhere_but_move_the_watermark() -> None:
    """A repeated record is a record of the log all the same."""
    engine = PartitionWindows([defined()])
    assert process(engine, record(0, 1), record(1, 25, event_id="e0")) == ({}, {}, 1)
    assert engine.watermark.value_ms == 25
    assert engine.collect().closed["w"].as_tuples() == [("u", 0, 10, 1, 1.0)]
    assert process(engine, record(2, 1, event_id="e0")) == ({}, {}, 1)


def test_engine_without_deduplication_counts_everything() -> None:
    engine = PartitionWindows([defined()], deduplicate=False)
    assert process(engine, record(0, 1), record(1, 1, event_id="e0")) == ({}, {}, 0)
    assert changed(engine) == [("u", 0, 10, 2, 2.0)]


def test_events_of_other_names_count_in_no_window_and_move_the_watermark() -> None:
    engine = PartitionWindows([defined(event_names=frozenset({"bought"}))])
    assert process(engine, record(0, 1), record(1, 2, name="seen"), record(2, 30, name="seen")) == ({}, {}, 0)
    assert engine.collect().closed["w"].as_tuples() == [("u", 0, 10, 1, 1.0)]
    assert process(engine, record(3, 4, name="seen")) == ({}, {}, 0), "what counts nowhere is late nowhere"


@pytest.mark.parametrize(
    ("value", "key"), [("a", "a"), ("", ""), (None, None), (True, "true"), (False, "false"), (3, "3"), (2.5, "2.5")]
)
def test_keys_are_text_and_what_json_writes_as_text(value: object, key: str | None) -> None:
    engine = PartitionWindows([defined(key_field="shelf")])
    process(engine, record(0, 1, shelf=value))
    assert [row[0] for row in changed(engine)] == [key]


@pytest.mark.parametrize("fields", [{}, {"shelf": [1]}, {"shelf": {"row": 1}}])
def test_events_without_a_usable_key_are_in_no_window(fields: dict[str, Any]) -> None:
    engine = PartitionWindows([defined(key_field="shelf")])
    assert process(engine, record(0, 1, **fields), record(1, 2, shelf="a")) == ({}, {}, 0)
    assert changed(engine) == [("a", 0, 10, 1, 1.0)]


def test_definitions_can_be_collected_at_their_own_pace() -> None:
    engine = PartitionWindows([defined("often"), defined("rarely", size_ms=100)])
    process(engine, record(0, 1))
    assert set(engine.collect(["often"]).changed) == {"often"}
    process(engine, record(1, 2))
    results = engine.collect()
    assert {name: rows.counts for name, rows in results.changed.items()} == {"often": [2], "rarely": [2]}


def test_window_that_closes_is_not_told_as_changed_too() -> None:
    engine = PartitionWindows([defined()])
    process(engine, record(0, 1), record(1, 15))
    results = engine.collect()
    assert results.closed["w"].as_tuples() == [("u", 0, 10, 1, 1.0)]
    assert results.changed["w"].as_tuples() == [("u", 10, 20, 1, 1.0)]
    assert engine.collect().closed == {}


def test_silence_takes_the_watermark_to_where_the_open_windows_end_and_no_further() -> None:
    engine = PartitionWindows([defined("short"), defined("long", size_ms=100, lateness_ms=7)])
    assert engine.idle_target_ms(10**9) is None, "nothing is open"
    process(engine, record(0, 1))
    assert engine.idle_target_ms(9) is None
    assert engine.idle_target_ms(10) == 10
    assert engine.idle_target_ms(50) == 50
    assert engine.idle_target_ms(10**9) == 107


def test_batch_without_records_changes_nothing() -> None:
    """A range of the log that holds only gaps or poison."""
    engine = PartitionWindows([defined()])
    assert process(engine) == ({}, {}, 0)
    assert engine.watermark.value_ms == BEFORE_ALL
    assert (engine.collect().changed, engine.open_count) == ({}, 0)


def test_snapshot_holds_the_clock_and_the_watermark_and_what_happens_afterwards_does_not_change_it() -> None:
    engine = PartitionWindows([defined()])
    process(engine, record(0, 5))
    snapshot = engine.snapshot()
    process(engine, record(1, 6), record(2, 500))
    engine.collect()
    heir = PartitionWindows([defined(), defined("new")])
    heir.restore(snapshot)
    assert (heir.watermark.value_ms, snapshot.clock_ms) == (5, 5)
    process(heir, record(3, 7))
    assert {name: rows.counts for name, rows in heir.collect().changed.items()} == {"w": [2], "new": [1]}


def test_results_of_parts_are_states_to_be_merged() -> None:
    engine = PartitionWindows([defined()], parts_of=frozenset({"w"}))
    process(engine, record(0, 1), record(1, 2, price=None))
    assert changed(engine) == [("u", 0, 10, 2, 1, 1.0)]
