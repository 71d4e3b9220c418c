"""POST /v1/events again with the same Idempotency-Key."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from resources.settings import Settings

OnTheLog = Callable[[str], tuple[list[Any], list[Any]]]

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVENT = {"event_name": "page_viewed", "source_service": "web", "payload": {"path": "/"}}


async def send(api: httpx.AsyncClient, body: Any, key: str, **headers: str) -> httpx.Response:
    return await api.post("/v1/events", json=body, headers={"idempotency-key": key, **headers})


async def test_a_repeat_is_answered_as_before_and_appends_nothing(api: httpx.AsyncClient, on_the_log: OnTheLog) -> None:
    first = await send(api, [EVENT, EVENT | {"event_id": "own"}], "repeat-1")
    again = await send(api, [EVENT, EVENT | {"event_id": "own"}], '"repeat-1"')
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.content == first.content
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert len(on_the_log(first.headers["x-request-id"])[0]) == 2
    assert on_the_log(again.headers["x-request-id"]) == ([], [])


@pytest.mark.parametrize(("body", "status"), [([EVENT, {}], 207), ([{}], 422)])
async def test_refusals_are_repeated_too(
    api: httpx.AsyncClient, on_the_log: OnTheLog, body: list[Any], status: int
) -> None:
    first = await send(api, body, f"refused-{status}")
    again = await send(api, body, f"refused-{status}")
    assert (first.status_code, again.status_code, again.headers["idempotent-replayed"]) == (status, status, "true")
    assert (again.content, again.headers["content-type"]) == (first.content, first.headers["content-type"])
    assert on_the_log(again.headers["x-request-id"]) == ([], [])


async def test_the_key_with_another_body_is_refused(api: httpx.AsyncClient, on_the_log: OnTheLog) -> None:
    await send(api, EVENT, "reused")
    other = await send(api, [EVENT], "reused")
    assert (other.status_code, other.json()["type"]) == (422, "urn:analytics:problem:idempotency-key-reused")
    assert on_the_log(other.headers["x-request-id"]) == ([], [])


async def test_a_repeat_while_the_first_is_under_way_is_told_to_wait(api: httpx.AsyncClient) -> None:
    responses = await asyncio.gather(*(send(api, EVENT, "at-once") for _ in range(5)))
    assert sorted(response.status_code for response in responses) == [202, 409, 409, 409, 409]
    conflict = next(response for response in responses if response.status_code == 409)
    assert conflict.headers["retry-after"] == "1"
    assert (await send(api, EVENT, "at-once")).headers["idempotent-replayed"] == "true"


async def test_another_process_makes_the_same_ids(
    api: httpx.AsyncClient, serve: Any, settings: Settings, on_the_log: OnTheLog
) -> None:
    """It knows nothing of the first answer; later stages keep one record of each id."""
    body = [EVENT, EVENT | {"event_id": "own"}, EVENT]
    first = await send(api, body, "elsewhere")
    async with serve(settings) as other:
        again = await send(other, body, "elsewhere")
    assert "idempotent-replayed" not in again.headers
    assert again.json()["data"]["event_ids"] == first.json()["data"]["event_ids"]
    logged = [
        [event["event_id"] for event in on_the_log(answer.headers["x-request-id"])[0]] for answer in (first, again)
    ]
    assert sorted(logged[0]) == sorted(logged[1]) == sorted(first.json()["data"]["event_ids"])


async def test_what_was_not_acknowledged_is_tried_again(serve: Any, unreachable: Settings) -> None:
    async with serve(unreachable) as api:
        for _ in range(2):
            response = await send(api, EVENT, "not-yet")
            assert response.status_code == 503
            assert "idempotent-replayed" not in response.headers


@pytest.mark.parametrize("key", ["", " ", "two words", "x" * 129, 'a"b', "tab\tbed", "caf\xe9"])
async def test_a_malformed_key_is_refused(api: httpx.AsyncClient, key: str) -> None:
    headers = [(b"idempotency-key", key.encode("latin-1")), (b"content-type", b"application/json")]
    response = await api.post("/v1/events", content=b"{}", headers=headers)
    assert (response.status_code, response.json()["type"]) == (400, "urn:analytics:problem:bad-header")


async def test_two_keys_are_refused(api: httpx.AsyncClient) -> None:
    headers = [("idempotency-key", "a"), ("idempotency-key", "b"), ("content-type", "application/json")]
    assert (await api.post("/v1/events", content=b"{}", headers=headers)).status_code == 400
