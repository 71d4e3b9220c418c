"""Drift is found where there is some and not where chance explains it; the formulas give the textbook's numbers."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from platform_assets.quality.drift import homogeneity, kolmogorov_smirnov, population_stability
from platform_assets.quality.reading import read_expectations
from platform_assets.quality.results import ExpectationResult
from platform_assets.quality.validation import validate
from tests.platform_assets.quality.conftest import MakeDataset
from tests.platform_assets.quality.test_validation import NOW

COUNTS = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=2, max_size=12).filter(
    lambda pairs: all(sum(side) for side in zip(*pairs, strict=True))
)


def drift(make_dataset: MakeDataset, mine: list[Any], before: list[Any], **item: Any) -> ExpectationResult:
    dataset = make_dataset({"v": mine}, before={"w": before})
    expectation = {"type": "drift", "column": "v", "reference": "before", "reference_column": "w", **item}
    (found,) = validate(dataset, read_expectations([expectation]), now=NOW).results
    assert found.problem is None
    return found


def test_population_stability_of_a_worked_example() -> None:
    """Shares 0.5/0.5 against 0.25/0.75: 0.25 ln 2 - 0.25 ln (2/3)."""
    assert population_stability([50, 50], [25, 75]).statistic == pytest.approx(0.25 * math.log(3))


def test_empty_bin_counts_as_half_a_row() -> None:
    assert population_stability([100, 0], [50, 50]).statistic == pytest.approx(
        0.5 * math.log(2) + (0.005 - 0.5) * math.log(0.01)
    )


@given(COUNTS)
def test_homogeneity_is_that_of_scipy(pairs: list[tuple[int, int]]) -> None:
    observed, reference = [list(side) for side in zip(*pairs, strict=True)]
    found = homogeneity(observed, reference)
    kept = [pair for pair in pairs if any(pair)]
    expected = stats.chi2_contingency(list(zip(*kept, strict=True)), correction=False)
    assert found.statistic == pytest.approx(expected.statistic, abs=1e-6)
    assert found.p_value == pytest.approx(expected.pvalue, abs=1e-9)


@given(COUNTS)
def test_population_stability_is_never_negative_and_symmetric(pairs: list[tuple[int, int]]) -> None:
    observed, reference = [list(side) for side in zip(*pairs, strict=True)]
    there, back = population_stability(observed, reference), population_stability(reference, observed)
    assert there.statistic >= -1e-12
    assert there.statistic == pytest.approx(back.statistic)


def test_p_value_of_kolmogorov_smirnov_is_that_of_scipy() -> None:
    assert kolmogorov_smirnov(0.1, 500, 400).p_value == pytest.approx(
        stats.distributions.kstwobign.sf(0.1 * math.sqrt(500 * 400 / 900)), rel=1e-6
    )


@pytest.mark.parametrize("shift", [0.0, 0.15])
def test_distance_in_sql_is_that_of_scipy(make_dataset: MakeDataset, shift: float) -> None:
    """Values repeat, and nulls are left out."""
    generator = np.random.default_rng(4)
    mine = generator.normal(shift, 1, 700).round(1).tolist()
    before = generator.normal(0, 1, 900).round(1).tolist()
    found = drift(make_dataset, [*mine, None, None], [*before, None], method="ks")
    assert found.details["ks"] == pytest.approx(stats.ks_2samp(mine, before).statistic)
    assert (found.details["values"], found.details["reference_values"]) == (700, 900)


@pytest.mark.parametrize("method", ["psi", "ks", "chi_square"])
@pytest.mark.parametrize("rows", [60, 3000])
def test_equal_distributions_are_no_drift(make_dataset: MakeDataset, method: str, rows: int) -> None:
    generator = np.random.default_rng(rows)
    mine, before = (generator.exponential(1, count).tolist() for count in (rows, 2 * rows))
    assert drift(make_dataset, mine, before, method=method).success


@pytest.mark.parametrize("method", ["psi", "ks", "chi_square"])
def test_shifted_distribution_is_drift(make_dataset: MakeDataset, method: str) -> None:
    generator = np.random.default_rng(1)
    mine, before = (generator.normal(mean, 1, 1000).tolist() for mean in (0.7, 0))
    assert not drift(make_dataset, mine, before, method=method).success


@pytest.mark.parametrize("method", ["psi", "chi_square"])
def test_new_category_is_drift(make_dataset: MakeDataset, method: str) -> None:
    found = drift(make_dataset, ["a", "b", "new"] * 200, ["a", "b", "a"] * 200, method=method)
    assert not found.success


def test_large_sample_may_differ_a_little_by_psi(make_dataset: MakeDataset) -> None:
    """What is significant need not matter: the p-value is below 0.001, the index below 0.2."""
    found = drift(make_dataset, ["a"] * 5400 + ["b"] * 4600, ["a"] * 5000 + ["b"] * 5000)
    assert found.success
    assert found.details["p_value"] < 0.001


def test_constant_column_has_one_bin_and_no_drift(make_dataset: MakeDataset) -> None:
    assert drift(make_dataset, [7.0] * 50, [7.0] * 90).details["psi"] == 0
