"""Is the process alive, and can it do its work?"""

import asyncio
from http import HTTPStatus
from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.dependencies import SettingsInForce, TheEventLog, TheIngestion, TheOnlineStore, ThePredictions
from api.services.predictions import Predictions
from platform_assets.contracts.predictions import SERVED
from resources.event_log.gate import IngestionGate
from resources.online_store import OnlineStore, OnlineStoreError

router = APIRouter(tags=["health"])


class Liveness(BaseModel):
    """The process answers."""

    status: Literal["healthy"] = "healthy"


class EventLogPart(BaseModel):
    """Whether the log could be reached at the last look, at most seconds ago."""

    reachable: bool
    detail: str | None = None


class IngestionPart(BaseModel):
    """Whether events are taken. Paused with none in flight means that nothing more reaches the log from here."""

    paused: bool
    in_flight: int = Field(description="Requests between admission and answer.")
    detail: str | None = None


class ModelPart(BaseModel):
    """One served model."""

    state: Literal["loading", "loaded", "not_promoted", "failed"]
    version: str | None = Field(
        None, description="The version that serves, also beside a newer one that failed to load."
    )


class OnlineStorePart(BaseModel):
    """The features that predictions read."""

    present: bool
    entities: int = 0
    features_as_of: str | None = None
    detail: str | None = None


class Parts(BaseModel):
    """What the work depends on."""

    event_log: EventLogPart
    ingestion: IngestionPart
    models: dict[str, ModelPart]
    online_store: OnlineStorePart


class Readiness(BaseModel):
    """`ready` says that the log can be reached and that the server does not end just now; the other parts are told,
    and come and go in normal operation."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "ready",
                    "parts": {
                        "event_log": {"reachable": True, "detail": None},
                        "ingestion": {"paused": False, "in_flight": 3, "detail": None},
                        "models": {"churn": {"state": "loaded", "version": "2"}},
                        "online_store": {
                            "present": True,
                            "entities": 2469,
                            "features_as_of": "2026-01-15",
                            "detail": None,
                        },
                    },
                }
            ]
        }
    )

    status: Literal["ready", "not_ready"]
    parts: Parts


@router.get("/health", summary="Alias of /health/live", response_description="It does.")
@router.get("/health/live", summary="Does the process answer?", response_description="It does.")
async def get_liveness() -> Liveness:
    """Always healthy: a process that cannot say so does not answer."""
    return Liveness()


@router.get(
    "/health/ready",
    summary="Can it do its work?",
    response_description="The event log can be reached.",
    responses={503: {"model": Readiness, "description": "The event log cannot be reached, or the server ends."}},
)
async def get_readiness(
    *,
    request: Request,
    response: Response,
    settings: SettingsInForce,
    event_log: TheEventLog,
    ingestion: TheIngestion,
    predictions: ThePredictions,
    online_store: TheOnlineStore,
) -> Readiness:
    """Asks nobody who could keep it waiting: the log is watched in the background."""
    pause = IngestionGate.of(settings).reason()
    parts = Parts(
        event_log=EventLogPart(reachable=event_log.fault is None, detail=event_log.fault),
        ingestion=IngestionPart(paused=pause is not None, in_flight=ingestion.in_flight, detail=pause),
        models=_models(predictions),
        online_store=await asyncio.to_thread(_online_store, online_store),
    )
    is_ready = parts.event_log.reachable and not request.app.state.draining
    if not is_ready:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return Readiness(status="ready" if is_ready else "not_ready", parts=parts)


def _models(predictions: Predictions) -> dict[str, ModelPart]:
    parts: dict[str, ModelPart] = {}
    for name, champion in predictions.champions.items():
        version = champion.current.manifest.version if champion.current else None
        if champion.fault is not None:
            parts[name] = ModelPart(state="failed", version=version)
        elif version is not None:
            parts[name] = ModelPart(state="loaded", version=version)
        else:
            parts[name] = ModelPart(state="not_promoted" if champion.has_looked else "loading")
    return parts


def _online_store(store: OnlineStore) -> OnlineStorePart:
    try:
        stored = [found for features in SERVED.values() if (found := store.describe(features)) is not None]
    except OnlineStoreError:
        return OnlineStorePart(present=False, detail="The file cannot be read")
    if not stored:
        return OnlineStorePart(present=False)
    return OnlineStorePart(
        present=True,
        entities=sum(found.entity_count for found in stored),
        features_as_of=min(found.as_of for found in stored).isoformat(),
    )
