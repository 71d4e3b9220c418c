"""Aggregates by slot: what counts in, what is null, and states that add up."""

import random
from typing import Any

import numpy as np
import pytest

from platform_assets.contracts.windows import Aggregate, AggregateFunction
from platform_assets.windows.accumulators import Accumulators
from platform_assets.windows.columns import MISSING, Ints

EVERYTHING = (
    Aggregate(name="total", function=AggregateFunction.SUM, field="price"),
    Aggregate(name="least", function=AggregateFunction.MIN, field="price"),
    Aggregate(name="most", function=AggregateFunction.MAX, field="price"),
    Aggregate(name="average", function=AggregateFunction.MEAN, field="price"),
    Aggregate(name="shelves", function=AggregateFunction.APPROX_DISTINCT, field="shelf"),
    Aggregate(name="median", function=AggregateFunction.QUANTILE, field="price", quantile=0.5),
)


def slots(*numbers: int) -> Ints:
    return np.array(numbers, dtype=np.int64)


def results(accumulators: Accumulators, slot: int) -> dict[str, Any]:
    columns = accumulators.results(slots(slot))
    return dict(zip([one.name for one in EVERYTHING], [column[0] for column in columns], strict=True))


def test_window_without_a_usable_value_has_no_result_but_its_count() -> None:
    """Null, missing, text, a boolean or an object are no numbers; of a distinct count they leave 0 or the value."""
    accumulators = Accumulators(EVERYTHING)
    slot = accumulators.claim()
    prices = [None, MISSING, "3", True, {"amount": 3}, [3]]
    shelves = [None, MISSING, {"row": 1}, [1], None, None]
    accumulators.add(slots(*[slot] * 6), {"price": prices, "shelf": shelves})
    assert accumulators.events[slot] == 6
    assert results(accumulators, slot) == {
        "total": None,
        "least": None,
        "most": None,
        "average": None,
        "shelves": 0,
        "median": None,
    }


def test_values_that_are_numbers_count_among_those_that_are_not() -> None:
    accumulators = Accumulators(EVERYTHING)
    one, other = accumulators.claim(), accumulators.claim()
    accumulators.add(
        slots(one, other, one, one),
        {"price": [2, -5.5, None, 4.0], "shelf": ["a", "a", "b", True]},
    )
    found = results(accumulators, one)
    assert found["median"] == pytest.approx(2, rel=0.01)
    assert {name: found[name] for name in ("total", "least", "most", "average", "shelves")} == {
        "total": 6.0,
        "least": 2.0,
        "most": 4.0,
        "average": 3.0,
        "shelves": 3,
    }
    assert results(accumulators, other)["total"] == -5.5


def test_integers_beyond_a_float_are_no_numbers() -> None:
    """JSON has integers of any length; one of them must not stop a partition."""
    accumulators = Accumulators(EVERYTHING[:4])
    slot = accumulators.claim()
    accumulators.add(slots(slot, slot), {"price": [10**400, 2]})
    assert [column[0] for column in accumulators.results(slots(slot))] == [2.0, 2.0, 2.0, 2.0]


def test_only_the_chosen_positions_count() -> None:
    accumulators = Accumulators(EVERYTHING)
    slot = accumulators.claim()
    values: dict[str, list[Any]] = {"price": [1, 10, 100], "shelf": ["a", "b", "c"]}
    accumulators.add(slots(slot, slot), values, slots(2, 0))
    found = results(accumulators, slot)
    assert (found["total"], found["shelves"]) == (101.0, 2)
    assert accumulators.events[slot] == 2


def test_freed_slot_is_as_good_as_new() -> None:
    accumulators = Accumulators(EVERYTHING, slots=1)
    slot = accumulators.claim()
    accumulators.add(slots(slot), {"price": [7], "shelf": ["a"]})
    accumulators.free(slots(slot))
    assert accumulators.claim() == slot
    accumulators.add(slots(slot), {"price": [3], "shelf": [None]})
    found = results(accumulators, slot)
    assert (found["total"], found["least"], found["most"], found["shelves"]) == (3.0, 3.0, 3.0, 0)
    assert accumulators.events[slot] == 1


def test_slots_grow_and_keep_what_they_hold() -> None:
    accumulators = Accumulators(EVERYTHING, slots=1)
    claimed = [accumulators.claim() for _ in range(100)]
    assert len(set(claimed)) == 100
    assert accumulators.capacity == 128
    accumulators.add(slots(*claimed), {"price": list(range(100)), "shelf": ["a"] * 100})
    accumulators.claim()
    [accumulators.claim() for _ in range(100)]
    assert accumulators.results(slots(*claimed))[0] == [float(number) for number in range(100)]


def test_field_that_only_a_distinct_count_reads_needs_no_numbers() -> None:
    accumulators = Accumulators(EVERYTHING[4:5])
    assert accumulators.fields == ("shelf",)
    assert accumulators.part_names == ("sketch:shelves",)
    slot = accumulators.claim()
    accumulators.add(slots(slot), {"shelf": ["a"]})
    assert accumulators.results(slots(slot)) == [[1]]


def test_states_of_parts_add_up_to_the_whole() -> None:
    """As when sources are merged, or a checkpoint is restored; parts without a value add nothing."""
    rng = random.Random(3)  # noqa: S311
    prices = [rng.choice([None, rng.randint(-9, 9)]) for _ in range(60)]
    shelves = [rng.choice([None, "a", "b", "c"]) for _ in range(60)]
    whole = Accumulators(EVERYTHING)
    at = whole.claim()
    whole.add(slots(*[at] * 60), {"price": prices, "shelf": shelves})
    merged = Accumulators(EVERYTHING)
    target = merged.claim()
    for begin in (0, 25, 50):
        part = Accumulators(EVERYTHING)
        slot = part.claim()
        chosen = list(range(begin, min(begin + 25, 60)))
        part.add(
            slots(*[slot] * len(chosen)),
            {"price": [prices[n] for n in chosen], "shelf": [shelves[n] for n in chosen]},
        )
        merged.merge_state(target, part.state(slots(slot)), 0)
    empty = Accumulators(EVERYTHING)
    merged.merge_state(target, empty.state(slots(empty.claim())), 0)
    assert merged.events[target] == 60
    assert results(merged, target) == results(whole, at)


def test_state_is_a_copy_and_parts_are_the_same_as_lists() -> None:
    accumulators = Accumulators(EVERYTHING)
    slot = accumulators.claim()
    accumulators.add(slots(slot), {"price": [7], "shelf": ["a"]})
    state, parts = accumulators.state(slots(slot)), accumulators.parts(slots(slot))
    assert [name for name in state if name != "events"] == list(accumulators.part_names)
    accumulators.add(slots(slot), {"price": [100], "shelf": ["b"]})
    assert state["sums:price"].tolist() == [7.0]
    assert dict(zip(accumulators.part_names, parts, strict=True))["maxima:price"] == [7.0]
    assert all(isinstance(column, list) for column in parts)
