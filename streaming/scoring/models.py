"""Which models score: the promoted champions, or those that a program registers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from platform_assets.contracts.features import FEATURE_SETS, FeatureSet
from platform_assets.contracts.predictions import SERVED
from resources.champions import Champion

if TYPE_CHECKING:
    from platform_assets.modeling.manifest import Manifest

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ScoringModel:
    """One model in force. `probabilities` takes rows in the order of `feature_names`, NaN for null; one per row."""

    name: str
    version: str
    feature_set: FeatureSet
    feature_names: tuple[str, ...]
    probabilities: Callable[[FloatArray], FloatArray]


class Models(Protocol):
    """The models in force; they may change between two micro-batches, never within one."""

    def start(self) -> None:
        """Begin to load; called on the event loop."""

    async def stop(self) -> None:
        """End what `start` began."""

    def current(self) -> Sequence[ScoringModel]:
        """Those that can score now."""

    def report(self) -> Mapping[str, str]:
        """By model, what it is doing in a few words."""


class PromotedModels:
    """The champions under a folder of exported models; a promotion is seen within a second, a corrupt one is not."""

    def __init__(self, models_dir: Path, models: Iterable[str] = SERVED) -> None:
        self._champions = [Champion(models_dir, model) for model in models]

    def start(self) -> None:
        """Load in the background and keep watch."""
        for champion in self._champions:
            champion.start()

    async def stop(self) -> None:
        """End the watches."""
        for champion in self._champions:
            await champion.stop()

    def current(self) -> Sequence[ScoringModel]:
        """The champions whose features this release knows."""
        found = []
        for champion in self._champions:
            servable = champion.current
            if servable is None or _misfit(servable.manifest) is not None:
                continue
            manifest = servable.manifest
            feature_set = FEATURE_SETS[manifest.feature_set, manifest.feature_set_version]
            names = tuple(manifest.feature_names)
            found.append(ScoringModel(manifest.model, manifest.version, feature_set, names, servable.predict_proba))
        return found

    def report(self) -> Mapping[str, str]:
        """Which version scores, or why none does."""
        return {champion.model: _state(champion) for champion in self._champions}


def _state(champion: Champion) -> str:
    if champion.current is not None:
        manifest = champion.current.manifest
        state = _misfit(manifest) or f"version {manifest.version} scores"
        return state if champion.fault is None else f"{state}; a newer one cannot be loaded"
    if champion.fault is not None:
        return "the promoted version cannot be loaded"
    return "none has been promoted yet" if champion.has_looked else "loading"


def _misfit(manifest: "Manifest") -> str | None:
    feature_set = FEATURE_SETS.get((manifest.feature_set, manifest.feature_set_version))
    if feature_set is None or not set(manifest.feature_names) <= set(feature_set.feature_names):
        return (
            f"version {manifest.version} reads {manifest.feature_set} version {manifest.feature_set_version}, which "
            "this release does not have; train and promote it again"
        )
    return None
