"""The Segment spec's calls against the real embedded broker, in the form in which client libraries send them."""

import datetime as dt
import gzip
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from resources.event_log.gate import IngestionGate
from resources.settings import Settings

OnTheLog = Callable[[str], tuple[list[Any], list[Any]]]

pytestmark = pytest.mark.asyncio(loop_scope="module")

CALLS: dict[str, dict[str, Any]] = {
    "track": {"event": "Order Completed", "properties": {"total": 42.5}},
    "identify": {"traits": {"plan": "team"}},
    "page": {"name": "Pricing", "properties": {"path": "/pricing"}},
    "screen": {"name": "Settings"},
    "group": {"groupId": "acme", "traits": {"employees": 120}},
    "alias": {"previousId": "visitor-7"},
}
NAMES = {call: call for call in CALLS} | {"track": "order_completed"}


@pytest.mark.parametrize("call", CALLS)
async def test_each_call_is_one_event_on_the_log(api: httpx.AsyncClient, on_the_log: OnTheLog, call: str) -> None:
    response = await api.post(f"/v1/{call}", json={"userId": "u-1", "messageId": f"m-{call}", **CALLS[call]})
    assert (response.status_code, response.json()) == (200, {"success": True})
    events, rejections = on_the_log(response.headers["x-request-id"])
    assert [(event["event_id"], event["event_name"]) for event in events] == [(f"m-{call}", NAMES[call])]
    assert not rejections


async def test_a_batch_of_the_python_library_is_taken_as_it_is_sent(
    api: httpx.AsyncClient, on_the_log: OnTheLog
) -> None:
    """analytics-python with gzip on: its body, its headers (but for the write key, which is the guard's)."""
    sent = dt.datetime.now(dt.UTC)
    common = {
        "integrations": {},
        "anonymousId": None,
        "timestamp": (sent - dt.timedelta(seconds=2)).isoformat(),
        "context": {"library": {"name": "analytics-python", "version": "2.3.4"}},
        "userId": "019mr8mf4r",
        "type": "track",
    }
    body = {
        "batch": [
            {**common, "messageId": "5a1b", "event": "Song Played", "properties": {"name": "Fast Car"}},
            {**common, "messageId": "5a1c", "type": "identify", "traits": {"email": "a@shop.example"}},
            {**common, "messageId": "5a1d", "type": "page", "name": "Home", "category": None, "properties": {}},
        ],
        "sentAt": sent.isoformat(),
    }
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "analytics-python/2.3.4",
        "Content-Encoding": "gzip",
    }
    response = await api.post("/v1/batch", content=gzip.compress(json.dumps(body).encode()), headers=headers)
    assert (response.status_code, response.json()) == (200, {"success": True})
    events, _ = on_the_log(response.headers["x-request-id"])
    assert {event["event_id"]: (event["event_name"], event["source_service"]) for event in events} == {
        "5a1b": ("song_played", "analytics-python"),
        "5a1c": ("identify", "analytics-python"),
        "5a1d": ("page", "analytics-python"),
    }
    occurred, received = (dt.datetime.fromisoformat(events[0][name]) for name in ("occurred_at", "received_at"))
    assert (received - occurred).total_seconds() == pytest.approx(2, abs=0.5)


async def test_a_clock_is_allowed_for_once_where_body_and_header_tell_of_it(
    api: httpx.AsyncClient, on_the_log: OnTheLog
) -> None:
    sent = dt.datetime.now(dt.UTC) + dt.timedelta(hours=5)
    happened = sent - dt.timedelta(seconds=10)
    call = {"userId": "u-1", "timestamp": happened.isoformat(), "sentAt": sent.isoformat()}
    response = await api.post("/v1/page", json=call, headers={"x-sent-at": sent.isoformat()})
    events, _ = on_the_log(response.headers["x-request-id"])
    occurred, received = (dt.datetime.fromisoformat(events[0][name]) for name in ("occurred_at", "received_at"))
    assert (received - occurred).total_seconds() == pytest.approx(10, abs=1)


async def test_a_beacon_of_a_browser_is_taken(api: httpx.AsyncClient, on_the_log: OnTheLog) -> None:
    """navigator.sendBeacon sends text; analytics.js adds fields of its own, which are passed over."""
    body = {
        "type": "page",
        "anonymousId": "c6e1b1a8-0d4f-4b0f-8f10-3f0d5d1f9b11",
        "properties": {"url": "https://shop.example/", "title": "Shop"},
        "messageId": "ajs-next-1769000000000-7c1c",
        "writeKey": "in-the-body",
        "_metadata": {"bundled": ["Segment.io"]},
    }
    response = await api.post(
        "/v1/page", content=json.dumps(body), headers={"content-type": "text/plain;charset=UTF-8"}
    )
    assert response.status_code == 200
    events, _ = on_the_log(response.headers["x-request-id"])
    assert events[0]["session_id"] == "c6e1b1a8-0d4f-4b0f-8f10-3f0d5d1f9b11"
    assert "in-the-body" not in json.dumps(events)


async def test_bad_calls_of_a_batch_are_told_and_recorded_and_the_good_ones_kept(
    api: httpx.AsyncClient, on_the_log: OnTheLog
) -> None:
    """Refused by the spec's form as sent; refused by our contract as the event that it would have been."""
    batch = [
        {"type": "track", "userId": "u-1", "event": "Good"},
        {"type": "track", "messageId": "no-user", "event": "Bad"},
        {"type": "track", "messageId": "bad-user", "userId": "two words", "event": "Bad"},
    ]
    response = await api.post("/v1/batch", json={"batch": batch})
    assert response.status_code == 200
    refused = response.json()["refused"]
    assert [(one["index"], one["message_id"]) for one in refused] == [(1, "no-user"), (2, "bad-user")]
    events, rejections = on_the_log(response.headers["x-request-id"])
    assert [event["event_name"] for event in events] == ["good"]
    bodies = {rejection["event_id"]: json.loads(rejection["body"]) for rejection in rejections}
    assert bodies["no-user"] == batch[1]
    assert bodies["bad-user"]["user_id"] == "two words"


@pytest.mark.parametrize(
    ("path", "body", "refused"),
    [
        ("track", b"nope", 1),
        ("track", b"{}", 1),
        ("batch", b"nope", 1),
        ("batch", b'{"batch":[{},{}]}', 2),
        ("batch", b'{"batch":[]}', 0),
        ("batch", b'{"batch":' + b"[" * 10_000, 1),
    ],
)
async def test_nothing_good_is_a_422_problem(
    api: httpx.AsyncClient, on_the_log: OnTheLog, path: str, body: bytes, refused: int
) -> None:
    response = await api.post(f"/v1/{path}", content=body, headers={"content-type": "application/json"})
    assert (response.status_code, len(response.json()["refusals"])) == (422, refused)
    events, rejections = on_the_log(response.headers["x-request-id"])
    assert (len(events), len(rejections)) == (0, refused)


async def test_too_many_calls_are_refused(api: httpx.AsyncClient) -> None:
    call = {"type": "page", "userId": "u"}
    assert (await api.post("/v1/batch", json={"batch": [call] * 51})).status_code == 413


async def test_a_repeat_with_an_idempotency_key_is_answered_as_before(api: httpx.AsyncClient) -> None:
    for replayed in (None, "true"):
        response = await api.post("/v1/track", json={"userId": "u", "event": "x"}, headers={"idempotency-key": "seg"})
        assert (response.status_code, response.headers.get("idempotent-replayed")) == (200, replayed)
    other = await api.post("/v1/page", json={"userId": "u", "event": "x"}, headers={"idempotency-key": "seg"})
    assert other.status_code == 422


async def test_nothing_is_a_success_before_it_is_acknowledged(
    api: httpx.AsyncClient, settings: Settings, serve: Any, unreachable: Settings
) -> None:
    gate = IngestionGate.of(settings)
    gate.close("recycling the broker")
    assert (await api.post("/v1/page", json={"userId": "u"})).status_code == 503
    gate.open()
    async with serve(unreachable) as down:
        response = await down.post("/v1/page", json={"userId": "u"})
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
