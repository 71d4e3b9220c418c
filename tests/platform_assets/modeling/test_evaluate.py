"""Metrics against numbers worked out by hand."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.modeling.evaluate import calibration, evaluate


def test_evaluation_of_four_rows_is_what_one_computes_by_hand() -> None:
    """Three of the four pairs of a churned and an unchurned row are in the right order."""
    found = evaluate(np.array([True, False, True, False]), np.array([0.9, 0.6, 0.5, 0.1]))
    assert found.auc == 0.75
    assert found.average_precision == pytest.approx((1 + 2 / 3) / 2)
    assert found.brier == pytest.approx((0.01 + 0.36 + 0.25 + 0.01) / 4)
    assert found.log_loss == pytest.approx(-(math.log(0.9) + math.log(0.4) + math.log(0.5) + math.log(0.9)) / 4)
    assert (found.rows, found.positives, found.problem) == (4, 2, None)


@pytest.mark.parametrize(("outcome", "word"), [(False, "no one"), (True, "every one")])
def test_evaluation_with_one_class_says_that_it_cannot_rank(outcome: bool, word: str) -> None:
    """Undefined is None and a reason, not 0.5 and not an exception."""
    found = evaluate(np.full(5, outcome), np.linspace(0, 1, 5))
    assert found.auc is None
    assert "auc" not in found.metrics()
    assert found.problem is not None
    assert found.problem.startswith(f"{word} of 5")


@pytest.mark.parametrize("bad", [math.nan, -0.1, 1.1, math.inf])
def test_evaluation_refuses_what_is_no_probability(bad: float) -> None:
    """A broken model must not get metrics."""
    with pytest.raises(ValueError, match="not a number from 0 to 1"):
        evaluate(np.array([True, False]), np.array([0.5, bad]))


def test_evaluation_refuses_no_rows() -> None:
    """There is nothing to say about nothing."""
    with pytest.raises(ValueError, match="no rows"):
        evaluate(np.array([], dtype=bool), np.array([]))


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=60))
def test_calibration_counts_every_row_once_in_ascending_bins(rows: list[tuple[bool, float]]) -> None:
    """Whatever the number of rows."""
    churned, probabilities = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    bins = calibration(churned, probabilities)
    assert sum(part.rows for part in bins) == len(rows)
    assert sum(part.rows * part.observed for part in bins) == pytest.approx(churned.sum())
    assert all(low.mean_predicted <= high.mean_predicted + 1e-12 for low, high in itertools.pairwise(bins))
