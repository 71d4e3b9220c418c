"""Which pages may call the API: those of the listed origins (security.md 39)."""

from typing import Any

import httpx
import pytest

from resources.settings import Settings

ALLOWED = "https://shop.example"


@pytest.fixture
def with_origins(unreachable: Settings) -> Settings:
    """Settings that allow one origin."""
    return unreachable.model_copy(update={"api": unreachable.api.model_copy(update={"cors_origins": (ALLOWED,)})})


async def preflight(api: httpx.AsyncClient, origin: str, headers: str = "content-type") -> httpx.Response:
    return await api.options(
        "/v1/events",
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": headers,
        },
    )


async def test_a_listed_origin_may_send_events(serve: Any, with_origins: Settings) -> None:
    async with serve(with_origins, client=("192.0.2.7", 1)) as api:  # a browser sends no credential in a preflight
        response = await preflight(api, ALLOWED, "content-type, x-api-key, idempotency-key, x-sent-at")
        answer = await api.get("/health", headers={"Origin": ALLOWED})
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == answer.headers["access-control-allow-origin"] == ALLOWED
    assert "access-control-allow-credentials" not in response.headers
    assert "RateLimit" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://shop.example", "https://shop.example.evil.example", "null"]
)
async def test_another_origin_is_refused(serve: Any, with_origins: Settings, origin: str) -> None:
    async with serve(with_origins) as api:
        response = await preflight(api, origin)
        answer = await api.get("/health", headers={"Origin": origin})
    assert response.status_code == 403
    assert response.json()["type"].endswith("origin-not-allowed")
    for headers in (response.headers, answer.headers):
        assert "access-control-allow-origin" not in headers


async def test_by_default_no_origin_is_allowed(serve: Any, unreachable: Settings) -> None:
    async with serve(unreachable) as api:
        response = await preflight(api, ALLOWED)
        answer = await api.get("/health", headers={"Origin": ALLOWED})
    assert response.status_code == 405
    for headers in (response.headers, answer.headers):
        assert not any(name.startswith("access-control") for name in headers)
