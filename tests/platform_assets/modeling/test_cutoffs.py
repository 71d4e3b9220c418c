"""The cut-offs: none may look into the future, whatever days the orders cover."""

import datetime as dt
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.modeling.cutoffs import TooLittleHistory, plan_cutoffs

DAY = dt.timedelta(days=1)


def test_plan_of_the_demo_year_has_seven_training_cutoffs() -> None:
    """The dates that the README shows."""
    plan = plan_cutoffs(dt.date(2017, 1, 1), dt.date(2018, 1, 1), dt.date(2017, 11, 1))
    assert plan.training[0] == dt.date(2017, 4, 19)
    assert plan.training[-1] == dt.date(2017, 10, 4)
    assert len(plan.training) == 7
    assert plan.serving == dt.date(2018, 1, 1)


def test_plan_holds_out_the_latest_known_outcome_by_default() -> None:
    """28 days before the day whose orders are not known yet."""
    assert plan_cutoffs(dt.date(2017, 1, 1), dt.date(2018, 1, 1)).evaluation == dt.date(2017, 12, 4)


@given(st.dates(dt.date(2000, 1, 1), dt.date(2030, 1, 1)), st.integers(0, 900), st.none() | st.integers(0, 900))
def test_plan_never_looks_into_the_future(first: dt.date, days: int, evaluation_after: int | None) -> None:
    """Each training outcome is known on the evaluation day, each evaluation outcome on the serving day."""
    wanted = None if evaluation_after is None else first + evaluation_after * DAY
    try:
        plan = plan_cutoffs(first, first + days * DAY, wanted)
    except TooLittleHistory:
        # 28 days of outcome, 28 between the cut-offs, 84 to look back.
        assert days < 140 or (evaluation_after is not None and (evaluation_after < 112 or evaluation_after + 28 > days))
        return
    assert plan.evaluation + 28 * DAY <= plan.serving
    assert all(cutoff + 28 * DAY <= plan.evaluation for cutoff in plan.training)
    assert all(cutoff - 84 * DAY >= first for cutoff in plan.training)
    windows = sorted(plan.labelled)
    assert all(later - earlier >= 28 * DAY for earlier, later in itertools.pairwise(windows))


def test_plan_of_too_short_a_history_names_the_day_it_needs() -> None:
    """The cause and the remedy."""
    with pytest.raises(TooLittleHistory, match="begin on 2017-07-12 or earlier"):
        plan_cutoffs(dt.date(2017, 8, 1), dt.date(2018, 1, 1), dt.date(2017, 11, 1))


def test_plan_of_an_open_evaluation_names_the_latest_possible_one() -> None:
    """A setting that is ahead of the data."""
    with pytest.raises(TooLittleHistory, match="Choose 2017-12-04 or earlier"):
        plan_cutoffs(dt.date(2017, 1, 1), dt.date(2018, 1, 1), dt.date(2017, 12, 5))
