"""The demo's events: real rows, stable ids, the sample that the documentation promises."""

import json

import pytest

from deployments.local.demo.dataset import batches, load_rows
from deployments.local.demo.prediction import HOUSEHOLD
from platform_assets.contracts.events import InvalidEvent, decode_new_event


@pytest.fixture(scope="module")
def sample() -> list[bytes]:
    rows = load_rows("sample")
    return [line for batch in batches(rows, start=0, size=1000) for line in batch.body.split(b"\n")]


def test_sample_is_the_first_hundred_households_with_the_one_that_is_asked_about(sample: list[bytes]) -> None:
    households = {json.loads(line)["user_id"] for line in sample}
    assert len(households) == 100
    assert HOUSEHOLD == "1228"
    assert HOUSEHOLD in households
    assert len(sample) == 109_686


def test_every_row_has_an_id_of_its_own_that_a_second_reading_gives_again(sample: list[bytes]) -> None:
    ids = [json.loads(line)["event_id"] for line in sample]
    assert len(set(ids)) == len(ids)
    again = next(batches(load_rows("sample"), start=0, size=1000)).body.split(b"\n")
    assert again == sample[:1000]


def test_replay_from_the_middle_sends_the_rows_that_are_left(sample: list[bytes]) -> None:
    rows = load_rows("sample")
    rest = list(batches(rows, start=109_000, size=500))
    assert [(batch.first, batch.count) for batch in rest] == [(109_000, 500), (109_500, 186)]
    assert rest[0].body.split(b"\n")[0] == sample[109_000]


def test_contract_refuses_only_lines_whose_matched_coupon_exceeds_the_coupon(sample: list[bytes]) -> None:
    reasons = []
    for line in sample:
        try:
            decode_new_event(line)
        except InvalidEvent as refused:
            reasons.append(refused.reason)
    assert all("coupon_match_disc" in reason for reason in reasons)
    assert len(reasons) <= 4
