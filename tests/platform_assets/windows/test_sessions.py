"""Sessions: what joins them, what ends them, and what is withdrawn when their start moves."""

from typing import Any

import numpy as np

from platform_assets.contracts.windows import Aggregate, AggregateFunction, WindowDefinition, WindowType
from platform_assets.windows.columns import Ints
from platform_assets.windows.open_windows import Key
from platform_assets.windows.sessions import SessionWindows
from platform_assets.windows.watermark import BEFORE_ALL

GAP = 10


def sessions(lateness_ms: int = 0) -> SessionWindows:
    return SessionWindows(
        WindowDefinition(
            name="w",
            key_field="user_id",
            window_type=WindowType.SESSION,
            size_ms=GAP,
            lateness_ms=lateness_ms,
            aggregates=(Aggregate(name="total", function=AggregateFunction.SUM, field="price"),),
        )
    )


def ints(*values: int) -> Ints:
    return np.array(values, dtype=np.int64)


def add(
    found: SessionWindows, *times: int, key: Key = "k", before: int = int(BEFORE_ALL), price: float = 1.0
) -> list[bool]:
    """Events of one key which all meet one watermark."""
    count = len(times)
    late: list[bool] = found.add(
        ints(*times), [key] * count, ints(*[before] * count), {"price": [price] * count}
    ).tolist()
    return late


def told(found: SessionWindows) -> list[tuple[Any, ...]]:
    return sorted(found.changed().as_tuples())


def test_events_nearer_than_the_gap_are_one_session_and_at_the_gap_two() -> None:
    found = sessions()
    add(found, 0, 9, 19)
    assert told(found) == [("k", 0, 19, 2, 2.0), ("k", 19, 29, 1, 1.0)]


def test_keys_have_sessions_of_their_own() -> None:
    found = sessions()
    add(found, 0, key="a")
    add(found, 5, key="b")
    add(found, 5, key=None)
    assert len(found) == 3
    assert sorted(found.changed().keys, key=repr) == ["a", "b", None]


def test_event_between_two_sessions_makes_one_of_them_and_the_later_one_is_withdrawn() -> None:
    """A reader knows them by their start: that of the later one is told with a count of 0."""
    found = sessions()
    add(found, 0, 15)
    assert len(told(found)) == 2
    add(found, 8)
    assert told(found) == [("k", 0, 25, 3, 3.0), ("k", 15, 25, 0, None)]
    assert len(found) == 1


def test_event_before_a_session_moves_its_start_and_withdraws_the_old_one() -> None:
    found = sessions()
    add(found, 10)
    told(found)
    add(found, 4)
    assert told(found) == [("k", 4, 20, 2, 2.0), ("k", 10, 20, 0, None)]
    assert told(found) == []


def test_session_ends_a_gap_after_its_last_event_and_lateness_later() -> None:
    found = sessions(lateness_ms=5)
    add(found, 0, 7)
    assert found.closing_span_ms() == (22, 22)
    assert found.close(21).as_tuples() == []
    assert found.close(22).as_tuples() == [("k", 0, 17, 2, 2.0)]
    assert found.closing_span_ms() is None
    assert len(found) == 0
    assert told(found) == []


def test_old_event_that_joins_a_living_session_is_in_time() -> None:
    """Merging comes first: the session that it is a part of has not ended."""
    found = sessions()
    add(found, 20)
    assert add(found, 11, before=25) == [False]
    assert add(found, 9, before=25) == [False], "by way of the one at 11"
    assert told(found) == [("k", 9, 30, 3, 3.0), ("k", 11, 30, 0, None), ("k", 20, 30, 0, None)]


def test_event_that_joins_nothing_and_would_have_ended_is_late() -> None:
    found = sessions()
    add(found, 20)
    assert add(found, 5, before=15) == [True]
    assert add(found, 6, before=15) == [False]
    assert [row[1] for row in told(found)] == [6, 20]


def test_nothing_joins_a_session_that_ended_in_the_middle_of_the_batch() -> None:
    """Its result is final, though nobody has collected it yet; an event at the same start makes another one."""
    found = sessions()
    late = found.add(ints(100, 150, 105), ["k"] * 3, ints(BEFORE_ALL, 100, 112), {"price": [1, 1, 1]})
    assert late.tolist() == [False, False, False]
    assert sorted(found.close(112).as_tuples()) == [("k", 100, 110, 1, 1.0)]
    assert told(found) == [("k", 105, 115, 1, 1.0), ("k", 150, 160, 1, 1.0)]


def test_sums_are_added_in_the_order_of_the_log_across_a_merge() -> None:
    """0.1 + 0.2 + 0.3 in that order, though the third event joins the sessions of the other two."""
    at_once, one_by_one = sessions(), sessions()
    prices = {"price": [0.1, 0.2, 0.3]}
    at_once.add(ints(0, 15, 8), ["k"] * 3, ints(*[int(BEFORE_ALL)] * 3), prices)
    for time, price in zip((0, 15, 8), prices["price"], strict=True):
        add(one_by_one, time, price=price)
    assert at_once.close(1000).values == one_by_one.close(1000).values


def test_snapshot_holds_sessions_that_have_ended_and_were_not_collected() -> None:
    found = sessions()
    found.add(ints(0, 50), ["k", "k"], ints(BEFORE_ALL, 30), {"price": [1, 1]})
    heir = sessions()
    heir.restore(found.snapshot())
    assert told(heir) == []
    assert len(heir) == 2
    assert add(heir, 5, before=31) == [True], "it does not join the one that has ended"
    assert heir.close(31).as_tuples() == found.close(31).as_tuples() == [("k", 0, 10, 1, 1.0)]
    assert add(heir, 55, before=31) == [False]
    assert told(heir) == [("k", 50, 65, 2, 2.0)]
