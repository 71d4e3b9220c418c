"""Rejections are read from the landing zone with the status that the log gives them."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from platform_assets.contracts.rejections import Origin, Status
from platform_assets.repair.fixes import Match
from resources.landing_zone import LandingZone
from resources.rejected_events.landed import RejectionCount, landed_rejections
from tests.landed_records import RECEIVED_AT, event, land_events, land_rejections, rejection

LATER = RECEIVED_AT + dt.timedelta(minutes=1)


@pytest.fixture
def landing(tmp_path: Path) -> LandingZone:
    return LandingZone(tmp_path)


def statuses(landing: LandingZone, **match: Any) -> dict[str, Status]:
    with landed_rejections(landing) as found:
        return {one.rejection_id: one.status for one in found.each(Match(**match), None)}


def counts(landing: LandingZone, **match: Any) -> list[RejectionCount]:
    with landed_rejections(landing) as found:
        return found.counts(Match(**match))


def test_nothing_landed_is_no_rejection(landing: LandingZone) -> None:
    assert counts(landing) == []


def test_rejection_is_open_until_an_event_of_its_id_is_accepted(landing: LandingZone) -> None:
    land_rejections(landing, [rejection(offset, event_id=f"e{offset}") for offset in range(4)])
    assert set(statuses(landing).values()) == {Status.OPEN}
    land_events(
        landing,
        [
            event(0, event_id="e1", correlation_id="replay:rejection-1"),
            event(1, event_id="e2", correlation_id="request-9"),
            event(2, event_id="e3"),
        ],
    )
    assert statuses(landing) == {
        "rejection-0": Status.OPEN,
        "rejection-1": Status.REPLAYED,
        "rejection-2": Status.SUPERSEDED,
        "rejection-3": Status.SUPERSEDED,
    }


def test_first_accepted_event_decides_as_it_does_in_the_warehouse(landing: LandingZone) -> None:
    land_rejections(landing, [rejection(0, event_id="e")])
    land_events(
        landing,
        [
            event(0, event_id="e", correlation_id="replay:rejection-0", received_at=LATER),
            event(1, event_id="e", correlation_id="request-9"),
        ],
    )
    assert statuses(landing) == {"rejection-0": Status.SUPERSEDED}


def test_later_rejection_of_the_same_event_supersedes_the_one_before(landing: LandingZone) -> None:
    land_rejections(
        landing, [rejection(0, event_id="e", rejected_at=LATER), rejection(1, event_id="e"), rejection(2, event_id="f")]
    )
    assert statuses(landing) == {
        "rejection-0": Status.OPEN,
        "rejection-1": Status.SUPERSEDED,
        "rejection-2": Status.OPEN,
    }


def test_rejection_that_landed_twice_is_one(landing: LandingZone) -> None:
    land_rejections(landing, [rejection(0), rejection(1, rejection_id="rejection-0", event_id="rejected-0")])
    assert statuses(landing) == {"rejection-0": Status.OPEN}


def test_reasons_that_differ_in_numbers_are_counted_together(landing: LandingZone) -> None:
    land_rejections(
        landing,
        [
            rejection(0, reason="a 0.54 is larger than b 1", body='{"event_name": "bought"}'),
            rejection(1, reason="a 12 is larger than b 0.1", body='{"event_name": "bought"}', rejected_at=LATER),
            rejection(2, reason="JSON is malformed", body="{"),
            rejection(3, reason="JSON is malformed", body='{"event_name": 7}', origin="stream"),
        ],
    )
    found = counts(landing)
    assert {(one.count, one.event_name, one.origin, one.reason) for one in found} == {
        (2, "bought", "door", "a # is larger than b #"),
        (1, None, "door", "JSON is malformed"),
        (1, "7", "stream", "JSON is malformed"),
    }
    assert (found[0].newest_at, found[0].example_id) == (LATER, "rejection-1")


@pytest.mark.parametrize(
    ("match", "ids"),
    [
        ({"ids": ["rejection-1"]}, {1}),
        ({"reason": "larger"}, {0}),
        ({"reason": "a # is"}, {0}),
        ({"event_name": "bought"}, {0}),
        ({"origin": Origin.STREAM}, {2}),
        ({"since": LATER}, {1, 2}),
        ({"until": LATER}, {0}),
        ({"since": LATER, "origin": Origin.DOOR}, {1}),
        ({"reason": "'; DROP TABLE known; --"}, set()),
        ({"reason": "%"}, set()),
    ],
)
def test_conditions_hold_together(landing: LandingZone, match: dict[str, Any], ids: set[int]) -> None:
    land_rejections(
        landing,
        [
            rejection(0, reason="a 0.54 is larger", body='{"event_name": "bought"}'),
            rejection(1, rejected_at=LATER),
            rejection(2, rejected_at=LATER, origin="stream"),
        ],
    )
    assert statuses(landing, **match).keys() == {f"rejection-{number}" for number in ids}


@pytest.mark.parametrize("body", ["", "{", "[1]", "nope", '{"a":' * 5000, '"\ud7ff"', "base64:/w=="])
def test_any_body_can_be_listed_and_has_no_event_name(landing: LandingZone, body: str) -> None:
    land_rejections(landing, [rejection(0, body=body)])
    assert counts(landing)[0].event_name is None
    with landed_rejections(landing) as found:
        (one,) = found.each(Match())
    assert one.body == body


def test_beginning_of_an_id_finds_it_and_two_show_that_it_is_not_enough(landing: LandingZone) -> None:
    land_rejections(landing, [rejection(offset) for offset in (1, 10, 2)])
    with landed_rejections(landing) as found:
        assert [one.rejection_id for one in found.named("rejection-2")] == ["rejection-2"]
        assert len(found.named("rejection-1")) == 2
        assert found.named("x") == []
