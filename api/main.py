"""The application: events in at the front door, live predictions out.

`python -m api` serves it; `create_app` makes it for tests and other servers.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI

from api import docs_pages
from api.body_limit import BodyLimitMiddleware
from api.envelope import API_VERSION
from api.middleware import RequestLoggingMiddleware
from api.openapi import install_openapi
from api.problems import install_problem_handlers
from api.routes import (
    events,
    health,
    jwks,
    keys,
    lineage,
    metrics,
    predictions,
    schemas,
    segment,
    session,
    tokens,
    users,
)
from api.security.client_address import ClientAddressMiddleware
from api.security.cors import AllowedOriginsMiddleware
from api.security.guard import GuardMiddleware
from api.security.headers import SecurityHeadersMiddleware
from api.security.hosts import LOOPBACK_HOSTS, TrustedHostMiddleware
from api.security.identity_problems import install_identity_problems
from api.security.methods import AllowedMethodsMiddleware
from api.security.rate_limits import RateLimitMiddleware, RateLimits, RefusedCallerLimitMiddleware
from api.security.startup import refuse_unsafe
from api.services.client_clock import ClockRule
from api.services.event_log import EventLog
from api.services.idempotency import Answers
from api.services.ingestion import Ingestion
from api.services.lineage import Lineage
from api.services.metrics import Metrics
from api.services.predictions import Predictions
from api.services.schemas import Schemas
from api.time_limits import TimeLimitMiddleware
from api.web.sessions import Sessions
from resources.event_log.gate import IngestionGate
from resources.identity.service import Identity
from resources.online_store import SqliteOnlineStore, SqlitePredictionStore
from resources.settings import Settings, load_settings
from resources.telemetry import configure_observability, get_observability_config
from resources.telemetry.tracing import stop_tracing

SERVICE_NAME = "analytics-api"

DESCRIPTION = """
Send events to `/v1/events`; ask the promoted models under `/v1/predictions`.

A success is a `StandardResponse`; an error is `application/problem+json` (RFC 9457). Both carry the request's id.
"""


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
    """Start what the routes use; nothing here waits for another process, so the door opens at once."""
    settings: Settings = app.state.settings
    obs_config = get_observability_config()
    obs_config.service_name = SERVICE_NAME
    obs_config.environment = settings.environment
    obs_config.telemetry = settings.telemetry
    configure_observability(obs_config, app)

    gate = IngestionGate.of(settings)
    event_log = EventLog(settings, gate)
    online_store = SqliteOnlineStore(settings.online_store_path)
    in_stream = SqlitePredictionStore(settings.prediction_store_path)
    models = Predictions(settings.models_dir, online_store, in_stream)
    identity = Identity(settings)
    await identity.start()
    app.state.identity = identity
    app.state.sessions = Sessions(identity.log_ins, identity.principals)
    app.state.event_log = event_log
    event_schemas = Schemas(settings, identity.audit)
    app.state.schemas = event_schemas
    app.state.ingestion = Ingestion(event_log, gate, ClockRule.of(settings.api), lambda: event_schemas.in_force)
    app.state.answers = Answers()
    app.state.online_store = online_store
    app.state.predictions = models
    app.state.metrics = Metrics(settings)
    app.state.lineage = Lineage(settings.lineage_dir)
    event_log.start()
    models.start()
    event_schemas.start()

    yield

    await app.state.rate_limits.close()
    await event_schemas.stop()
    await identity.stop()
    await app.state.metrics.stop()
    await models.stop()
    await event_log.stop()
    online_store.close()
    in_stream.close()
    await asyncio.to_thread(stop_tracing)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application for these settings, or for those of the environment.

    Raises:
        UnsafeConfiguration: the settings would serve callers that nobody knows.
        SettingsError: an `ANALYTICS_*` variable has a bad value.
    """
    settings = settings or load_settings()
    refuse_unsafe(settings)
    app = FastAPI(
        title="Analytics API",
        version="1.0.0",
        description=DESCRIPTION,
        lifespan=lifespan,
        openapi_url="/openapi.json" if docs_pages.are_served(settings) else None,
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings = settings
    app.state.draining = False
    app.state.rate_limits = RateLimits(settings.limits)

    v1 = APIRouter(prefix=f"/{API_VERSION}")
    v1.include_router(events.router)
    v1.include_router(segment.router)
    v1.include_router(schemas.router)
    v1.include_router(predictions.router)
    v1.include_router(metrics.router)
    v1.include_router(lineage.router)
    v1.include_router(tokens.router)
    v1.include_router(users.router)
    v1.include_router(keys.router)
    # First, since routes are tried in their order and this is where the load is: 40 µs a request.
    app.include_router(v1)
    if docs_pages.are_served(settings):
        app.include_router(docs_pages.router)
    app.include_router(health.router)
    app.include_router(jwks.router)
    app.include_router(session.router)

    install_problem_handlers(app)
    install_identity_problems(app)
    install_openapi(app)
    api = settings.api
    # The last one added is the outermost: an id first, then who asks, and only then the body.
    app.add_middleware(BodyLimitMiddleware, max_bytes=settings.api.max_body_bytes)
    app.add_middleware(RateLimitMiddleware, limits=app.state.rate_limits)
    app.add_middleware(GuardMiddleware, auth=settings.auth)
    app.add_middleware(RefusedCallerLimitMiddleware, limits=app.state.rate_limits)
    app.add_middleware(TimeLimitMiddleware, body_s=api.body_timeout_s, handling_s=api.handling_timeout_s)
    if api.cors_origins:
        app.add_middleware(AllowedOriginsMiddleware, origins=api.cors_origins)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=api.allowed_hosts or LOOPBACK_HOSTS)
    app.add_middleware(AllowedMethodsMiddleware)
    app.add_middleware(SecurityHeadersMiddleware, hsts_max_age_s=api.hsts_max_age_s)
    app.add_middleware(RequestLoggingMiddleware)
    app.add_middleware(ClientAddressMiddleware, trusted_proxies=api.trusted_proxies)
    return app
