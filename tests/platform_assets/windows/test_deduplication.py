"""Ids within the horizon are known, those beyond it are not, and the table behind it is a set."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.windows.columns import Hashes
from platform_assets.windows.deduplication import BUCKET_MS, HORIZON_BUCKETS, HashSet, SeenIds

ALL_ONES = 2**64 - 1
# Small sets of leading bits make rows overflow; the last row runs over into the first.
CROWDED = st.builds(lambda row, low: (row << 55) | low, st.sampled_from([0, 1, 2, 510, 511]), st.integers(1, 400))
SPREAD = st.integers(1, ALL_ONES)
START_MS = 1_790_000_000_000 // BUCKET_MS * BUCKET_MS


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
    """100,000 in batches of any size: never fuller than three quarters, and not much larger than its content."""
    rng = np.random.default_rng(7)
    values = np.unique(rng.integers(1, ALL_ONES, 100_000, dtype=np.uint64))
    rng.shuffle(values)
    found = HashSet()
    begin = 0
    while begin < len(values):
        end = begin + int(rng.integers(1, 5000))
        found.add(values[begin:end])
        begin = end
        assert found.count * 8 / found.nbytes <= 0.75
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


def first(seen: SeenIds, values: list[int], received_ms: list[int]) -> list[bool]:
    found: list[bool] = seen.first_sightings(hashes(*values), np.array(received_ms, dtype=np.int64)).tolist()
    return found


def test_first_of_an_id_in_a_batch_and_across_batches_is_the_first_one() -> None:
    seen = SeenIds()
    assert first(seen, [5, 6, 5, 7, 6], [START_MS] * 5) == [True, True, False, True, False]
    assert first(seen, [7, 8], [START_MS] * 2) == [False, True]
    assert first(seen, [], []) == []
    assert seen.count == 4


def test_id_whose_hash_is_zero_is_an_id_like_any_other() -> None:
    """Zero marks an empty slot; such an id is taken for the one whose hash is 1, once in 10^19."""
    seen = SeenIds()
    assert first(seen, [0, 0], [START_MS] * 2) == [True, False]
    assert first(seen, [0], [START_MS]) == [False]
    assert seen.count == 1


@pytest.mark.parametrize(("buckets_later", "is_new"), [(0, False), (1, False), (3, False), (4, True), (100, True)])
def test_id_is_known_in_its_bucket_and_the_three_after_it(buckets_later: int, is_new: bool) -> None:
    """Hence for 120 s at least, whenever in its bucket it came, and for less than 160 s."""
    for offset in (0, BUCKET_MS - 1):
        for later_offset in (0, BUCKET_MS - 1):
            seen = SeenIds()
            first(seen, [5], [START_MS + offset])
            if buckets_later or later_offset >= offset:
                later = START_MS + buckets_later * BUCKET_MS + later_offset
                assert first(seen, [5], [later]) == [is_new]
    assert BUCKET_MS * HORIZON_BUCKETS == 120_000


def test_repeated_id_does_not_prolong_its_time() -> None:
    """The horizon counts from the first one, so that an id that is repeated for ever counts again in the end."""
    seen = SeenIds()
    times = [START_MS + number * BUCKET_MS for number in (0, 2, 3, 4)]
    assert [first(seen, [5], [time])[0] for time in times] == [True, False, False, True]


def test_clock_is_the_latest_time_of_receipt_and_does_not_go_back() -> None:
    """A server whose clock is slow neither reopens a bucket nor forgets one."""
    seen = SeenIds()
    first(seen, [5, 6], [START_MS, START_MS + 4 * BUCKET_MS])
    assert first(seen, [5], [START_MS]) == [True], "by the clock of the partition its time is over"
    assert first(seen, [6], [START_MS]) == [False]
    assert seen.newest_bucket == (START_MS // BUCKET_MS) + 4


def test_buckets_past_the_horizon_are_forgotten_with_their_memory() -> None:
    seen = SeenIds()
    for number in range(20):
        first(seen, list(range(1000 * number + 1, 1000 * number + 1001)), [START_MS + number * BUCKET_MS] * 1000)
        assert seen.count <= 1000 * (HORIZON_BUCKETS + 1)
    assert seen.oldest_bucket == START_MS // BUCKET_MS + 19 - HORIZON_BUCKETS
    assert seen.nbytes < 8 * 4 * (HORIZON_BUCKETS + 1) * 1000 + 4 * 8 * 8 * 512


def model_verdicts(values: list[int], received_ms: list[int]) -> list[bool]:
    """By the definition: known while the clock's bucket is at most three after that of the first sighting."""
    first_bucket: dict[int, int] = {}
    verdicts, clock = [], 0
    for value, received in zip(values, received_ms, strict=True):
        clock = max(clock, received)
        bucket = clock // BUCKET_MS
        known = value in first_bucket and bucket - first_bucket[value] <= HORIZON_BUCKETS
        verdicts.append(not known)
        if not known:
            first_bucket[value] = bucket
    return verdicts


@pytest.mark.parametrize("seed", range(30))
def test_verdicts_are_those_of_the_definition_however_the_log_is_cut_and_where_the_worker_was_restored(
    seed: int,
) -> None:
    """Random ids and times, several buckets in a batch, and heirs that remember what was saved."""
    rng = random.Random(seed)  # noqa: S311
    count = 400
    clock, times = START_MS, []
    for _ in range(count):
        clock += rng.choice([0, 0, 100, 9_000, 50_000]) if rng.random() < 0.4 else 0
        times.append(clock - rng.choice([0, 0, 45_000]))
    values = [rng.randint(1, 60) for _ in range(count)]
    seen, saved, verdicts = SeenIds(keeps_unsaved=True), list[tuple[int, Hashes]](), list[bool]()
    begin = 0
    while begin < count:
        end = min(count, begin + rng.choice([1, 5, 40, 200]))
        verdicts += first(seen, values[begin:end], times[begin:end])
        begin = end
        if rng.random() < 0.3:
            saved += [(number, found) for number, found in seen.take_unsaved() if len(found)]
            heir = SeenIds(keeps_unsaved=True)
            newest = max((number for number, _ in saved), default=0)
            for number in sorted({number for number, _ in saved if newest - number <= HORIZON_BUCKETS}):
                heir.remember(np.concatenate([found for other, found in saved if other == number]), number)
            heir.advance_to(seen.clock_ms)
            seen = heir
    assert verdicts == model_verdicts(values, times)


def test_unsaved_ids_are_handed_out_once_by_bucket() -> None:
    seen = SeenIds(keeps_unsaved=True)
    first(seen, [5, 6, 5], [START_MS, START_MS, START_MS + BUCKET_MS])
    first(seen, [7], [START_MS + BUCKET_MS])
    bucket = START_MS // BUCKET_MS
    found = {number: sorted(values.tolist()) for number, values in seen.take_unsaved()}
    assert {number: values for number, values in found.items() if values} == {bucket: [5, 6], bucket + 1: [7]}
    assert seen.take_unsaved() == []
    careless = SeenIds()
    first(careless, [5], [START_MS])
    assert careless.take_unsaved() == []
