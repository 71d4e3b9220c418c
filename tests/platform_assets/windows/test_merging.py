"""Parts of windows become one result: which parts count, when a window closes, and what can not bring it back."""

from typing import Any

import pytest

from platform_assets.contracts.windows import Aggregate, AggregateFunction, WindowDefinition, WindowType
from platform_assets.windows.merging import MergedWindows, Part
from platform_assets.windows.open_windows import Rows
from platform_assets.windows.watermark import BEFORE_ALL

TUMBLING = WindowDefinition(
    name="tumbling",
    key_field="store_id",
    window_type=WindowType.TUMBLING,
    size_ms=10,
    aggregates=(Aggregate(name="total", function=AggregateFunction.SUM, field="price"),),
)
SESSION = WindowDefinition(
    name="session",
    key_field="store_id",
    window_type=WindowType.SESSION,
    size_ms=10,
    aggregates=TUMBLING.aggregates,
)


def part(
    start: int, end: int, next_offset: int, events: int = 1, *, key: str | None = "s", final: bool = False
) -> Part:
    """Events of a dollar each."""
    state = {"events": events, "counts:price": events, "sums:price": float(events)}
    return Part(key, start, end, next_offset, state, final)


def tuples(rows: Rows) -> list[tuple[Any, ...]]:
    return sorted(rows.as_tuples())


def changed(merged: MergedWindows) -> list[tuple[Any, ...]]:
    return tuples(merged.collect()[0])


def closed(merged: MergedWindows) -> list[tuple[Any, ...]]:
    return tuples(merged.collect()[1])


def test_parts_of_all_sources_become_one_result() -> None:
    merged = MergedWindows(TUMBLING, 3)
    for source in range(3):
        merged.take(source, [part(0, 10, 5, source + 1), part(0, 10, 5, key=None)])
    assert sorted(merged.collect()[0].as_tuples(), key=repr) == [("s", 0, 10, 6, 6.0), (None, 0, 10, 3, 3.0)]
    merged.take(1, [part(0, 10, 9, 7)])
    assert changed(merged) == [("s", 0, 10, 11, 11.0)]
    assert changed(merged) == []


def test_newest_state_of_a_source_is_all_there_is_to_know_of_it() -> None:
    """Cumulative states: what was published again, before or after, changes nothing."""
    merged = MergedWindows(TUMBLING, 1)
    merged.take(0, [part(0, 10, 4, 2)])
    merged.take(0, [part(0, 10, 8, 5)])
    assert changed(merged) == [("s", 0, 10, 5, 5.0)]
    merged.take(0, [part(0, 10, 8, 5), part(0, 10, 4, 2), part(0, 10, 6, 3)])
    assert changed(merged) == []
    merged.advance(0, 8, 9, False)
    assert merged.take(0, [part(0, 10, 8, 5)]) == []
    assert changed(merged) == []


def test_window_closes_at_the_smallest_watermark_of_all_sources() -> None:
    """One that has not been heard of holds all windows up: nobody knows what it will bring."""
    merged = MergedWindows(TUMBLING, 3)
    merged.take(0, [part(0, 10, 5)])
    merged.advance(0, 5, 100, False)
    merged.advance(1, 5, 9, False)
    assert merged.watermark_ms == BEFORE_ALL
    assert closed(merged) == []
    merged.advance(2, 5, 50, False)
    assert merged.watermark_ms == 9
    assert closed(merged) == []
    merged.advance(1, 6, 10, False)
    assert closed(merged) == [("s", 0, 10, 1, 1.0)]
    assert closed(merged) == []
    assert len(merged) == 0


def test_idle_source_lets_go_of_what_others_had_reached_when_it_last_said_so() -> None:
    """An event that came to all sources at once has woken it by its next word; one that is dead has no next word."""
    merged = MergedWindows(TUMBLING, 2)
    merged.take(0, [part(0, 10, 5)])
    merged.advance(1, 0, int(BEFORE_ALL), True)
    merged.advance(0, 5, 40, False)
    merged.advance(1, 0, int(BEFORE_ALL), True)
    assert closed(merged) == []
    merged.advance(1, 0, int(BEFORE_ALL), True)
    assert merged.watermark_ms == 40
    assert closed(merged) == [("s", 0, 10, 1, 1.0)]


def test_source_that_wakes_up_after_another_one_loses_nothing() -> None:
    merged = MergedWindows(TUMBLING, 2)
    for _ in range(3):
        merged.advance(0, 0, int(BEFORE_ALL), True)
        merged.advance(1, 0, int(BEFORE_ALL), True)
    merged.take(0, [part(0, 10, 5)])
    merged.advance(0, 5, 40, False)
    merged.advance(1, 0, int(BEFORE_ALL), True)
    assert merged.take(1, [part(0, 10, 3, 2)]) == []
    merged.advance(1, 3, 41, False)
    assert closed(merged) == [("s", 0, 10, 3, 3.0)]


def test_furthest_source_counts_where_all_are_idle() -> None:
    merged = MergedWindows(TUMBLING, 2)
    merged.take(0, [part(0, 10, 5)])
    for _ in range(2):
        merged.advance(0, 5, 40, True)
        merged.advance(1, 5, 3, True)
    assert closed(merged) == []
    merged.advance(0, 5, 40, True)
    assert merged.watermark_ms == 40
    assert closed(merged) == [("s", 0, 10, 1, 1.0)]


@pytest.mark.parametrize("restored", [False, True])
def test_source_that_wakes_up_further_back_opens_nothing_that_is_closed(restored: bool) -> None:
    """Its window would have a second final result, of its own events alone; it is told as late instead."""
    merged = MergedWindows(TUMBLING, 2)
    merged.take(0, [part(0, 10, 5)])
    merged.advance(0, 5, 40, False)
    for _ in range(2):
        merged.advance(1, 3, 4, True)
    assert closed(merged) == [("s", 0, 10, 1, 1.0)]
    merged.advance(1, 4, 5, False)
    if restored:
        snapshot, merged = merged.snapshot(), MergedWindows(TUMBLING, 2)
        merged.restore(snapshot)
    assert merged.watermark_ms == 40
    (late,) = merged.take(1, [part(0, 10, 6, 2)])
    assert (late.start_ms, late.state["events"]) == (0, 2)
    merged.advance(1, 6, 11, False)
    merged.advance(0, 9, 60, False)
    assert merged.collect()[0].as_tuples() == []
    assert closed(merged) == []


def test_part_that_comes_after_the_end_is_late_once_and_only_where_it_has_events() -> None:
    merged = MergedWindows(TUMBLING, 1)
    merged.advance(0, 5, 50, False)
    assert merged.take(0, [part(0, 10, 4, 3)]) == [], "the source has told all as of 5 before"
    assert merged.take(0, [part(0, 10, 6, 0)]) == [], "a withdrawal of what is gone"
    (late,) = merged.take(0, [part(0, 10, 7, 3)])
    assert late.next_offset == 7
    assert merged.take(0, [part(50, 60, 7, 3)]) == []


def test_sessions_that_overlap_are_one_and_are_told_withdrawn_where_their_start_moves() -> None:
    """The reader knew one that began at 20; it began at 5, says another source."""
    merged = MergedWindows(SESSION, 2)
    merged.take(0, [part(20, 30, 5)])
    assert changed(merged) == [("s", 20, 30, 1, 1.0)]
    merged.take(1, [part(5, 21, 5, 2)])
    assert changed(merged) == [("s", 5, 30, 3, 3.0), ("s", 20, 30, 0, None)]
    merged.take(1, [part(40, 50, 6), part(30, 40, 6)])
    assert changed(merged) == [("s", 30, 40, 1, 1.0), ("s", 40, 50, 1, 1.0)], "sessions that touch are two"


def test_session_waits_for_another_gap_since_a_source_may_still_join_it() -> None:
    """An event of the other source that is in time there can begin up to a gap before the watermark."""
    merged = MergedWindows(SESSION, 2)
    merged.take(0, [part(0, 10, 5, final=True)])
    for source in (0, 1):
        merged.advance(source, 5, 19, False)
    assert closed(merged) == []
    merged.take(1, [part(9, 19, 6)])
    for source in (0, 1):
        merged.advance(source, 6, 29, False)
    assert closed(merged) == [("s", 0, 19, 2, 2.0)]


def test_final_part_and_one_that_begins_where_it_began_are_two() -> None:
    """A session has ended at its source; an event in time makes another one with the same start."""
    merged = MergedWindows(SESSION, 1)
    merged.take(0, [part(0, 10, 5)])
    merged.take(0, [part(0, 10, 6, 2, final=True), part(0, 12, 6, 1)])
    assert changed(merged) == [("s", 0, 12, 3, 3.0)]
    merged.take(0, [part(0, 12, 7, 2)])
    assert changed(merged) == [("s", 0, 12, 4, 4.0)]


def test_session_that_its_source_withdraws_is_gone() -> None:
    """Its start has moved at the source: the state without events and the new part come together."""
    merged = MergedWindows(SESSION, 1)
    merged.take(0, [part(20, 30, 5)])
    merged.collect()
    merged.take(0, [part(20, 30, 6, 0), part(12, 30, 6, 2)])
    assert changed(merged) == [("s", 12, 30, 2, 2.0), ("s", 20, 30, 0, None)]
    merged.take(0, [part(12, 30, 7, 0)])
    assert changed(merged) == [("s", 12, 30, 0, None)]
    assert len(merged) == 0


def test_news_from_before_a_crash_do_not_bring_a_withdrawn_session_back() -> None:
    """A source that was restored from an older checkpoint tells again what it had told then."""
    merged = MergedWindows(SESSION, 1)
    merged.take(0, [part(20, 30, 5)])
    merged.advance(0, 5, 20, False)
    merged.take(0, [part(20, 30, 8, 0), part(12, 30, 8, 2)])
    merged.advance(0, 8, 21, False)
    merged.collect()
    merged.take(0, [part(20, 30, 5), part(20, 30, 6)])
    merged.advance(0, 6, 20, False)
    assert changed(merged) == []
    assert merged.watermark_ms == 21


def test_lateness_delays_the_end() -> None:
    patient = WindowDefinition(
        name="patient", key_field="store_id", window_type=WindowType.TUMBLING, size_ms=10, lateness_ms=5
    )
    merged = MergedWindows(patient, 1)
    merged.take(0, [part(0, 10, 5)])
    merged.advance(0, 5, 14, False)
    assert closed(merged) == []
    merged.advance(0, 6, 15, False)
    assert closed(merged) == [("s", 0, 10, 1)]


def test_sums_are_the_same_to_the_last_bit_whatever_order_the_parts_come_in() -> None:
    def total(order: list[int]) -> float:
        merged = MergedWindows(TUMBLING, 3)
        for source in order:
            price = [0.1, 0.2, 1e16][source]
            state = {"events": 1, "counts:price": 1, "sums:price": price}
            merged.take(source, [Part("s", 0, 10, 1, state)])
        return float(merged.collect()[0].values[0][0])

    assert total([0, 1, 2]) == total([2, 1, 0]) == total([1, 2, 0])


def test_snapshot_is_a_copy_and_its_heir_goes_on_alike() -> None:
    merged = MergedWindows(SESSION, 2)
    merged.take(0, [part(0, 10, 5), part(0, 10, 5, key=None)])
    merged.advance(0, 5, 3, False)
    merged.advance(1, 1, 2, True)
    snapshot = merged.snapshot()
    merged.take(0, [part(0, 10, 6, 0)])
    merged.advance(0, 6, 90, False)
    heir = MergedWindows(SESSION, 2)
    heir.restore(snapshot)
    heir.collect()
    heir.take(1, [part(9, 19, 2)])
    heir.advance(0, 6, 90, False)
    heir.advance(1, 2, 90, False)
    assert sorted(heir.collect()[1].as_tuples(), key=repr) == [("s", 0, 19, 2, 2.0), (None, 0, 10, 1, 1.0)]


def test_windows_of_sources_that_are_over_end_as_they_stand() -> None:
    merged = MergedWindows(TUMBLING, 2)
    merged.take(0, [part(0, 10, 5), part(30, 40, 5)])
    assert tuples(merged.end()) == [("s", 0, 10, 1, 1.0), ("s", 30, 40, 1, 1.0)]
    assert len(merged) == 0
    assert tuples(merged.end()) == []
