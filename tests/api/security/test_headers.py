"""Headers for browsers, methods nobody serves, pages that production does not show (security.md 27, 39, 40)."""

from typing import Any

import pytest

from api.docs_pages import are_served
from resources.settings import ApiSettings, Environment, Settings


def changed(settings: Settings, **api: Any) -> Settings:
    return settings.model_copy(update={"api": settings.api.model_copy(update=api)})


async def test_every_answer_has_the_security_headers(serve: Any, unreachable: Settings) -> None:
    async with serve(unreachable) as api:
        answers = [await api.get(path) for path in ("/health", "/v1/nothing", "/docs", "/openapi.json")]
        answers += [await api.post("/v1/events", content=b"{"), await api.get("/health", headers={"Host": "evil"})]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "strict-transport-security" not in answer.headers
        assert "server" not in answer.headers


async def test_behind_a_proxy_with_tls_browsers_are_told_to_insist_on_it(serve: Any, unreachable: Settings) -> None:
    async with serve(changed(unreachable, hsts_max_age_s=31_536_000)) as api:
        answer = await api.get("/health")
    assert answer.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"


@pytest.mark.parametrize("method", ["TRACE", "TRACK", "CONNECT", "DEBUG", "PROPFIND"])
async def test_methods_without_a_route_are_refused_whoever_asks(serve: Any, unreachable: Settings, method: str) -> None:
    for client in ("127.0.0.1", "192.0.2.7"):
        async with serve(unreachable, client=(client, 1)) as api:
            response = await api.request(method, "/health", headers={"Authorization": "Bearer s3cret"})
        assert response.status_code == 405
        assert "TRACE" not in response.headers["allow"]
        assert "s3cret" not in response.text


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/docs/assets/favicon.png"])
async def test_the_pages_can_be_switched_off(serve: Any, unreachable: Settings, path: str) -> None:
    async with serve(changed(unreachable, docs=False)) as api:
        assert (await api.get(path)).status_code == 404


def test_the_pages_are_off_outside_local_unless_asked_for() -> None:
    assert are_served(Settings())
    assert not are_served(Settings(environment=Environment.PROD))
    assert are_served(Settings(environment=Environment.PROD, api=ApiSettings(docs=True)))
