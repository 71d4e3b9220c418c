"""Sets of hashes are sets, whether they grow or not, and however their members crowd."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.windows.columns import Hashes
from platform_assets.windows.hash_sets import HashSet, SortedHashes

ALL_ONES = 2**64 - 1
# Small sets of leading bits make rows overflow; the last row runs over into the first.
CROWDED = st.builds(lambda row, low: (row << 55) | low, st.sampled_from([0, 1, 2, 510, 511]), st.integers(1, 400))
SPREAD = st.integers(1, ALL_ONES)


def hashes(*values: int) -> Hashes:
    return np.array(values, dtype=np.uint64)


@settings(max_examples=80, deadline=None)
@given(batches=st.lists(st.lists(st.one_of(CROWDED, SPREAD), max_size=300), max_size=8), data=st.data())
def test_hash_set_is_a_set(batches: list[list[int]], data: st.DataObject) -> None:
    """Whatever is added batch by batch is in it, and nothing else."""
    found, model = HashSet(data.draw(st.sampled_from([0, 5, 3000]))), set[int]()
    for batch in batches:
        new = list(dict.fromkeys(value for value in batch if value not in model))
        asked = hashes(*batch, *(value ^ 1 or 1 for value in batch))
        before = found.contains(asked)
        assert before.tolist() == [value in model for value in asked.tolist()]
        found.add(hashes(*new))
        model |= set(new)
        assert found.count == len(model)
        assert found.contains(asked).tolist() == [value in model for value in asked.tolist()]
    assert set(found.all().tolist()) == model
    assert len(found.all()) == len(model)


def test_hash_set_grows_and_forgets_nothing_on_the_way() -> None:
    """100,000 in batches of any size: never fuller than half, and not much larger than its content."""
    rng = np.random.default_rng(7)
    values = np.unique(rng.integers(1, ALL_ONES, 100_000, dtype=np.uint64))
    rng.shuffle(values)
    found = HashSet()
    begin = 0
    while begin < len(values):
        end = begin + int(rng.integers(1, 5000))
        found.add(values[begin:end])
        begin = end
        assert found.count * 8 / found.nbytes <= 0.5
    assert found.contains(values).all()
    assert found.nbytes < 8 * 8 * len(values)
    strangers = np.setdiff1d(rng.integers(1, ALL_ONES, 10_000, dtype=np.uint64), values)
    assert not found.contains(strangers).any()


def test_hashes_that_crowd_into_one_row_run_over_into_the_next_ones() -> None:
    """A thousand with the same leading bits, in the last row: they go on in the first."""
    values = np.arange(1, 1001, dtype=np.uint64) + (np.uint64(511) << np.uint64(55))
    found = HashSet()
    for part in np.array_split(values, 7):
        found.add(part)
    assert found.contains(values).all()
    assert not found.contains(np.arange(1, 1001, dtype=np.uint64)).any()


@pytest.mark.parametrize("expected", [0, 3000])
def test_empty_hash_set_holds_nothing(expected: int) -> None:
    found = HashSet(expected)
    assert found.contains(hashes()).tolist() == []
    assert found.contains(hashes(1, ALL_ONES)).tolist() == [False, False]
    found.add(hashes())
    assert found.count == 0
    assert len(found.all()) == 0


@settings(max_examples=80, deadline=None)
@given(st.sets(st.one_of(CROWDED, SPREAD), max_size=600))
def test_sorted_hashes_are_the_same_set(members: set[int]) -> None:
    """Members and their neighbours, whatever leading bits they have in common, of few and of many that are asked."""
    asked = hashes(*members, *(value ^ 1 or 1 for value in members), 1, ALL_ONES)
    found = SortedHashes(hashes(*members))
    assert found.count == len(members)
    for several in (asked[:100], np.resize(asked, 1300)):
        assert found.contains(several).tolist() == [value in members for value in several.tolist()]


@pytest.mark.parametrize("crowd", [1, 2, 64, 65, 5000])
def test_sorted_hashes_find_all_of_a_crowd_with_one_leading_part(crowd: int) -> None:
    """Made-up ids may have hashes side by side; a look at each of thousands would be an attack that works."""
    rng = np.random.default_rng(3)
    beside = np.arange(crowd, dtype=np.uint64) + np.uint64(1 << 62)
    values = np.unique(np.concatenate([rng.integers(1, ALL_ONES, 300, dtype=np.uint64), beside]))
    assert len(values) == 300 + crowd
    found = SortedHashes(rng.permutation(values))
    strangers = np.setdiff1d(values + np.uint64(1), values)
    for times in (1, 10):
        assert found.contains(np.tile(values, times)).all()
        assert not found.contains(np.tile(strangers, times)).any()


def test_sorted_hashes_take_ten_bytes_each() -> None:
    values = np.unique(np.random.default_rng(5).integers(1, ALL_ONES, 100_000, dtype=np.uint64))
    assert SortedHashes(values).nbytes < 10.1 * len(values)


def test_sorted_hashes_of_nothing_hold_nothing() -> None:
    assert not SortedHashes(hashes()).contains(hashes(1, ALL_ONES)).any()
    assert SortedHashes(hashes(5)).contains(hashes()).tolist() == []
