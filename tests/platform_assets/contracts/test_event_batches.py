"""Events that are decoded together get the verdicts that they get alone."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.contracts import event_batches
from platform_assets.contracts.event_batches import decode_new_events
from platform_assets.contracts.events import MAX_EVENT_BYTES, InvalidEvent, NewEvent, decode_new_event
from tests.platform_assets.contracts.test_events_fuzz import TOKENS, VALID, damaged


def event(**changes: Any) -> bytes:
    fields: dict[str, Any] = {"event_name": "page_view", "source_service": "web", "payload": {"page": "/"}} | changes
    return json.dumps(fields).encode()


GOOD = [
    *VALID,
    event(),
    event(event_id="a:b", user_id="u", session_id=None, occurred_at="2026-01-15T09:30:00+05:30"),
    event(payload={"nested": {"list": [{"a": "\u003a:"}]}}, traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01"),
]
BAD = [
    event(event_name="1st"),
    event(event_name="a b"),
    event(event_name="tail\n"),
    event(source_service="é"),
    event(event_id=""),
    event(user_id="u" * 129),
    event(user_id="a b"),
    event(user_id="é"),
    event(session_id="a\u0000"),
    event(session_id="tail\n"),
    event(correlation_id="a b"),
    event(traceparent="00"),
    event(occurred_at="1899-12-31T23:59:59Z"),
    event(occurred_at="2200-01-01T00:00:00Z"),
    event(occurred_at="2026-01-15T09:30:00"),
    event(event_type="purchase"),
    event(schema_version=2),
    event(extra=1),
    event(payload=json.loads('{"a":' * 40 + "1" + "}" * 40)),
    event(payload={"big": "x" * MAX_EVENT_BYTES}),
    event(event_name="purchase_line"),
    event()[:-1] + b',"payload":{}}',
    event(payload={"a": 1}).replace(b'"a": 1', b'"a": 1, "a": 1'),
    event(payload={"": 1}).replace(b'"": 1', b'"": 1, "": 1'),
    event(payload={"a": ":"}).replace(b'"a": ":"', b'"a": 1, "a": "\\u003a"'),
    event(occurred_at="2026-01-15T09:30:00+0530")[:-1] + b',"payload":{}}',
    b"",
    b"\xff",
]


def alone(body: bytes) -> NewEvent | InvalidEvent:
    try:
        return decode_new_event(body)
    except InvalidEvent as error:
        return error


def verdicts(decoded: Sequence[NewEvent | InvalidEvent]) -> list[Any]:
    return [
        (one.reason, one.event_id) if isinstance(one, InvalidEvent) else msgspec.structs.asdict(one) for one in decoded
    ]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(GOOD) | st.sampled_from(GOOD + BAD) | damaged(), max_size=6))
def test_a_batch_gets_the_verdicts_of_its_events(bodies: list[bytes]) -> None:
    assert verdicts(decode_new_events(bodies)) == verdicts([alone(body) for body in bodies])


@pytest.mark.parametrize("body", BAD, ids=lambda body: repr(body[:70]))
def test_one_bad_event_leaves_the_others_as_they_are(body: bytes) -> None:
    decoded = decode_new_events([GOOD[0], body, GOOD[1]])
    assert [isinstance(one, InvalidEvent) for one in decoded] == [False, True, False]
    assert verdicts(decoded) == verdicts([alone(GOOD[0]), alone(body), alone(GOOD[1])])


@pytest.mark.parametrize("token", TOKENS, ids=lambda token: repr(token[:12]))
def test_a_hostile_value_gets_the_verdict_that_it_gets_alone(token: bytes) -> None:
    bodies = [GOOD[3].replace(b'"/"', token), GOOD[3].replace(b'"web"', token)]
    assert verdicts(decode_new_events(bodies)) == verdicts([alone(body) for body in bodies])


def test_good_events_are_not_decoded_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The way that is measured is the way that is taken, explicit nulls and other zones included."""
    monkeypatch.setattr(event_batches, "decode_new_event", None)
    assert len(decode_new_events(GOOD * 20)) == len(GOOD) * 20
