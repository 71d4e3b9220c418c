"""Register models, move them between stages, and load the one of a stage."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from platform_assets.modeling.gate import Verdict
from platform_assets.modeling.safe_format import Classifier, FloatArray
from resources.model_registry import (
    CHALLENGER,
    CHAMPION,
    Alias,
    MlflowRegistry,
    RegisteredVersion,
    registry_of,
)
from resources.model_registry.promotion import promote, recorded_verdict
from resources.model_registry.training_record import VersionFacts
from resources.model_registry.transitions import give_alias
from resources.model_registry.versions import NotRegistered
from resources.settings import load_settings

STAGES: dict[str, Alias] = {"production": CHAMPION, "staging": CHALLENGER}
"""MLflow's old stages as the aliases that took their place."""

Gate = Callable[[RegisteredVersion], Verdict | None]
"""Judges a version before it goes to production; None says that it has not been judged."""


class TransitionRefused(RuntimeError):
    """The gate keeps a version out of production; the message gives its reason."""


@dataclass(frozen=True)
class LoadedModel:
    """A model as it stood in a stage when it was loaded."""

    name: str
    version: str
    stage: str
    estimator: Classifier

    def predict_proba(self, matrix: FloatArray) -> FloatArray:
        """Probabilities by class, shape [n, classes], for rows of shape [n, features]."""
        return self.estimator.predict_proba(matrix)


class ModelRegistry:
    """Models in the platform's registry; by default the one that `ANALYTICS_REGISTRY__URI` names.

    Args:
        registry: another registry.
        models_dir: where champions are exported for the API.
        gate: who judges before production; by default what the platform's gate noted when the model was trained, so a
            version that it never saw is refused.
    """

    def __init__(
        self, registry: MlflowRegistry | None = None, *, models_dir: Path | None = None, gate: Gate = recorded_verdict
    ) -> None:
        self._registry = registry or registry_of(load_settings())
        self._models_dir = models_dir or load_settings().models_dir
        self._gate = gate

    async def register_model(
        self,
        name: str,
        model: Classifier,
        description: str = "",
        *,
        feature_names: Sequence[str] | None = None,
        run_id: str | None = None,
    ) -> RegisteredVersion:
        """Store a fitted scikit-learn classifier as the next version of a model, in no stage yet.

        Raises:
            UntrustedModel: it holds types beyond scikit-learn's, so it could not be loaded safely.
        """

        def register() -> RegisteredVersion:
            return self._registry.register(
                name,
                model,
                experiment_id=self._registry.runs.experiment(name),
                run_id=run_id,
                feature_names=feature_names,
                description=description,
            )

        return await asyncio.to_thread(register)

    async def transition_model(self, name: str, version: str, stage: str) -> RegisteredVersion:
        """Put a version into a stage, noted on it with time and reason; production is for the gate to grant.

        A version that the platform trained is also exported, so the API serves it from then on.

        Raises:
            ValueError: there is no such stage.
            NotRegistered: there is no such version.
            TransitionRefused: the gate says no, or has not judged this version.
        """
        alias = _alias(stage)
        return await asyncio.to_thread(lambda: self._transition(name, version, alias))

    async def get_model(self, name: str, stage: str = "production") -> LoadedModel:
        """Load the version in a stage: digest checked, read without pickle.

        Raises:
            ValueError: there is no such stage.
            NotRegistered: no version is in it.
        """
        alias = _alias(stage)

        def load() -> LoadedModel:
            found = self._registry.by_alias(name, alias)
            if found is None:
                raise NotRegistered(f"Model {name} has no version in {stage}; transition one there first.")
            return LoadedModel(name, found.version, stage, self._registry.load(found))

        return await asyncio.to_thread(load)

    def _transition(self, name: str, version: str, alias: Alias) -> RegisteredVersion:
        found = self._registry.version(name, version)
        if alias == CHALLENGER:
            give_alias(self._registry, found, alias, "transitioned to staging")
            return self._registry.version(name, version)
        verdict = self._gate(found)
        if verdict is None:
            raise TransitionRefused(
                f"{name} version {version} is not in production: the gate has not judged it. Train it with the "
                "platform's training, or give ModelRegistry a gate of your own."
            )
        if not verdict.promote:
            raise TransitionRefused(f"{name} version {version} is not in production: {verdict.reason}")
        if VersionFacts.of(found) is None:
            give_alias(self._registry, found, alias, verdict.reason)
        else:
            promote(self._registry, self._models_dir, found, verdict)
        return self._registry.version(name, version)


def _alias(stage: str) -> Alias:
    try:
        return STAGES[stage]
    except KeyError:
        raise ValueError(f"There is no stage {stage!r}; choose one of {', '.join(STAGES)}.") from None
