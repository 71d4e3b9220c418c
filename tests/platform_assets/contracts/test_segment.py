"""Segment's calls as our own events."""

import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.contracts.events import InvalidEvent, NewEvent, decode_new_event
from platform_assets.contracts.segment import Call, decode_batch, to_new_event

NOW = dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC)


def mapped(call: Call, **body: Any) -> NewEvent:
    message = {"userId": "user-42", **body}
    return decode_new_event(to_new_event(json.dumps(message).encode(), call, NOW))


def test_track_keeps_properties_and_what_the_spec_has_beside_them() -> None:
    event = mapped(
        Call.TRACK,
        anonymousId="visitor-7",
        messageId="api-1jokO7x",
        event="Order Completed",
        properties={"order_id": "1023", "total": 42.5},
        context={"library": {"name": "@segment/analytics-node", "version": "2.1.3"}, "ip": "203.0.113.9"},
        integrations={"All": True},
        channel="server",
    )
    assert (event.event_id, event.user_id, event.session_id) == ("api-1jokO7x", "user-42", "visitor-7")
    assert (event.event_name, event.event_type, event.source_service) == (
        "order_completed",
        "user_action",
        "segment_analytics-node",
    )
    assert event.payload == {
        "order_id": "1023",
        "total": 42.5,
        "segment": {
            "event": "Order Completed",
            "context": {"library": {"name": "@segment/analytics-node", "version": "2.1.3"}, "ip": "203.0.113.9"},
            "integrations": {"All": True},
        },
    }


@pytest.mark.parametrize(
    ("call", "body", "name", "payload"),
    [
        (Call.IDENTIFY, {"traits": {"plan": "team"}}, "identify", {"plan": "team"}),
        (
            Call.PAGE,
            {"name": "Pricing", "category": "Docs", "properties": {"path": "/"}},
            "page",
            {"path": "/", "name": "Pricing", "category": "Docs"},
        ),
        (Call.SCREEN, {"name": "Home"}, "screen", {"name": "Home"}),
        (Call.GROUP, {"groupId": 7, "traits": {"size": 3}}, "group", {"size": 3, "group_id": "7"}),
        (Call.ALIAS, {"previousId": "visitor-7"}, "alias", {"previous_id": "visitor-7"}),
    ],
)
def test_other_calls_have_names_of_their_own(
    call: Call, body: dict[str, Any], name: str, payload: dict[str, Any]
) -> None:
    event = mapped(call, **body)
    assert (event.event_name, event.payload, event.source_service) == (name, payload, "segment")


@pytest.mark.parametrize(
    ("event", "name"),
    [
        ("Order Completed", "order_completed"),
        ("orderCompleted", "order_completed"),
        ("order-completed", "order-completed"),
        ("  Signed Up!  ", "signed_up"),
        ("Café visited", "caf_visited"),
        ("purchase_line", "purchase_line"),
    ],
)
def test_event_names_become_ours(event: str, name: str) -> None:
    line = dict.fromkeys(("sales_value", "retail_disc", "coupon_disc", "coupon_match_disc"), 1.0)
    properties = {"basket_id": "1", "product_id": "2", "store_id": "3", "quantity": 1} | line
    assert mapped(Call.TRACK, event=event, properties=properties).event_name == name


def test_the_payload_of_a_name_with_a_contract_is_the_properties_alone() -> None:
    line = dict.fromkeys(("sales_value", "retail_disc", "coupon_disc", "coupon_match_disc"), 1.0)
    properties = {"basket_id": "1", "product_id": "2", "store_id": "3", "quantity": 1} | line
    event = mapped(Call.TRACK, event="Purchase Line", properties=properties, context={"ip": "203.0.113.9"})
    assert event.payload == properties


@pytest.mark.parametrize("off", [dt.timedelta(hours=1), dt.timedelta(hours=-1), dt.timedelta(days=-20_000)])
def test_the_senders_clock_is_allowed_for_as_the_spec_says(off: dt.timedelta) -> None:
    """timestamp + (received - sentAt): ten seconds before sending stay ten seconds before receipt."""
    sent = NOW + off
    happened = sent - dt.timedelta(seconds=10)
    event = mapped(Call.PAGE, timestamp=happened.isoformat(), sentAt=sent.isoformat())
    assert event.occurred_at == NOW - dt.timedelta(seconds=10)


@pytest.mark.parametrize(
    ("timestamp", "occurred_at"),
    [
        (None, None),
        ("2026-11-25T11:00:00.5Z", dt.datetime(2026, 11, 25, 11, 0, 0, 500_000, tzinfo=dt.UTC)),
        ("2026-11-25T11:00:00", dt.datetime(2026, 11, 25, 11, tzinfo=dt.UTC)),
    ],
)
def test_without_a_time_of_sending_the_timestamp_stands(timestamp: str | None, occurred_at: dt.datetime | None) -> None:
    assert mapped(Call.PAGE, timestamp=timestamp).occurred_at == occurred_at


def test_a_batch_hands_its_own_fields_down() -> None:
    body = {
        "batch": [{"type": "page", "anonymousId": 7, "timestamp": "2026-11-25T10:59:50Z", "context": {"locale": "da"}}],
        "sentAt": "2026-11-25T11:00:00Z",
        "context": {"app": "shop", "locale": "en"},
    }
    batch = decode_batch(json.dumps(body).encode())
    event = decode_new_event(to_new_event(bytes(batch.batch[0]), None, NOW, whole=batch))
    assert (event.session_id, event.user_id) == ("7", None)
    assert event.occurred_at == NOW - dt.timedelta(seconds=10)
    assert event.payload["segment"]["context"] == {"app": "shop", "locale": "da"}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"nope", "malformed"),
        (b"[]", "Expected `object`"),
        (b'{"event":"x"}', "a userId or an anonymousId"),
        (b'{"userId":"","event":"x"}', "a userId or an anonymousId"),
        (b'{"userId":"u"}', "a track call needs an event".capitalize()),
        (b'{"userId":"u","event":"404"}', "begins with a letter"),
        (b'{"userId":"u","event":"x","properties":[]}', "`$.properties`"),
        (b'{"userId":"u","event":"x","properties":{"segment":1}}', "reserved"),
        (b'{"userId":"u","event":"x","properties":{"a":1,"a":2}}', 'The key "a" stands twice'),
        (b'{"userId":"u","event":"x","timestamp":"yesterday"}', "`$.timestamp`"),
        (
            b'{"userId":"u","event":"x","timestamp":"9999-01-01T00:00:00Z","sentAt":"0001-01-01T00:00:00Z"}',
            "too far apart",
        ),
        (b"[" * 100_000, ""),
        (b'{"userId":"u","event":"x","properties":{"a":' + b"[" * 50_000, "nests too deeply"),
    ],
)
def test_what_is_no_call_is_refused_with_the_reason(body: bytes, reason: str) -> None:
    with pytest.raises(InvalidEvent) as refused:
        to_new_event(body, Call.TRACK, NOW)
    assert reason in refused.value.reason


@pytest.mark.parametrize(("message_id", "known"), [("m-1", "m-1"), ("a\r\nb", None), ("x" * 200, None)])
def test_a_refused_call_is_known_by_its_message_id_where_that_is_usable(message_id: str, known: str | None) -> None:
    with pytest.raises(InvalidEvent) as refused:
        to_new_event(json.dumps({"messageId": message_id}).encode(), Call.PAGE, NOW)
    assert refused.value.event_id == known


def test_a_message_of_a_batch_names_its_type() -> None:
    with pytest.raises(InvalidEvent, match="one of track, identify"):
        to_new_event(b'{"userId":"u","type":"delete"}', None, NOW)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode), st.sampled_from([*Call, None]))
def test_any_bytes_become_an_event_or_a_reason(body: bytes, call: Call | None) -> None:
    try:
        verdict: bytes | str = to_new_event(body, call, NOW)
    except InvalidEvent as refused:
        verdict = refused.reason
    assert verdict
