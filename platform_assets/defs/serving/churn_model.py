"""The champion in the safe, fast form that the request process reads."""

from typing import TYPE_CHECKING, Any

import numpy as np
from dagster import (
    AssetCheckResult,
    AssetCheckSpec,
    Failure,
    ResourceParam,
    asset,
    asset_check,
)

from platform_assets.contracts.predictions import CHURN
from platform_assets.defs.automation import WHEN_SOURCE_CHANGED
from platform_assets.defs.materialized import Materialized
from platform_assets.defs.models.churn import CHURN_MODEL
from platform_assets.defs.stages import ML_TEAM, Stage
from resources.settings import Settings

if TYPE_CHECKING:
    from resources.model_registry import MlflowRegistry

SERVED_CHURN_MODEL = Stage.SERVING.key("churn_model")
ANSWERS = "exported_model_answers"


@asset(
    key=SERVED_CHURN_MODEL,
    deps=[CHURN_MODEL],
    group_name=Stage.SERVING.group,
    owners=[ML_TEAM],
    kinds={"scikitlearn"},
    automation_condition=WHEN_SOURCE_CHANGED,
    check_specs=[
        AssetCheckSpec(
            ANSWERS,
            asset=SERVED_CHURN_MODEL,
            blocking=True,
            description="Read as the request process reads it, its digests fit and it repeats its own predictions.",
        )
    ],
    description="The champion as files without code: the estimator, a manifest with digests, and the pointer to both.",
)
def churn_model(settings: ResourceParam[Settings], model_registry: ResourceParam[Any]) -> Materialized:
    """Make the version that holds the champion's alias the one that serves."""
    from resources.model_registry.promotion import publish_champion

    registry: MlflowRegistry = model_registry
    pointer = publish_champion(registry, settings.models_dir, CHURN)
    if pointer is None:
        raise Failure("No version of churn holds the champion's alias; see the gate's reason on models/churn.")
    check, metadata = check_export(settings)
    return Materialized(metadata={"version": pointer.version, **metadata}, check_results=[check])


def check_export(settings: Settings) -> tuple[AssetCheckResult, dict[str, Any]]:
    """`exported_model_answers`, and what the manifest says."""
    from platform_assets.modeling.export import CorruptModel, load_champion

    try:
        model = load_champion(settings.models_dir, CHURN)
    except CorruptModel as error:
        return AssetCheckResult(check_name=ANSWERS, passed=False, metadata={"cause": str(error)}), {}
    if model is None:
        return AssetCheckResult(check_name=ANSWERS, passed=False, metadata={"cause": "nothing is exported"}), {}
    manifest = model.manifest
    metadata = {
        "algorithm": manifest.algorithm,
        "feature_set": f"{manifest.feature_set} v{manifest.feature_set_version}",
        "kind": manifest.kind,
        **{name: float(value) for name, value in manifest.metrics.items()},
    }
    check = AssetCheckResult(
        check_name=ANSWERS,
        passed=True,
        metadata={"version": manifest.version, "probed_rows": len(manifest.probe.rows)},
    )
    return check, metadata


@asset_check(
    asset=SERVED_CHURN_MODEL,
    description="The exported model is the champion of the registry and gives its probabilities on the held-out rows.",
)
def exported_model_equals_registered(
    settings: ResourceParam[Settings], model_registry: ResourceParam[Any]
) -> AssetCheckResult:
    """Scores the evaluation rows with both."""
    from platform_assets.modeling.export import PARITY, load_champion
    from resources.model_registry.training_record import evaluation_rows

    registry: MlflowRegistry = model_registry
    champion, exported = registry.champion(CHURN), load_champion(settings.models_dir, CHURN)
    if champion is None or champion.run_id is None or exported is None:
        return AssetCheckResult(passed=False, metadata={"cause": "there is no champion, or none is exported"})
    rows = evaluation_rows(registry, champion.run_id)
    registered = np.asarray(registry.load(champion).predict_proba(rows.matrix)[:, 1])
    worst = float(np.max(np.abs(exported.predict_proba(rows.matrix) - registered), initial=0.0))
    return AssetCheckResult(
        passed=exported.manifest.version == champion.version and worst < PARITY,
        metadata={
            "registered_version": champion.version,
            "exported_version": exported.manifest.version,
            "rows": len(rows.matrix),
            "largest_difference": worst,
        },
    )
