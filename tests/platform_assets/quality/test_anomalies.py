"""Unusual days are found, usual ones are left alone, as often as the module says."""

import datetime as dt
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.quality.anomalies import (
    MIN_DAYS,
    WINDOW_DAYS,
    DailyValue,
    Unusualness,
    unusualness,
    with_missing_days,
)

MONDAY = dt.date(2026, 1, 5)
FINITE = st.floats(-1e6, 1e6)


def days(values: list[float], noise: float = 0.0) -> list[DailyValue]:
    return [DailyValue(MONDAY + dt.timedelta(days=place), value, noise) for place, value in enumerate(values)]


def last(values: list[float], noise: float = 0.0) -> Unusualness:
    *history, today = days(values, noise)
    return unusualness(history, today)


def share_found(history_days: int, shift: float, *, lasting: int = 1, rounds: int = 4000) -> float:
    """How often a series of normally distributed days is called unusual within `lasting` days of a shift."""
    generator = np.random.default_rng(history_days)
    found = 0
    for _ in range(rounds):
        values = generator.normal(size=history_days + lasting)
        values[history_days:] += shift
        series = values.tolist()
        found += any(last(series[: history_days + place + 1]).is_anomaly for place in range(lasting))
    return found / rounds


@pytest.mark.parametrize(("history_days", "at_most"), [(14, 0.022), (27, 0.022), (28, 0.025), (56, 0.01)])
def test_usual_days_are_rarely_called_unusual(history_days: int, at_most: float) -> None:
    assert share_found(history_days, 0) < at_most


@pytest.mark.parametrize("history_days", [14, 56])
def test_day_that_is_five_deviations_off_is_mostly_found(history_days: int) -> None:
    assert share_found(history_days, 5, rounds=1000) > 0.8


def test_shift_of_three_deviations_that_lasts_is_found_within_a_week() -> None:
    assert share_found(56, 3, lasting=7, rounds=400) > 0.75


def test_too_little_history_judges_nothing() -> None:
    found = last([1.0] * (MIN_DAYS - 1) + [1000.0])
    assert (found.days_of_history, found.baseline, found.is_anomaly) == (MIN_DAYS - 1, None, False)
    assert last([1.0] * MIN_DAYS + [1000.0]).is_anomaly


def test_weekends_are_compared_with_weekends() -> None:
    """A quiet Sunday is usual, a Sunday like a Monday is not; after two weeks nobody can know."""
    week = [100.0, 103.0, 98.0, 101.0, 99.0, 20.0, 18.0]
    for weeks, seasonal in ((2, False), (4, True), (8, True)):
        series = [value + (place % 3) for place, value in enumerate(week * weeks)]
        quiet, busy = last([*series, *week[:6], 19.0]), last([*series, *week[:6], 100.0])
        assert quiet.is_seasonal is busy.is_seasonal is seasonal
        assert busy.is_anomaly is seasonal
        if seasonal:
            assert not quiet.is_anomaly


def test_days_before_the_window_are_forgotten() -> None:
    found = last([1e9] * 100 + [5.0] * WINDOW_DAYS + [5.0])
    assert (found.baseline, found.days_of_history) == (5.0, WINDOW_DAYS)


def test_one_broken_day_in_the_history_hides_nothing() -> None:
    """The median does not follow it."""
    series = [100.0 + place % 5 for place in range(40)]
    series[20] = 1e9
    assert last([*series, 200.0]).is_anomaly
    assert not last([*series, 102.0]).is_anomaly


def test_what_chance_explains_is_no_anomaly() -> None:
    """Counts that happened to be equal for weeks still vary by their root."""
    assert not last([10_000.0] * 30 + [10_300.0], noise=100.0).is_anomaly
    assert last([10_000.0] * 30 + [10_400.0], noise=100.0).is_anomaly


def test_number_that_never_varied_may_not_change() -> None:
    assert last([1.0] * 20 + [1.0]).score == 0
    assert last([1.0] * 20 + [1.5]).score == math.inf
    assert last([1.0] * 20 + [0.5]).score == -math.inf


@given(st.lists(FINITE, min_size=MIN_DAYS, max_size=70), FINITE, st.floats(0.001, 1000), FINITE)
def test_unit_and_origin_do_not_matter(history: list[float], today: float, factor: float, offset: float) -> None:
    """A number in cents is as unusual as in dollars."""
    plain = last([*history, today])
    scaled = last([value * factor + offset for value in [*history, today]])
    assert plain.scale is not None
    assert scaled.scale is not None
    if plain.scale > 1e-3 and scaled.scale > 1e-3:
        assert scaled.score == pytest.approx(plain.score, rel=1e-2, abs=1e-2)


@given(st.permutations(range(30)))
def test_order_of_the_history_does_not_matter(order: list[int]) -> None:
    *history, today = days([float(place * place % 17) for place in range(31)])
    assert unusualness([history[place] for place in order], today) == unusualness(history, today)


def test_missing_days_count_nothing() -> None:
    """A day without rows is a day with 0 rows."""
    first, _, third = days([5.0, 0.0, 7.0])
    assert [one.value for one in with_missing_days([third, first])] == [5.0, 0.0, 7.0]
    assert with_missing_days([]) == []
