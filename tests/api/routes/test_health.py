"""The health routes."""

import httpx
import pytest

from resources.event_log.gate import IngestionGate
from resources.settings import Settings

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("path", ["/health", "/health/live"])
async def test_a_living_process_says_healthy(api: httpx.AsyncClient, path: str) -> None:
    response = await api.get(path)
    assert (response.status_code, response.json()) == (200, {"status": "healthy"})


async def test_readiness_tells_each_part(api: httpx.AsyncClient, settings: Settings) -> None:
    await api.post("/v1/events", json=[])
    while (response := await api.get("/health/ready")).status_code != 200:
        assert response.json()["status"] == "not_ready"
    parts = response.json()["parts"]
    assert parts["event_log"] == {"reachable": True, "detail": None}
    assert parts["ingestion"] == {"paused": False, "in_flight": 0, "detail": None}
    assert parts["models"]["churn"]["state"] in {"loading", "not_promoted"}
    assert parts["online_store"]["present"] is False


async def test_a_pause_shows_and_does_not_unready_the_process(api: httpx.AsyncClient, settings: Settings) -> None:
    gate = IngestionGate.of(settings)
    gate.close("draining")
    try:
        response = await api.get("/health/ready")
    finally:
        gate.open()
    assert response.status_code == 200
    assert response.json()["parts"]["ingestion"] == {"paused": True, "in_flight": 0, "detail": "draining"}
