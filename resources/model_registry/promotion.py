"""Promotion: the gate's verdict, the alias and the exported form, in an order that may be interrupted anywhere.

The alias is the truth and the pointer follows it: export and proof come before the alias, so a model that cannot serve
never becomes champion; the pointer comes after it, and every later call puts it right if it was left behind.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from platform_assets.modeling.dataset import ChurnDataset
from platform_assets.modeling.evaluate import evaluate
from platform_assets.modeling.export import export_version, make_probe, point_to
from platform_assets.modeling.gate import Champion, Kind, Verdict
from platform_assets.modeling.manifest import FORMAT, Manifest, Pointer
from platform_assets.modeling.safe_format import UntrustedModel
from resources.model_registry.registry import MlflowRegistry
from resources.model_registry.training_record import VersionFacts, evaluation_rows
from resources.model_registry.transitions import give_alias
from resources.model_registry.versions import (
    CHAMPION,
    DIGEST_TAG,
    DamagedModel,
    RegisteredVersion,
    RegistryError,
)

PROMOTE_TAG = "gate.promote"
REASON_TAG = "gate.reason"
KIND_TAG = "gate.kind"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Promotion:
    """What came of it. `serving` is the champion's version after the call, or None where there is none."""

    version: RegisteredVersion
    verdict: Verdict
    serving: str | None


def promote(registry: MlflowRegistry, models_dir: Path, version: RegisteredVersion, verdict: Verdict) -> Promotion:
    """Carry out a verdict and note it on the version; a refused one stays challenger.

    Safe to repeat, also after a crash in the middle.

    Raises:
        RegistryError: the version lacks what an export needs, or its file is damaged.
        UntrustedModel, CorruptModel: it cannot be served; the old champion stays.
    """
    registry.tag_version(version.name, version.version, _verdict_tags(verdict))
    if verdict.promote:
        _export(registry, models_dir, version, verdict.kind)
        give_alias(registry, version, CHAMPION, verdict.reason)
    pointer = publish_champion(registry, models_dir, version.name)
    return Promotion(
        version=registry.version(version.name, version.version),
        verdict=verdict,
        serving=None if pointer is None else pointer.version,
    )


def publish_champion(registry: MlflowRegistry, models_dir: Path, model: str) -> Pointer | None:
    """Make the version that holds the champion's alias the one that serves; None where none holds it. Safe to repeat.

    Raises: as `promote`.
    """
    champion = registry.champion(model)
    if champion is None:
        return None
    kind: Kind = "bootstrap" if champion.tags.get(KIND_TAG) == "bootstrap" else "full"
    pointer = _export(registry, models_dir, champion, kind)
    point_to(models_dir, model, pointer)
    return pointer


def recorded_verdict(version: RegisteredVersion) -> Verdict | None:
    """The gate's verdict as `promote` noted it, or None where the gate has not seen the version."""
    if PROMOTE_TAG not in version.tags:
        return None
    kind: Kind = "bootstrap" if version.tags.get(KIND_TAG) == "bootstrap" else "full"
    return Verdict(version.tags[PROMOTE_TAG] == "true", version.tags.get(REASON_TAG, ""), kind)


def score_champion(registry: MlflowRegistry, model: str, dataset: ChurnDataset) -> Champion | None:
    """The champion's AUC on the evaluation rows of a dataset; None where there is no champion.

    The AUC is None where it cannot score them: it learned another feature set, or its file is damaged.

    Raises:
        RegistryError: the registry does not answer; that must not read as a champion that is easily beaten.
    """
    champion = registry.champion(model)
    if champion is None:
        return None
    kind: Kind = "bootstrap" if champion.tags.get(KIND_TAG) == "bootstrap" else "full"
    facts, wanted = VersionFacts.of(champion), dataset.feature_set
    if (
        facts is None
        or tuple(facts.feature_names) != wanted.feature_names
        or facts.feature_set_version != wanted.version
    ):
        return Champion(champion.version, kind, None)
    try:
        estimator = registry.load(champion)
    except (DamagedModel, UntrustedModel) as error:
        _log.warning("Champion %s version %s cannot be compared: %s", model, champion.version, error)
        return Champion(champion.version, kind, None)
    probabilities = np.asarray(estimator.predict_proba(dataset.evaluation.matrix)[:, 1], dtype=np.float64)
    return Champion(champion.version, kind, evaluate(dataset.evaluation.churned, probabilities).auc)


def _export(registry: MlflowRegistry, models_dir: Path, version: RegisteredVersion, kind: Kind) -> Pointer:
    facts = VersionFacts.of(version)
    if facts is None or version.run_id is None:
        raise RegistryError(
            f"Model {version.name} version {version.version} names no feature set, so it cannot be served; train it "
            "with the platform's training."
        )
    content = registry.model_bytes(version)
    rows = evaluation_rows(registry, version.run_id)
    manifest = Manifest(
        format=FORMAT,
        model=version.name,
        version=version.version,
        run_id=version.run_id,
        algorithm=facts.algorithm,
        feature_set=facts.feature_set,
        feature_set_version=facts.feature_set_version,
        feature_names=facts.feature_names,
        model_sha256=version.tags[DIGEST_TAG],
        sklearn_version=facts.sklearn_version,
        metrics=dict(sorted(registry.runs.metrics(version.run_id).items())),
        trained_at=facts.trained_at,
        evaluation_cutoff=facts.evaluation_cutoff,
        kind=kind,
        probe=make_probe(rows.matrix, rows.probabilities),
    )
    return export_version(models_dir, manifest, content, matrix=rows.matrix, probabilities=rows.probabilities)


def _verdict_tags(verdict: Verdict) -> Mapping[str, str]:
    return {PROMOTE_TAG: str(verdict.promote).lower(), REASON_TAG: verdict.reason, KIND_TAG: verdict.kind}
