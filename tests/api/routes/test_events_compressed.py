"""POST /v1/events with compressed bodies."""

import gzip
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import zstandard

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVENT = {"event_name": "page_viewed", "source_service": "web", "payload": {"path": "/"}}
PACKERS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zstd": zstandard.ZstdCompressor().compress}


async def send(api: httpx.AsyncClient, body: bytes, encoding: str | list[str], **headers: str) -> httpx.Response:
    encodings = [encoding] if isinstance(encoding, str) else encoding
    sent = [("content-encoding", one) for one in encodings] + list(headers.items())
    return await api.post("/v1/events", content=body, headers=[("content-type", "application/x-ndjson"), *sent])


@pytest.mark.parametrize("encoding", PACKERS)
async def test_a_compressed_batch_is_taken(api: httpx.AsyncClient, encoding: str) -> None:
    lines = b"\n".join(json.dumps(EVENT | {"event_id": f"{encoding}-{number}"}).encode() for number in range(50))
    response = await send(api, PACKERS[encoding](lines), encoding.upper())
    assert response.status_code == 202
    assert response.json()["data"]["event_ids"] == [f"{encoding}-{number}" for number in range(50)]


@pytest.mark.parametrize("encoding", PACKERS)
async def test_a_bomb_is_refused_and_nothing_of_it_recorded(
    api: httpx.AsyncClient, on_the_log: Any, encoding: str
) -> None:
    response = await send(api, PACKERS[encoding](bytes(100_000_000)), encoding)
    assert response.status_code == 413
    assert "Unpacked" in response.json()["detail"]
    assert on_the_log(response.headers["x-request-id"]) == ([], [])


@pytest.mark.parametrize("encoding", PACKERS)
async def test_a_damaged_body_is_a_bad_request(api: httpx.AsyncClient, encoding: str) -> None:
    whole = PACKERS[encoding](json.dumps(EVENT).encode())
    for body in (whole[:-3], b"nonsense", whole + b"tail"):
        response = await send(api, body, encoding)
        assert (response.status_code, response.json()["type"]) == (400, "urn:analytics:problem:damaged-body")


@pytest.mark.parametrize(
    "encoding", ["br", "deflate", "gzip, gzip", "gzip,zstd", "identity, gzip", "x" * 500, ["gzip", "gzip"]]
)
async def test_another_encoding_or_more_than_one_is_refused(api: httpx.AsyncClient, encoding: str | list[str]) -> None:
    response = await send(api, b"", encoding)
    assert (response.status_code, response.headers["accept-encoding"]) == (415, "gzip, zstd")


async def test_identity_says_nothing(api: httpx.AsyncClient) -> None:
    assert (await send(api, json.dumps(EVENT).encode(), "identity")).status_code == 202
