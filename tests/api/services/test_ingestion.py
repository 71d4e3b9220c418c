"""Bounds of what requests under way may hold, counted before their bodies are read."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message

from api.services.ingestion import MAX_HELD_BYTES, Ingestion, IngestionBusy
from resources.event_log.gate import IngestionGate
from resources.settings import Settings


def test_requests_hold_no_more_than_the_bound_together(tmp_path: Path) -> None:
    ingestion = Ingestion(None, IngestionGate(tmp_path))  # type: ignore[arg-type]  # the log is not touched here
    with ingestion.admitted(MAX_HELD_BYTES - 10):
        with ingestion.admitted(10):
            pass
        with pytest.raises(IngestionBusy), ingestion.admitted(11):
            pass
        assert ingestion.in_flight == 1
    with ingestion.admitted(MAX_HELD_BYTES):
        pass


@pytest.mark.parametrize("headers", [{}, {"content-length": "100"}, {"content-encoding": "gzip"}])
async def test_a_request_beyond_the_bound_is_sent_away_with_its_body_unread(
    serve: Any, unreachable: Settings, headers: dict[str, str]
) -> None:
    """Without a declared length, or packed, it counts as the largest that is allowed."""
    was_read = False

    async def body() -> AsyncIterator[bytes]:
        nonlocal was_read
        was_read = True
        yield b"{}"

    async with serve(unreachable) as api:
        ingestion: Ingestion = api._transport.app.state.ingestion
        with ingestion.admitted(MAX_HELD_BYTES - 99):
            sent = {"content-type": "application/json", **headers}
            response = await api.post("/v1/events", content=body(), headers=sent)
    assert (response.status_code, response.json()["type"]) == (503, "urn:analytics:problem:ingestion-busy")
    assert (response.headers["retry-after"], response.headers["connection"]) == ("1", "close")
    assert not was_read


async def test_a_client_that_goes_away_in_mid_body_is_no_error_of_ours(
    serve: Any, unreachable: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """Its place is free again, and the log has a line and no traceback."""
    messages: list[Message] = [
        {"type": "http.request", "body": b"[{", "more_body": True},
        {"type": "http.disconnect"},
    ]
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json"), (b"content-length", b"90")]

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        pass

    async with serve(unreachable) as api:
        app = api._transport.app
        scope = {"type": "http", "method": "POST", "path": "/v1/events", "raw_path": b"/v1/events", "root_path": ""}
        scope |= {"query_string": b"", "headers": headers, "client": ("127.0.0.1", 1), "scheme": "http"}
        await app(
            {**scope, "server": ("127.0.0.1", 80), "http_version": "1.1", "asgi": {"version": "3.0"}}, receive, send
        )
        assert app.state.ingestion.in_flight == 0
    assert not [record for record in caplog.records if record.exc_info and record.name.startswith("api.")]
