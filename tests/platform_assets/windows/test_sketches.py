"""Approximate aggregates do not depend on order, batches or merges, and keep their bounds."""

import math
import random
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.contracts.windows import Aggregate, AggregateFunction
from platform_assets.windows.sketches import (
    DISTINCT_STANDARD_ERROR,
    QUANTILE_LARGEST,
    QUANTILE_RELATIVE_ACCURACY,
    QUANTILE_SMALLEST,
    Sketch,
    new_sketch,
    sketch_from_bytes,
)

DISTINCT = Aggregate(name="users", function=AggregateFunction.APPROX_DISTINCT, field="user_id")
COUNTABLE = st.text(max_size=3) | st.integers(-3, 3) | st.floats() | st.booleans()
NUMBER = st.floats(allow_nan=False) | st.integers(-(10**400), 10**400) | st.sampled_from([0.0, -0.0, 1e-310, 1.0, -1.0])
LAST_BITS = 1 + 1e-12
"""The bounds hold for real numbers; the edges of bins are computed in floats."""


def quantile(share: float) -> Aggregate:
    return Aggregate(name="q", function=AggregateFunction.QUANTILE, field="price", quantile=share)


def sketch_of(aggregate: Aggregate, values: Iterable[object]) -> Sketch:
    sketch = new_sketch(aggregate)
    sketch.update(values)
    return sketch


def spread(aggregate: Aggregate, values: Sequence[object], rng: random.Random) -> Sketch:
    """The values in random order, over random parts, merged as a random tree, some of it by way of bytes."""
    values = rng.sample(values, len(values))
    parts = [new_sketch(aggregate) for _ in range(rng.randint(1, 6))]
    position = 0
    while position < len(values):
        end = position + rng.randint(1, max(1, len(values) // 3))
        rng.choice(parts).update(values[position:end])
        position = end
    while len(parts) > 1:
        one = parts.pop(rng.randrange(len(parts)))
        other = parts.pop(rng.randrange(len(parts)))
        one.merge(other)
        parts.append(sketch_from_bytes(aggregate, one.to_bytes()) if rng.random() < 0.5 else one)
    return parts[0]


def true_quantile(values: Iterable[float], numerator: int, denominator: int) -> float:
    ordered = sorted(values)
    return ordered[-(-numerator * len(ordered) // denominator) - 1]


@given(values=st.lists(COUNTABLE, max_size=50), seed=st.randoms(use_true_random=False))
def test_distinct_count_does_not_depend_on_order_batches_or_merges(values: list[object], seed: random.Random) -> None:
    assert spread(DISTINCT, values, seed).result() == sketch_of(DISTINCT, values).result()


@pytest.mark.parametrize("distinct", [7, 8, 9, 383, 384, 385, 400, 5_000, 40_000])
def test_large_distinct_count_does_not_depend_on_order_batches_or_merges(distinct: int) -> None:
    """Around the sizes at which HyperLogLog changes its representation, and with every fifth value twice."""
    values = [f"user-{number}" for number in range(distinct)] + [f"user-{number}" for number in range(0, distinct, 5)]
    rng = random.Random(distinct)  # noqa: S311
    assert len({spread(DISTINCT, values, rng).result() for _ in range(12)}) == 1


@pytest.mark.parametrize("distinct", [0, 1, 10, 100, 300])
def test_small_distinct_count_is_exact(distinct: int) -> None:
    assert sketch_of(DISTINCT, [f"user-{number}" for number in range(distinct)] * 2).result() == distinct


def test_distinct_count_keeps_its_standard_error() -> None:
    """Over 200 independent sets the root mean square error is the stated one, and no single one is five times it."""
    errors = [
        float(sketch_of(DISTINCT, [f"{run}/{number}" for number in range(3_000)]).result() or 0) / 3_000 - 1
        for run in range(200)
    ]
    root_mean_square = math.sqrt(sum(error**2 for error in errors) / len(errors))
    assert root_mean_square < 1.15 * DISTINCT_STANDARD_ERROR
    assert max(abs(error) for error in errors) < 5 * DISTINCT_STANDARD_ERROR


@pytest.mark.parametrize(
    ("values", "distinct"),
    [
        ([1, 1.0], 1),
        ([0.0, -0.0, 0], 1),
        ([10**300, float(10**300), 1e300], 2),
        ([2**63, 2**63 + 1, -(2**63) - 1], 3),
        ([float("nan"), float("nan")], 1),
        ([float("inf"), float("-inf")], 2),
        ([True, 1, "1", "True", "true"], 5),
        (["", "s", "n1", 1], 4),
    ],
)
def test_distinct_values_are_equal_numbers_or_equal_strings(values: list[object], distinct: int) -> None:
    assert sketch_of(DISTINCT, values).result() == distinct


@settings(max_examples=300)
@given(
    values=st.lists(NUMBER, min_size=1, max_size=60),
    percent=st.integers(1, 99),
    seed=st.randoms(use_true_random=False),
)
def test_quantile_does_not_depend_on_order_batches_or_merges(
    values: list[float], percent: int, seed: random.Random
) -> None:
    """Nor do its bytes."""
    whole = sketch_of(quantile(percent / 100), values)
    parts = spread(quantile(percent / 100), values, seed)
    assert parts.result() == whole.result()
    assert parts.to_bytes() == whole.to_bytes()


@settings(max_examples=300)
@given(values=st.lists(NUMBER, min_size=1, max_size=60), percent=st.integers(1, 99))
def test_quantile_keeps_its_relative_accuracy(values: list[float], percent: int) -> None:
    """For negative numbers too; beyond the stated magnitudes it stays at their ends."""
    expected = true_quantile(values, percent, 100)
    estimate = sketch_of(quantile(percent / 100), values).result()
    assert estimate is not None
    if abs(expected) < QUANTILE_SMALLEST:
        assert estimate == 0
    else:
        expected = max(-QUANTILE_LARGEST, min(QUANTILE_LARGEST, expected))
        assert abs(estimate - expected) <= QUANTILE_RELATIVE_ACCURACY * abs(expected) * LAST_BITS


def test_quantile_takes_the_rank_of_the_fraction_as_written() -> None:
    """0.1 * 30 is more than 3 in floats; the tenth of 30 values is still the third."""
    estimate = sketch_of(quantile(0.1), [float(2**number) for number in range(30)]).result()
    assert estimate == pytest.approx(4, rel=QUANTILE_RELATIVE_ACCURACY)


def test_quantile_ignores_what_is_no_number() -> None:
    nothing = sketch_of(quantile(0.5), [float("nan")])
    assert nothing.result() is None
    assert nothing.to_bytes() == new_sketch(quantile(0.5)).to_bytes()


def test_quantile_memory_is_bounded() -> None:
    """Every magnitude of a float, both signs."""
    values = [sign * 1.02**exponent for exponent in range(-35_000, 35_000) for sign in (-1, 1)]
    assert len(sketch_of(quantile(0.5), values).to_bytes()) < 40_000


@pytest.mark.parametrize(("aggregate", "value"), [(DISTINCT, ["a"]), (quantile(0.5), "1"), (quantile(0.5), True)])
def test_sketch_refuses_a_value_of_no_use(aggregate: Aggregate, value: object) -> None:
    with pytest.raises(TypeError, match=type(value).__name__):
        new_sketch(aggregate).update([value])


@pytest.mark.parametrize("aggregate", [DISTINCT, quantile(0.5)])
def test_sketch_refuses_foreign_bytes(aggregate: Aggregate) -> None:
    for data in (b"", b"\xc1", b"no sketch at all"):
        with pytest.raises(ValueError, match="no sketch of it"):
            sketch_from_bytes(aggregate, data)


def test_sketch_is_for_approximate_aggregates_only() -> None:
    with pytest.raises(ValueError, match="needs no sketch"):
        new_sketch(Aggregate(name="sales", function=AggregateFunction.SUM, field="sales_value"))
