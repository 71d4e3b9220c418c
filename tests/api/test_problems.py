"""Errors are problems, carry the request's id and tell nothing internal."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.middleware import RequestLoggingMiddleware
from api.problems import install_problem_handlers
from resources.settings import Settings


@pytest.fixture
def broken() -> httpx.AsyncClient:
    """An application whose only route fails."""
    app = FastAPI()
    install_problem_handlers(app)
    app.add_middleware(RequestLoggingMiddleware)

    @app.get("/broken")
    async def fail() -> None:
        raise RuntimeError("the password is hunter2")

    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost")


async def test_an_unhandled_error_is_a_500_without_internals(
    broken: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    response = await broken.get("/broken")
    assert response.status_code == 500
    problem = response.json()
    assert set(problem) == {"type", "title", "status", "detail", "instance", "request_id"}
    assert "hunter2" not in response.text
    assert problem["request_id"] == response.headers["x-request-id"]
    logged = next(record for record in caplog.records if record.exc_info)
    assert logged.request_id == problem["request_id"]  # type: ignore[attr-defined]


async def test_an_unknown_path_and_a_wrong_method_are_problems(broken: httpx.AsyncClient) -> None:
    missing, wrong = await broken.get("/nowhere"), await broken.post("/broken")
    assert (missing.status_code, wrong.status_code) == (404, 405)
    assert wrong.headers["allow"] == "GET"
    for response in (missing, wrong):
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["status"] == response.status_code


async def test_405_names_every_method_of_the_path(serve: Any, unreachable: Settings) -> None:
    async with serve(unreachable) as api:
        response = await api.request("PUT", "/v1/keys")
        assert (response.status_code, response.headers["allow"]) == (405, "GET, POST")
        assert (await api.request("PUT", "/v1/users/me")).headers["allow"] == "GET, PATCH"
