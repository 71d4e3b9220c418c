"""The front door, as an asset that the API makes."""

import httpx
from dagster import AssetCheckResult, AssetSpec, ResourceParam, asset_check

from platform_assets.defs.stages import PLATFORM_TEAM, Stage
from resources.settings import Settings

INGEST_ROUTE = Stage.ROUTES.key("ingest_events")
_TIMEOUT_S = 5.0

ingest_events = AssetSpec(
    INGEST_ROUTE,
    group_name=Stage.ROUTES.group,
    owners=[PLATFORM_TEAM],
    kinds={"fastapi"},
    description=(
        "POST /v1/events: takes one event, a JSON array or NDJSON, and answers 202 only after the broker has it; what "
        "breaks the contract is refused with the reason."
    ),
)


@asset_check(asset=INGEST_ROUTE, description="The API says that it can take events now.")
def ingest_route_is_ready(settings: ResourceParam[Settings]) -> AssetCheckResult:
    """GET /health/ready; an API that does not answer is not ready."""
    url = f"http://{settings.api.host}:{settings.api.port}/health/ready"
    try:
        answer = httpx.get(url, timeout=_TIMEOUT_S)
    except httpx.TransportError as error:
        return AssetCheckResult(passed=False, metadata={"url": url, "cause": str(error) or type(error).__name__})
    return AssetCheckResult(
        passed=answer.status_code == httpx.codes.OK,
        metadata={
            "url": url,
            "status": answer.status_code,
            "answered_in_ms": answer.elapsed.total_seconds() * 1000,
            "answer": answer.text[:2000],
        },
    )
