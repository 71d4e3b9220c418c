"""How often a caller may ask, and what it is told (security.md 37)."""

import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api.middleware import RequestLoggingMiddleware
from api.problems import ProblemError, install_problem_handlers, problem_response
from api.security.client_address import ClientAddressMiddleware
from api.security.rate_limits import RateLimitMiddleware, RateLimits, RefusedCallerLimitMiddleware, charge
from platform_assets.contracts import access
from platform_assets.contracts.access import LOCAL_DEVELOPER, Principal, PrincipalKind
from resources.settings import LimitsSettings

WRITE_KEY = Principal(PrincipalKind.KEY, "web", "key-1", "user-1", access.WRITE_KEY_SCOPES)
USER = Principal(PrincipalKind.USER, "ada", "user-1", "user-1", access.ROLE_SCOPES[access.Role.ADMIN])
SETTINGS = LimitsSettings(key_requests_per_minute=150, key_events_per_minute=1000)


class KnownCallers:
    """Stands where the guard does: the caller is whom the header names, and nobody knows `stranger`."""

    def __init__(self, app: ASGIApp, *, principals: dict[str, Principal]) -> None:
        self.app = app
        self._principals = principals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = dict(scope["headers"]).get(b"x-caller", b"").decode()
        if name == "stranger":
            await problem_response(scope, ProblemError(HTTPStatus.UNAUTHORIZED, "", "Who?"))(scope, receive, send)
            return
        scope["state"]["principal"] = self._principals.get(name)
        await self.app(scope, receive, send)


Limited = Callable[..., httpx.AsyncClient]


@pytest.fixture
async def limited() -> AsyncIterator[Limited]:
    """Makes clients of an application with limits; `client` is where they seem to come from."""
    limits: list[RateLimits] = []

    def make(settings: LimitsSettings = SETTINGS, *, client: str = "192.0.2.7", **principals: Principal) -> Any:
        app = FastAPI()
        app.state.rate_limits = RateLimits(settings)
        limits.append(app.state.rate_limits)
        install_problem_handlers(app)

        @app.get("/health")
        @app.get("/anything")
        async def answer() -> str:
            return "ok"

        @app.post("/events/{count}")
        async def take(request: Request, count: int) -> str:
            await charge(request, count)
            return "taken"

        app.add_middleware(RateLimitMiddleware, limits=limits[-1])
        app.add_middleware(KnownCallers, principals={"key": WRITE_KEY, "user": USER} | principals)
        app.add_middleware(RefusedCallerLimitMiddleware, limits=limits[-1])
        app.add_middleware(RequestLoggingMiddleware)
        app.add_middleware(ClientAddressMiddleware, trusted_proxies=["10.0.0.0/8"])
        transport = httpx.ASGITransport(app=app, client=(client, 1))
        return httpx.AsyncClient(transport=transport, base_url="http://localhost")

    yield make
    for made in limits:
        await made.close()


async def ask(api: httpx.AsyncClient, times: int, path: str = "/anything", **options: Any) -> list[int]:
    return [(await api.get(path, **options)).status_code for _ in range(times)]


async def test_the_101st_request_of_an_address_is_a_429_that_says_when_to_come_back(limited: Limited) -> None:
    api = limited()
    assert await ask(api, 100) == [200] * 100
    response = await api.get("/anything")
    assert response.status_code == 429
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"].endswith("too-many-requests")
    assert 1 <= int(response.headers["retry-after"]) <= 60
    assert response.headers["ratelimit-policy"] == '"requests";q=100;w=60'
    assert response.headers["ratelimit"].startswith('"requests";r=0;t=')


async def test_every_answer_says_what_is_left(limited: Limited) -> None:
    api = limited()
    left = [(await api.get("/anything")).headers["ratelimit"].split(";")[1] for _ in range(3)]
    assert left == ["r=99", "r=98", "r=97"]


@pytest.mark.parametrize("caller", ["stranger", "user"])
async def test_whom_nobody_knows_and_who_has_no_limit_of_its_own_are_counted_by_address(
    limited: Limited, caller: str
) -> None:
    statuses = await ask(limited(), 101, headers={"X-Caller": caller})
    assert statuses[:100] == [401 if caller == "stranger" else 200] * 100
    assert statuses[100] == 429


async def test_bad_credentials_of_an_address_do_not_shut_out_a_good_key_there(limited: Limited) -> None:
    api = limited()
    assert (await ask(api, 120, headers={"X-Caller": "stranger"}))[-1] == 429
    assert await ask(api, 1, headers={"X-Caller": "key"}) == [200]


async def test_a_spoofed_forwarded_address_does_not_get_round_the_limit(limited: Limited) -> None:
    """security.md 38: only a trusted proxy's word counts."""
    api = limited()
    statuses = [
        (await api.get("/anything", headers={"X-Forwarded-For": f"203.0.113.{number}"})).status_code
        for number in range(101)
    ]
    assert statuses[-1] == 429


async def test_callers_behind_a_trusted_proxy_are_counted_apart(limited: Limited) -> None:
    api = limited(client="10.0.0.1")
    assert (await ask(api, 101, headers={"X-Forwarded-For": "203.0.113.1"}))[-1] == 429
    assert await ask(api, 1, headers={"X-Forwarded-For": "203.0.113.2"}) == [200]


async def test_addresses_of_one_ipv6_subscriber_are_counted_together(limited: Limited) -> None:
    api = limited(client="10.0.0.1")
    statuses = [
        (await api.get("/anything", headers={"X-Forwarded-For": f"2001:db8::{number:x}"})).status_code
        for number in range(101)
    ]
    assert statuses[-1] == 429
    assert await ask(api, 1, headers={"X-Forwarded-For": "2001:db8:0:1::1"}) == [200]


async def test_a_key_that_sends_events_has_a_limit_of_its_own_from_wherever(limited: Limited) -> None:
    statuses = await ask(limited(), 151, headers={"X-Caller": "key"})
    assert statuses == [200] * 150 + [429]


async def test_the_developer_on_this_machine_and_health_are_not_counted(limited: Limited) -> None:
    api = limited(developer=LOCAL_DEVELOPER)
    assert set(await ask(api, 300, headers={"X-Caller": "developer"})) == {200}
    assert set(await ask(api, 300, "/health")) == {200}
    assert "ratelimit" not in (await api.get("/health")).headers


async def test_events_are_charged_before_they_are_taken(limited: Limited) -> None:
    api = limited()
    key = {"X-Caller": "key"}
    first, second = await api.post("/events/600", headers=key), await api.post("/events/600", headers=key)
    assert (first.status_code, second.status_code) == (200, 429)
    assert first.headers["ratelimit-policy"] == '"requests";q=150;w=60, "events";q=1000;w=60'
    assert '"events";r=400;' in first.headers["ratelimit"]
    assert int(second.headers["retry-after"]) >= 1
    assert "events a minute" in second.json()["detail"]


async def test_a_keys_own_limit_replaces_the_default(limited: Limited) -> None:
    api = limited(big=replace(WRITE_KEY, id="key-2", events_per_minute=5000))
    headers = {"X-Caller": "big"}
    assert set(await ask(api, 200, headers=headers)) == {200}
    assert (await api.post("/events/5000", headers=headers)).status_code == 200
    assert (await api.post("/events/1", headers=headers)).status_code == 429


async def test_a_refusal_with_an_unread_body_closes_the_connection(limited: Limited) -> None:
    api = limited()
    await ask(api, 100)
    assert (await api.post("/events/1", content=b"x")).headers["connection"] == "close"
    assert "connection" not in (await api.get("/anything")).headers


async def test_a_caller_over_its_limit_is_logged_once_a_window(
    limited: Limited, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    await ask(limited(), 110)
    (line,) = [vars(record) for record in caplog.records if record.message == "Caller over its limit"]
    assert (line["client"], line["limit"], line["per_minute"]) == ("192.0.2.7", "requests", 100)


async def test_counting_costs_little_of_a_request() -> None:
    """1,300 requests of 100 events a second go through here; 50 µs of each would be 7 % of a core."""
    settings = LimitsSettings(key_requests_per_minute=10**9, key_events_per_minute=10**9)
    limits = RateLimits(settings)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await limits.charge(scope, 100)
        await send({"type": "http.response.start", "status": 202, "headers": []})

    async def nothing(*_: object) -> Any:
        return None

    layer = RefusedCallerLimitMiddleware(RateLimitMiddleware(application, limits=limits), limits=limits)
    times = []
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(1000):
            scope: Scope = {
                "type": "http",
                "method": "POST",
                "path": "/v1/events",
                "client": ("192.0.2.7", 1),
                "headers": [],
                "state": {"principal": WRITE_KEY},
            }
            await layer(scope, nothing, nothing)
        times.append((time.perf_counter() - started) / 1000)
    assert min(times) < 50e-6
