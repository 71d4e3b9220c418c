"""The specification's service boilerplate and initialization pattern.

One documented deviation: the pattern's `db_manager` is the connection to the event log here, which is what this
platform's services hold; the order (observability, connection on `app.state`, clean up) is the specification's.
"""

import datetime as dt
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from api.middleware import RequestLoggingMiddleware
from api.services.event_log import EventLog
from platform_assets.contracts.rejections import encode_rejection, refuse_at_the_door
from platform_assets.contracts.topics import REJECTED
from resources.event_log.gate import IngestionGate
from resources.event_log.topics import ensure_topics
from resources.settings import KafkaSettings, Settings
from resources.telemetry import configure_observability, get_observability_config


@pytest.fixture
def settings(embedded_broker: str, tmp_path: Path) -> Settings:
    """Local settings on the embedded broker."""
    ensure_topics(embedded_broker)
    return Settings(data_dir=tmp_path, kafka=KafkaSettings(bootstrap_servers=embedded_broker))


async def test_the_service_boilerplate_runs() -> None:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        """Service lifespan management."""
        # Startup - initialize dependencies
        yield
        # Shutdown - cleanup resources

    app = FastAPI(
        title="My New Service",
        description="Description of my new service",
        version="1.0.0",
        lifespan=lifespan,
    )

    app.add_middleware(RequestLoggingMiddleware)

    @app.get("/health")
    async def health_check() -> dict[str, str]:
        """Health check endpoint."""
        return {"status": "healthy"}

    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost") as client,
    ):
        response = await client.get("/health")
    assert response.json() == {"status": "healthy"}
    assert response.headers["x-request-id"]


async def test_the_initialization_pattern_starts_and_cleans_up(settings: Settings) -> None:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        # Initialize observability
        obs_config = get_observability_config()
        obs_config.service_name = "my-service"
        configure_observability(obs_config, app)

        # Initialize the connection
        event_log = EventLog(settings, IngestionGate.of(settings))
        event_log.start()
        app.state.event_log = event_log

        yield

        # Cleanup
        await event_log.stop()

    app = FastAPI(lifespan=lifespan)
    async with app.router.lifespan_context(app):
        rejection = refuse_at_the_door(
            b"{}", reason="example", event_id="e-1", rejected_at=dt.datetime.now(dt.UTC), correlation_id="example"
        )
        assert app.state.observability.service_name == "my-service"
        await app.state.event_log.append(REJECTED.name, [(b"e-1", encode_rejection(rejection))])
        assert app.state.event_log.fault is None
