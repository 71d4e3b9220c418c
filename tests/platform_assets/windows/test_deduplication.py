"""Ids within the horizon are known, those beyond it are not."""

import random

import numpy as np
import pytest

from platform_assets.windows.columns import Hashes
from platform_assets.windows.deduplication import BUCKET_MS, HORIZON_BUCKETS, SeenIds

START_MS = 1_790_000_000_000 // BUCKET_MS * BUCKET_MS


def hashes(*values: int) -> Hashes:
    return np.array(values, dtype=np.uint64)


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


@pytest.mark.parametrize(("buckets_later", "is_new"), [(0, False), (1, False), (6, False), (7, True), (100, True)])
def test_id_is_known_in_its_bucket_and_the_six_after_it(buckets_later: int, is_new: bool) -> None:
    """Hence for 120 s at least, whenever in its bucket it came, and for less than 140 s."""
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
    times = [START_MS + number * BUCKET_MS for number in (0, 2, 6, 7)]
    assert [first(seen, [5], [time])[0] for time in times] == [True, False, False, True]


def test_clock_is_the_latest_time_of_receipt_and_does_not_go_back() -> None:
    """A server whose clock is slow neither reopens a bucket nor forgets one."""
    seen = SeenIds()
    first(seen, [5, 6], [START_MS, START_MS + 7 * BUCKET_MS])
    assert first(seen, [5], [START_MS]) == [True], "by the clock of the partition its time is over"
    assert first(seen, [6], [START_MS]) == [False]
    assert seen.newest_bucket == (START_MS // BUCKET_MS) + 7


def test_buckets_past_the_horizon_are_forgotten_with_their_memory() -> None:
    seen = SeenIds()
    for number in range(20):
        first(seen, list(range(1000 * number + 1, 1000 * number + 1001)), [START_MS + number * BUCKET_MS] * 1000)
        assert seen.count <= 1000 * (HORIZON_BUCKETS + 1)
    assert seen.oldest_bucket == START_MS // BUCKET_MS + 19 - HORIZON_BUCKETS
    assert seen.nbytes < 8 * 4 * (HORIZON_BUCKETS + 1) * 1000 + 4 * 8 * 8 * 512


def model_verdicts(values: list[int], received_ms: list[int]) -> list[bool]:
    """By the definition: known while the clock's bucket is at most six after that of the first sighting."""
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
