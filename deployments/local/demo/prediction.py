"""The demo's last step: a real prediction over HTTP, beside the numbers of the model that made it."""

import httpx
import msgspec

from deployments.local.demo.state import DemoState, Outcome
from platform_assets.contracts.predictions import CHURN
from platform_assets.modeling.manifest import MANIFEST_FILE, POINTER_FILE, Manifest, Pointer
from resources.settings import Settings

# One of the first hundred households, so that the sample has it too; a test pins it.
HOUSEHOLD = "1228"


def ask_for_a_prediction(settings: Settings, api: str, state: DemoState) -> Outcome | None:
    """Ask the API; None while it does not serve the promoted version yet."""
    folder = settings.models_dir / CHURN
    try:
        pointer = msgspec.json.decode((folder / POINTER_FILE).read_bytes(), type=Pointer)
    except FileNotFoundError:
        return None
    manifest = msgspec.json.decode((folder / pointer.version / MANIFEST_FILE).read_bytes(), type=Manifest)
    try:
        response = httpx.post(f"{api}/v1/predictions/{CHURN}", json={"entity_id": HOUSEHOLD}, timeout=10.0)
    except httpx.TransportError:
        return None
    if not response.is_success:
        return None
    answer = response.json()["data"]
    if answer["model_version"] != manifest.version:
        return None
    return Outcome(
        entity_id=HOUSEHOLD,
        probability=answer["probability"],
        model_version=answer["model_version"],
        features_as_of=answer["features_as_of"],
        algorithm=manifest.algorithm,
        promoted_as=manifest.kind,
        auc=manifest.metrics["auc"],
        rule_auc=manifest.metrics["rule_auc"],
        refused=state.refused,
        events_per_second=state.done / state.replay_seconds if state.replay_seconds else 0.0,
        seconds=state.elapsed_seconds,
    )
