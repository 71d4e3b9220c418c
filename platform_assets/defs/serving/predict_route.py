"""The prediction route, as an asset that the API makes."""

import datetime as dt
from typing import Any

import httpx
from dagster import AssetCheckResult, AssetSpec, ResourceParam, asset_check

from platform_assets.contracts.features import CUSTOMER_ACTIVITY, LOOKBACK_DAYS
from platform_assets.contracts.predictions import CHURN, Prediction
from platform_assets.defs.serving.churn_model import SERVED_CHURN_MODEL
from platform_assets.defs.serving.customer_activity import ONLINE_CUSTOMER_ACTIVITY
from platform_assets.defs.stages import ML_TEAM, Stage
from resources.online_store import SqliteOnlineStore
from resources.settings import Settings
from resources.warehouse.snapshot_reader import NoSnapshot, SnapshotReader

PREDICT_CHURN = Stage.SERVING.key("predict_churn")
# The first prediction after a promotion loads the model: 8 s were seen on a busy machine.
_TIMEOUT_S = 30.0
_A_HOUSEHOLD = """
SELECT household_id FROM marts.fct_orders
WHERE order_date < $as_of::DATE AND order_date >= $as_of::DATE - $days::INTEGER AND household_id IS NOT NULL
ORDER BY household_id LIMIT 1
"""

predict_churn = AssetSpec(
    PREDICT_CHURN,
    deps=[SERVED_CHURN_MODEL, ONLINE_CUSTOMER_ACTIVITY],
    group_name=Stage.SERVING.group,
    owners=[ML_TEAM],
    kinds={"fastapi"},
    description="POST /v1/predictions/churn: the champion's probability that a household orders nothing for 28 days.",
)


@asset_check(asset=PREDICT_CHURN, description="For a known household the route answers with the champion's number.")
def predict_route_serves_the_champion(
    settings: ResourceParam[Settings], online_store: ResourceParam[SqliteOnlineStore]
) -> AssetCheckResult:
    """Asks over HTTP and scores the same household here."""
    from platform_assets.modeling.export import PARITY, load_champion

    model = load_champion(settings.models_dir, CHURN)
    household = known_household(settings, online_store)
    features = None if household is None else online_store.get_features(CUSTOMER_ACTIVITY, household)
    if model is None or household is None or features is None:
        return _failed("no champion, published mart or online features yet; run warehouse_job and churn_job")
    url = f"http://{settings.api.host}:{settings.api.port}/v1/predictions/{CHURN}"
    try:
        answer = httpx.post(url, json={"entity_id": household}, timeout=_TIMEOUT_S)
    except httpx.TransportError as error:
        return _failed(f"{url}: {error or type(error).__name__}")
    if answer.status_code != httpx.codes.OK:
        return _failed(f"{url} answered {answer.status_code}: {answer.text[:1000]}")
    served = Prediction.model_validate(answer.json()["data"])
    expected = float(model.predict_proba(model.row(features.values))[0])
    return AssetCheckResult(
        passed=served.model_version == model.manifest.version
        and served.features_as_of == features.as_of
        and abs(served.probability - expected) < PARITY,
        metadata={
            "entity_id": household,
            "probability": served.probability,
            "expected_probability": expected,
            "served_version": served.model_version,
            "exported_version": model.manifest.version,
            "features_as_of": served.features_as_of.isoformat(),
            "answered_in_ms": answer.elapsed.total_seconds() * 1000,
        },
    )


def known_household(settings: Settings, online_store: SqliteOnlineStore) -> str | None:
    """A household that should have online features, from the published marts; None before the first publication."""
    stored = online_store.describe(CUSTOMER_ACTIVITY)
    if stored is None:
        return None
    return _first_active(SnapshotReader(settings.snapshots_dir), stored.as_of)


def _first_active(reader: SnapshotReader, as_of: dt.date) -> str | None:
    try:
        found = reader.look().database.run(_A_HOUSEHOLD, {"as_of": as_of, "days": LOOKBACK_DAYS})
    except NoSnapshot:
        return None
    finally:
        reader.close()
    return str(found.rows[0][0]) if found.rows else None


def _failed(cause: str) -> AssetCheckResult:
    metadata: dict[str, Any] = {"cause": cause}
    return AssetCheckResult(passed=False, metadata=metadata)
