"""The request's id and its log line."""

import logging

import httpx
import pytest
from fastapi import FastAPI, Request

from api.middleware import RequestLoggingMiddleware

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def echo() -> httpx.AsyncClient:
    """An application that answers with what the middleware found out."""
    app = FastAPI()
    app.add_middleware(RequestLoggingMiddleware)

    @app.get("/echo")
    async def answer(request: Request) -> dict[str, str | None]:
        return {"request_id": request.state.request_id, "traceparent": request.state.traceparent}

    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost")


async def test_a_well_formed_id_is_kept_and_sent_back(echo: httpx.AsyncClient) -> None:
    response = await echo.get("/echo", headers={"X-Request-ID": "order-7.a:b_c"})
    assert response.json()["request_id"] == response.headers["x-request-id"] == "order-7.a:b_c"


@pytest.mark.parametrize("bad", [b"", b"a b", b"a\nb", b"a\r\nX-Evil: 1", b"ok\n", b"x" * 129, b"\xe9", b"<script>"])
async def test_any_other_id_is_replaced(echo: httpx.AsyncClient, bad: bytes) -> None:
    response = await echo.get("/echo", headers=[(b"X-Request-ID", bad)])
    assert len(response.headers["x-request-id"]) == 32
    assert "x-evil" not in response.headers


async def test_every_request_without_an_id_gets_its_own(echo: httpx.AsyncClient) -> None:
    ids = {(await echo.get("/echo")).headers["x-request-id"] for _ in range(5)}
    assert len(ids) == 5


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        (TRACEPARENT, TRACEPARENT),
        (TRACEPARENT.upper(), None),
        ("00-" + "0" * 32 + "-00f067aa0ba902b7-01", None),
        ("ff" + TRACEPARENT[2:], None),
        ("junk", None),
    ],
)
async def test_only_a_valid_trace_context_is_taken(echo: httpx.AsyncClient, sent: str, found: str | None) -> None:
    assert (await echo.get("/echo", headers={"traceparent": sent})).json()["traceparent"] == found


async def test_one_line_per_request_without_query_or_headers(
    echo: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="api.requests")
    await echo.get("/echo?token=secret", headers={"traceparent": TRACEPARENT, "cookie": "secret"})
    (line,) = [vars(record) for record in caplog.records if record.name == "api.requests"]
    assert (line["method"], line["path"], line["status"], line["trace_id"]) == ("GET", "/echo", 200, TRACEPARENT[3:35])
    assert line["duration_ms"] >= 0
    assert "secret" not in str(line)
