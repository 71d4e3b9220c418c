"""The expected windows, against a plain loop; and what a comparison calls different."""

from collections import defaultdict

import numpy as np
import pytest

from streaming.benchmark.load import Load, Phase, quarters_of, user_name
from streaming.benchmark.oracle import Found, compare, expected_windows

LOAD = Load("0b0e0000-0000-4000-8000-", 1_764_000_030_000_000, (Phase(200, 90),))


def plainly(events: int, twice: list[int]) -> list[Found]:
    windows: dict[tuple[str, int], list[float]] = defaultdict(lambda: [0, 0.0])
    for number in [*range(events), *twice]:
        one = np.array([number])
        start_ms = int(LOAD.intended_us(one)[0]) // 60_000_000 * 60_000
        window = windows[user_name(int(LOAD.turns.users_of(one)[0])), start_ms]
        window[0] += 1
        window[1] += float(quarters_of(one)[0]) / 4
    return [(user, start_ms, int(count), total) for (user, start_ms), (count, total) in windows.items()]


@pytest.fixture(scope="module")
def found() -> list[Found]:
    return plainly(LOAD.total, [])


def test_windows_of_a_plain_loop_are_the_expected_ones(found: list[Found]) -> None:
    comparison = compare(expected_windows(LOAD, LOAD.total), found)
    assert comparison.match
    assert comparison.windows == len(found)
    assert (comparison.events_missing, comparison.events_too_many) == (0, 0)


def test_stopped_run_is_compared_with_what_was_sent_until_then() -> None:
    assert compare(expected_windows(LOAD, 1_234), plainly(1_234, [])).match


def test_event_counted_twice_is_too_many(found: list[Found]) -> None:
    user, start_ms, count, total = found[7]
    comparison = compare(
        expected_windows(LOAD, LOAD.total), [*found[:7], (user, start_ms, count + 1, total), *found[8:]]
    )
    assert (comparison.different, comparison.events_too_many, comparison.events_missing) == (1, 1, 0)


def test_missing_window_misses_its_events(found: list[Found]) -> None:
    comparison = compare(expected_windows(LOAD, LOAD.total), found[1:])
    assert (comparison.different, comparison.events_missing) == (1, found[0][2])


@pytest.mark.parametrize("error", [0.25, 0.1, -1e-9])
def test_sum_that_is_off_by_anything_differs(found: list[Found], error: float) -> None:
    user, start_ms, count, total = found[0]
    comparison = compare(expected_windows(LOAD, LOAD.total), [(user, start_ms, count, total + error), *found[1:]])
    assert comparison.different == 1


@pytest.mark.parametrize(("user", "shift_ms"), [("stranger", 0), ("u9999", 0), ("u0001", 1), ("u0001", 86_400_000)])
def test_window_that_nothing_was_sent_for_differs(found: list[Found], user: str, shift_ms: int) -> None:
    strange = (user, found[0][1] + shift_ms, 3, 1.0)
    comparison = compare(expected_windows(LOAD, LOAD.total), [*found, strange])
    assert (comparison.different, comparison.events_too_many) == (1, 3)
