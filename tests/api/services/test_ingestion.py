"""Bounds of what requests under way may hold, counted before their bodies are read."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

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
