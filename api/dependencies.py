"""What routes ask for by type.

The functions are async though none of them waits: FastAPI runs a plain one on a thread, and four of those made half of
what a request costs (480 µs against 250 for one event).
"""

from typing import Annotated

from fastapi import Depends, Request

from api.envelope import APIMetadata
from api.security.client_address import client_address
from api.services.event_log import EventLog
from api.services.idempotency import Answers
from api.services.ingestion import Ingestion
from api.services.lineage import Lineage
from api.services.metrics import Metrics
from api.services.predictions import Predictions
from api.services.schemas import Schemas
from platform_assets.contracts.access import Principal
from resources.identity.actor import Actor
from resources.identity.service import Identity
from resources.online_store import OnlineStore
from resources.settings import Settings


async def get_settings(request: Request) -> Settings:
    """The settings that the application was made with."""
    settings: Settings = request.app.state.settings
    return settings


async def get_metadata(request: Request) -> APIMetadata:
    """The metadata of the answer to this request."""
    return APIMetadata(request_id=request.state.request_id, environment=request.app.state.settings.environment.value)


async def get_event_log(request: Request) -> EventLog:
    """The connection to the event log."""
    log: EventLog = request.app.state.event_log
    return log


async def get_ingestion(request: Request) -> Ingestion:
    """The way of events to the log."""
    ingestion: Ingestion = request.app.state.ingestion
    return ingestion


async def get_answers(request: Request) -> Answers:
    """What requests with an Idempotency-Key were answered."""
    answers: Answers = request.app.state.answers
    return answers


async def get_predictions(request: Request) -> Predictions:
    """The served models."""
    predictions: Predictions = request.app.state.predictions
    return predictions


async def get_schemas(request: Request) -> Schemas:
    """The contracts of events' payloads."""
    schemas: Schemas = request.app.state.schemas
    return schemas


async def get_metrics(request: Request) -> Metrics:
    """The metrics of the published marts."""
    metrics: Metrics = request.app.state.metrics
    return metrics


async def get_lineage(request: Request) -> Lineage:
    """The published lineage."""
    lineage: Lineage = request.app.state.lineage
    return lineage


async def get_online_store(request: Request) -> OnlineStore:
    """The newest features."""
    store: OnlineStore = request.app.state.online_store
    return store


async def get_identity(request: Request) -> Identity:
    """Users, keys and tokens."""
    identity: Identity = request.app.state.identity
    return identity


async def get_caller(request: Request) -> Principal:
    """The caller as the guard knows it; only for routes that are not open to anyone."""
    principal: Principal = request.state.principal
    return principal


async def get_actor(request: Request) -> Actor:
    """Who asks and from where, as the audit log records it."""
    principal: Principal | None = request.state.principal
    name = principal.id if principal is not None else "anonymous"
    return Actor(name, client_address(request.scope) or "", request.state.request_id)


SettingsInForce = Annotated[Settings, Depends(get_settings)]
Metadata = Annotated[APIMetadata, Depends(get_metadata)]
TheEventLog = Annotated[EventLog, Depends(get_event_log)]
TheAnswers = Annotated[Answers, Depends(get_answers)]
TheIngestion = Annotated[Ingestion, Depends(get_ingestion)]
ThePredictions = Annotated[Predictions, Depends(get_predictions)]
TheSchemas = Annotated[Schemas, Depends(get_schemas)]
TheMetrics = Annotated[Metrics, Depends(get_metrics)]
TheLineage = Annotated[Lineage, Depends(get_lineage)]
TheOnlineStore = Annotated[OnlineStore, Depends(get_online_store)]
TheIdentity = Annotated[Identity, Depends(get_identity)]
Caller = Annotated[Principal, Depends(get_caller)]
ByCaller = Annotated[Actor, Depends(get_actor)]
