"""POST /v1/events against the real embedded broker."""

import json
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from resources.event_log.embedded import broker_command
from resources.event_log.gate import IngestionGate
from resources.event_log.topics import LogUnavailable, ensure_topics
from resources.settings import ApiSettings, KafkaSettings, Settings
from tests.conftest import free_port

OnTheLog = Callable[[str], tuple[list[Any], list[Any]]]

pytestmark = pytest.mark.asyncio(loop_scope="module")

NDJSON = {"content-type": "application/x-ndjson"}
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def event(**changes: Any) -> dict[str, Any]:
    return {"event_name": "page_viewed", "source_service": "web", "payload": {"path": "/"}} | changes


def purchase(**changes: Any) -> dict[str, Any]:
    line = dict.fromkeys(("sales_value", "retail_disc", "coupon_disc", "coupon_match_disc"), 1.5)
    payload = {"basket_id": "1", "product_id": "2", "store_id": "3", "quantity": 1} | line | changes
    return event(event_name="purchase_line", event_type="transaction", payload=payload)


async def test_one_event_is_accepted_and_stands_on_the_log(api: httpx.AsyncClient, on_the_log: OnTheLog) -> None:
    response = await api.post("/v1/events", json=event(event_id="e-1", user_id="u-1"))
    assert response.status_code == 202
    body = response.json()
    assert body["success"] is True
    assert body["data"] == {
        "accepted": 1,
        "refused": 0,
        "event_ids": ["e-1"],
        "refusals": [],
        "moved_by_s": None,
        "clamped": 0,
    }
    assert body["metadata"]["version"] == "v1"
    assert body["metadata"]["environment"] == "local"
    request_id = response.headers["x-request-id"]
    assert body["metadata"]["request_id"] == request_id
    events, rejections = on_the_log(request_id)
    assert not rejections
    assert [(found["event_id"], found["user_id"], found["payload"]) for found in events] == [
        ("e-1", "u-1", {"path": "/"})
    ]
    assert events[0]["received_at"] == events[0]["occurred_at"]


async def test_a_minted_id_is_the_one_on_the_log(api: httpx.AsyncClient, on_the_log: OnTheLog) -> None:
    response = await api.post("/v1/events", json=event())
    events, _ = on_the_log(response.headers["x-request-id"])
    assert [events[0]["event_id"]] == response.json()["data"]["event_ids"]


async def test_an_array_keeps_its_order_and_lists_the_ids(api: httpx.AsyncClient) -> None:
    response = await api.post("/v1/events", json=[event(event_id=f"a-{number}") for number in range(20)])
    assert response.status_code == 202
    assert response.json()["data"]["event_ids"] == [f"a-{number}" for number in range(20)]


async def test_ndjson_skips_blank_lines_and_keeps_unicode(api: httpx.AsyncClient, on_the_log: OnTheLog) -> None:
    one, two = event(event_id="n-1", payload={"name": "Ærø 🚲"}), event(event_id="n-2")
    body = "\n" + json.dumps(one, ensure_ascii=False) + "\r\n  \n" + json.dumps(two) + "\n\n"
    response = await api.post("/v1/events", content=body.encode(), headers=NDJSON)
    assert response.status_code == 202
    events, _ = on_the_log(response.headers["x-request-id"])
    assert {found["event_id"]: found["payload"] for found in events} == {
        "n-1": {"name": "Ærø 🚲"},
        "n-2": {"path": "/"},
    }


async def test_a_mixed_batch_keeps_the_good_and_records_the_bad(api: httpx.AsyncClient, on_the_log: OnTheLog) -> None:
    bad = purchase(coupon_match_disc=2.0) | {"event_id": "bad-1"}
    response = await api.post("/v1/events", json=[event(event_id="g-1"), bad, purchase(), 3, event(surprise=1)])
    assert response.status_code == 207
    receipt = response.json()["data"]
    assert (receipt["accepted"], receipt["refused"]) == (2, 3)
    assert [refusal["index"] for refusal in receipt["refusals"]] == [1, 3, 4]
    assert receipt["refusals"][0]["event_id"] == "bad-1"
    assert "coupon_match_disc 2.0 is larger" in receipt["refusals"][0]["reason"]
    assert "unknown field `surprise`" in receipt["refusals"][2]["reason"]
    events, rejections = on_the_log(response.headers["x-request-id"])
    assert sorted(found["event_id"] for found in events) == sorted(receipt["event_ids"])
    assert {found["event_id"]: found["reason"] for found in rejections} == {
        refusal["event_id"]: refusal["reason"] for refusal in receipt["refusals"]
    }
    assert {found["origin"] for found in rejections} == {"door"}
    assert json.loads(next(found["body"] for found in rejections if found["event_id"] == "bad-1")) == bad


async def test_a_batch_of_only_bad_events_is_a_422_problem(api: httpx.AsyncClient, on_the_log: OnTheLog) -> None:
    response = await api.post("/v1/events", json=[{}, event(event_name="no spaces")])
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert (problem["accepted"], problem["refused"], len(problem["refusals"])) == (0, 2, 2)
    assert "event_name" in problem["refusals"][1]["reason"]
    assert problem["request_id"] == response.headers["x-request-id"]
    events, rejections = on_the_log(problem["request_id"])
    assert (len(events), len(rejections)) == (0, 2)


@pytest.mark.parametrize("body", [b"", b" \n", b"[]", b"[ ]"])
async def test_a_request_without_events_is_refused_and_records_nothing(
    api: httpx.AsyncClient, on_the_log: OnTheLog, body: bytes
) -> None:
    response = await api.post("/v1/events", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 422
    assert "holds no event" in response.json()["detail"]
    assert on_the_log(response.headers["x-request-id"]) == ([], [])


@pytest.mark.parametrize(
    "body",
    [
        b"nope",
        b"[{}, {",
        b'[{"a": 1} {"a": 2}]',
        b"[" * 50_000,
        b'{"event_name": "\xff"}',
        b"\x00" * 190_000,
        b'{"a":' * 5_000,
        b'"\\ud800"',
    ],
    ids=["word", "cut", "comma", "deep", "latin", "nulls", "deep-objects", "surrogate"],
)
async def test_a_body_that_is_not_json_is_one_recorded_rejection(
    api: httpx.AsyncClient, on_the_log: OnTheLog, body: bytes
) -> None:
    response = await api.post("/v1/events", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 422
    assert response.json()["refused"] == 1
    events, rejections = on_the_log(response.headers["x-request-id"])
    assert not events
    assert [found["reason"] for found in rejections] == [response.json()["refusals"][0]["reason"]]


async def test_a_long_reason_is_cut(api: httpx.AsyncClient) -> None:
    response = await api.post("/v1/events", json=event(**{"x" * 50_000: 1}))
    assert response.status_code == 422
    assert len(response.json()["refusals"][0]["reason"]) <= 500


async def test_an_event_that_outgrows_its_limit_by_the_servers_fields_is_refused(api: httpx.AsyncClient) -> None:
    padding = 100_000 - len(json.dumps(event(payload={"path": ""})))
    response = await api.post("/v1/events", json=event(payload={"path": "x" * (padding - 50)}))
    assert response.status_code == 422
    assert "With the server's fields" in response.json()["refusals"][0]["reason"]


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/xml", "application/jsonp"])
async def test_another_content_type_is_refused(api: httpx.AsyncClient, content_type: str | None) -> None:
    headers = {"content-type": content_type} if content_type else {}
    response = await api.post("/v1/events", content=json.dumps(event()), headers=headers)
    assert response.status_code == 415
    assert "application/x-ndjson" in response.headers["accept-post"]


async def test_a_content_type_may_have_parameters(api: httpx.AsyncClient) -> None:
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    assert (await api.post("/v1/events", content=json.dumps(event()), headers=headers)).status_code == 202


async def test_too_many_events_are_refused_unread(api: httpx.AsyncClient, on_the_log: OnTheLog) -> None:
    response = await api.post("/v1/events", json=[event()] * 51)
    assert response.status_code == 413
    assert "at most 50 events; this one has 51" in response.json()["detail"]
    assert on_the_log(response.headers["x-request-id"]) == ([], [])


async def test_a_body_over_the_limit_is_refused(api: httpx.AsyncClient) -> None:
    response = await api.post("/v1/events", content=b"x" * 200_001, headers=NDJSON)
    assert response.status_code == 413
    assert response.headers["connection"] == "close"


async def test_a_streamed_body_is_refused_once_it_is_over_the_limit(api: httpx.AsyncClient) -> None:
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 50_000
            yield b"x" * 50_000

    response = await api.post("/v1/events", content=chunks(), headers=NDJSON)
    assert response.status_code == 413
    assert sent <= 300_000


async def test_a_trace_context_goes_along_with_the_event(api: httpx.AsyncClient, on_the_log: OnTheLog) -> None:
    own = "00-" + "a" * 32 + "-" + "b" * 16 + "-00"
    response = await api.post(
        "/v1/events", json=[event(), event(traceparent=own)], headers={"traceparent": TRACEPARENT}
    )
    events, _ = on_the_log(response.headers["x-request-id"])
    assert {found["traceparent"] for found in events} == {TRACEPARENT, own}


async def test_a_closed_gate_answers_503_and_an_open_one_takes_events_again(
    api: httpx.AsyncClient, settings: Settings
) -> None:
    gate = IngestionGate.of(settings)
    gate.close("recycling the broker")
    response = await api.post("/v1/events", json=event())
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert "recycling the broker" in response.json()["detail"]
    gate.open()
    assert (await api.post("/v1/events", json=event())).status_code == 202


async def test_without_a_broker_nothing_is_acknowledged(serve: Any, unreachable: Settings) -> None:
    async with serve(unreachable) as api:
        for body in (event(), {}):
            response = await api.post("/v1/events", json=body)
            assert response.status_code == 503
            assert "retry-after" in response.headers
            assert response.json()["type"].endswith("event-log-unavailable")
            assert "127.0.0.1:1" not in response.text
        assert (await api.get("/health/live")).status_code == 200
        ready = await api.get("/health/ready")
        assert (ready.status_code, ready.json()["parts"]["event_log"]["reachable"]) == (503, False)


async def test_a_broker_that_comes_back_is_found_again(serve: Any, tmp_path: Path) -> None:
    port = free_port()
    settings = Settings(
        data_dir=tmp_path,
        kafka=KafkaSettings(bootstrap_servers=f"127.0.0.1:{port}"),
        # A new producer waits up to a second for its id, so a shorter time would refuse the first event.
        api=ApiSettings(acknowledgement_timeout_s=3),
    )
    first = start_broker(port)
    try:
        async with serve(settings) as api:
            assert (await api.post("/v1/events", json=event())).status_code == 202
            first.kill()
            first.wait()
            assert (await api.post("/v1/events", json=event())).status_code == 503
            second = start_broker(port)
            try:
                deadline = time.monotonic() + 15
                while (response := await api.post("/v1/events", json=event())).status_code != 202:
                    assert response.status_code == 503
                    assert time.monotonic() < deadline
            finally:
                second.kill()
                second.wait()
    finally:
        first.kill()
        first.wait()


def start_broker(port: int) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(broker_command(port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
    while True:
        try:
            ensure_topics(f"127.0.0.1:{port}", timeout_s=0.5)
        except LogUnavailable:
            assert time.monotonic() < deadline
        else:
            return process


async def test_every_kind_of_json_value_gets_an_answer_and_never_a_500(api: httpx.AsyncClient) -> None:
    values: list[Any] = [
        None,
        True,
        1,
        -(10**30),
        1.5,
        "",
        "\u0000",
        "é",
        [],
        [[]],
        {},
        {"event_id": 1},
        {"payload": {"x": 10**40}},
    ]
    body = msgspec.json.encode([msgspec.Raw(json.dumps(value).encode()) for value in values])
    response = await api.post("/v1/events", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 422
    assert response.json()["refused"] == len(values)
