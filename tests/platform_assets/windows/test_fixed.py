"""Tumbling and sliding windows: which ones an event falls into, which it is late for, and when they close."""

from typing import Any

import numpy as np
import pytest

from platform_assets.contracts.windows import Aggregate, AggregateFunction, WindowDefinition, WindowType
from platform_assets.windows.columns import Ints
from platform_assets.windows.fixed import FixedWindows
from platform_assets.windows.open_windows import Key, Rows
from platform_assets.windows.watermark import BEFORE_ALL


def tumbling(size_ms: int = 10, **changes: Any) -> FixedWindows:
    return windows(window_type=WindowType.TUMBLING, size_ms=size_ms, **changes)


def sliding(size_ms: int, slide_ms: int | None = None, **changes: Any) -> FixedWindows:
    return windows(window_type=WindowType.SLIDING, size_ms=size_ms, slide_ms=slide_ms, **changes)


def windows(**changes: Any) -> FixedWindows:
    aggregates = (Aggregate(name="total", function=AggregateFunction.SUM, field="price"),)
    return FixedWindows(WindowDefinition(name="w", key_field="user_id", aggregates=aggregates, **changes))


def ints(*values: int) -> Ints:
    return np.array(values, dtype=np.int64)


def add(found: FixedWindows, *times: int, keys: list[Key] | None = None, before: int | None = None) -> list[bool]:
    """Events of a dollar each, all of which meet one watermark."""
    met = ints(*[int(BEFORE_ALL) if before is None else before] * len(times))
    late: list[bool] = found.add(ints(*times), keys or ["k"] * len(times), met, {"price": [1] * len(times)}).tolist()
    return late


def spans(rows: Rows) -> list[tuple[int, int, int]]:
    return sorted(zip(rows.starts_ms, rows.ends_ms, rows.counts, strict=True))


def test_window_holds_its_start_and_not_its_end() -> None:
    found = tumbling()
    add(found, 0, 9, 10, 19, 20)
    assert spans(found.changed()) == [(0, 10, 2), (10, 20, 2), (20, 30, 1)]


def test_windows_before_the_epoch_are_aligned_like_the_others() -> None:
    found = tumbling()
    add(found, -1, -10, -11)
    assert spans(found.changed()) == [(-20, -10, 1), (-10, 0, 2)]


@pytest.mark.parametrize(
    ("size_ms", "slide_ms", "starts"),
    [
        (10, 5, [10, 15]),
        (10, 10, [10]),
        (10, 3, [9, 12, 15]),
        (10, 4, [8, 12, 16]),
        (10, 1, list(range(8, 18))),
        (10, None, [10, 15]),
        (1, 1, [17]),
    ],
)
def test_event_falls_into_every_window_that_contains_it(size_ms: int, slide_ms: int | None, starts: list[int]) -> None:
    """Also where the slide does not divide the size; by default a window slides by half of it."""
    found = sliding(size_ms, slide_ms)
    add(found, 17)
    assert sorted(found.changed().starts_ms) == starts


def test_event_is_late_only_where_all_of_its_windows_have_ended() -> None:
    found = sliding(10, 5)
    assert add(found, 17, before=19) == [False]
    assert spans(found.changed()) == [(10, 20, 1), (15, 25, 1)]
    assert add(found, 17, before=20) == [False]
    assert spans(found.changed()) == [(15, 25, 2)]
    assert add(found, 17, before=25) == [True]
    assert spans(found.changed()) == []


def test_lateness_is_allowed_to_the_millisecond() -> None:
    found = tumbling(lateness_ms=5)
    assert [add(found, 3, before=watermark)[0] for watermark in (14, 15, 16)] == [False, True, True]
    assert spans(found.close(14)) == []
    assert spans(found.close(15)) == [(0, 10, 1)]
    assert spans(found.close(100)) == []


def test_first_event_is_never_late_however_long_the_lateness() -> None:
    """The watermark of an empty partition is the least integer: nothing may be taken off it."""
    found = tumbling(lateness_ms=2**40)
    assert add(found, -(2**50)) == [False]


def test_closed_windows_come_in_the_order_of_their_starts_and_are_gone() -> None:
    found = tumbling()
    add(found, 25, 5, 15, keys=["b", "a", None])
    assert found.closing_span_ms() == (10, 30)
    rows = found.close(20)
    assert list(zip(rows.keys, rows.starts_ms, strict=True)) == [("a", 0), (None, 10)]
    assert len(found) == 1
    assert found.closing_span_ms() == (30, 30)
    assert found.changed().keys == ["b"]
    found.close(30)
    assert found.closing_span_ms() is None


def test_changes_are_told_once_and_with_the_whole_state() -> None:
    found = tumbling()
    add(found, 1, 2, keys=["a", "b"])
    assert len(found.changed()) == 2
    add(found, 3, keys=["a"])
    assert found.changed().as_tuples() == [("a", 0, 10, 2, 2.0)]
    assert len(found.changed()) == 0


def test_many_keys_and_panes_in_one_batch_are_kept_apart() -> None:
    """More windows than there are slots at first, with one key many times."""
    found = tumbling()
    times = [number % 50 for number in range(3000)]
    keys: list[Key] = [f"k{number % 700}" for number in range(3000)]
    add(found, *times, keys=keys)
    expected: dict[tuple[Key, int], int] = {}
    for time, key in zip(times, keys, strict=True):
        expected[key, time // 10 * 10] = expected.get((key, time // 10 * 10), 0) + 1
    rows = found.changed()
    assert dict(zip(zip(rows.keys, rows.starts_ms, strict=True), rows.counts, strict=True)) == expected
    assert len(found) == len(expected)


def test_restored_windows_go_on_and_are_not_told_again() -> None:
    found = sliding(10, 5)
    add(found, 3, 8, keys=[None, "a"])
    heir = sliding(10, 5)
    heir.restore(found.snapshot())
    assert len(heir.changed()) == 0
    for one in (found, heir):
        add(one, 9, keys=["a"])
    found.changed()
    assert heir.closing_span_ms() == found.closing_span_ms()
    key = lambda row: (repr(row[0]), row[1:])  # noqa: E731
    assert sorted(heir.close(1000).as_tuples(), key=key) == sorted(found.close(1000).as_tuples(), key=key)
