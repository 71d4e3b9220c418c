"""The policy table and its enforcement."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts

from api.main import create_app
from api.security.policy import POLICY, Access, access_to
from resources.settings import Settings

LOOPBACK = ["127.0.0.1", "::1", "::ffff:127.0.0.1"]


def routes_of(settings: Settings) -> Iterator[tuple[str, str]]:
    for route in iter_route_contexts(create_app(settings).routes):
        for method in route.methods or ():
            if method != "HEAD":
                yield method, str(route.path)


def test_policy_names_every_route_and_no_other(unreachable: Settings) -> None:
    assert sorted(routes_of(unreachable)) == sorted(POLICY)


def test_policy_wants_an_identity_for_what_it_does_not_know() -> None:
    assert access_to("GET", "/v1/secrets") is Access.IDENTIFIED
    assert access_to("DELETE", "/health") is Access.IDENTIFIED
    assert access_to("HEAD", "/health") is Access.ANYONE


@pytest.mark.parametrize(("method", "path"), POLICY)
async def test_a_bad_credential_is_refused_on_every_route(
    serve: Any, unreachable: Settings, caplog: pytest.LogCaptureFixture, method: str, path: str
) -> None:
    caplog.set_level(logging.WARNING)
    async with serve(unreachable) as api:
        for header in ("Authorization", "X-API-Key"):
            response = await api.request(
                method,
                path.format(model="churn", name="favicon.png", entity="1"),
                headers={header: "s3cret"},
                content=b"{",
            )
            assert response.status_code == 401
            assert response.headers["www-authenticate"].startswith("Bearer")
            assert response.json()["type"].endswith("unauthorized")
    assert "s3cret" not in str([vars(record) for record in caplog.records])
    assert any(record.message == "Caller refused" for record in caplog.records)


@pytest.mark.parametrize(("method", "path"), POLICY)
async def test_a_caller_from_elsewhere_reaches_public_routes_only(
    serve: Any, unreachable: Settings, method: str, path: str
) -> None:
    async with serve(unreachable, client=("192.0.2.7", 1)) as api:
        response = await api.request(method, path.format(model="churn", name="favicon.png", entity="1"))
    assert (response.status_code == 401) is (POLICY[method, path] is Access.IDENTIFIED)


@pytest.mark.parametrize("address", LOOPBACK)
async def test_a_caller_from_this_machine_is_the_local_developer(
    serve: Any, unreachable: Settings, address: str
) -> None:
    async with serve(unreachable, client=(address, 1)) as api:
        assert (await api.get("/openapi.json")).status_code == 200


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
async def test_a_caller_behind_a_proxy_is_not_the_local_developer(
    serve: Any, unreachable: Settings, header: str
) -> None:
    async with serve(unreachable) as api:
        assert (await api.get("/openapi.json", headers={header: "127.0.0.1"})).status_code == 401


async def test_an_unknown_route_is_401_for_strangers_and_404_for_the_developer(
    serve: Any, unreachable: Settings
) -> None:
    async with serve(unreachable) as api:
        assert (await api.get("/v1/nothing")).status_code == 404
    async with serve(unreachable, client=("192.0.2.7", 1)) as api:
        assert (await api.get("/v1/nothing")).status_code == 401


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8000", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("evil.example", 400),
        ("localhost.evil.example", 400),
        ("evil.example:localhost", 400),
        ("localhost@evil.example", 400),
        ("127.0.0.1.evil.example:8000", 400),
        ("", 400),
    ],
)
async def test_only_a_loopback_host_is_served(serve: Any, unreachable: Settings, host: str, status: int) -> None:
    async with serve(unreachable) as api:
        response = await api.get("/health", headers={"host": host})
    assert response.status_code == status
