"""One micro-batch of entities to predictions: features read once, one call per model."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from platform_assets.contracts.predictions import StreamPrediction, prediction_id
from streaming.scoring.activity import Place
from streaming.scoring.features import FeatureReader
from streaming.scoring.models import ScoringModel


@dataclass(frozen=True)
class Scored:
    """What came of a micro-batch. Skipped are pairs of entity and model: without features, or without a number."""

    predictions: list[StreamPrediction]
    skipped: int


def _wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


class Scorer:
    """Blocks: a call belongs off the event loop."""

    def __init__(self, features: FeatureReader, now_ms: Callable[[], int] = _wall_clock_ms) -> None:
        self._features = features
        self._now_ms = now_ms

    def score(self, models: Sequence[ScoringModel], active: Mapping[str, Place]) -> Scored:
        """The predictions of every model for the active entities, in the entities' order per model.

        Raises:
            OnlineStoreError: the features cannot be read.
        """
        predictions: list[StreamPrediction] = []
        for model in models:
            predictions += self._score(model, active)
        return Scored(predictions, len(models) * len(active) - len(predictions))

    def _score(self, model: ScoringModel, active: Mapping[str, Place]) -> list[StreamPrediction]:
        rows = self._features.read(model, list(active))
        if not rows.entity_ids:
            return []
        probabilities = model.probabilities(rows.matrix)
        now_ms = self._now_ms()
        made = []
        for entity_id, as_of, probability, is_usable in zip(
            rows.entity_ids, rows.as_of, probabilities.tolist(), np.isfinite(probabilities).tolist(), strict=True
        ):
            if not is_usable:  # JSON has no NaN, and a reader has no use for one
                continue
            place = active[entity_id]
            source = f"{place.log}/{place.partition}/{place.offset}"
            made.append(
                StreamPrediction(
                    prediction_id=prediction_id(model.name, model.version, entity_id, source),
                    model=model.name,
                    model_version=model.version,
                    entity_id=entity_id,
                    probability=probability,
                    features_as_of=as_of,
                    predicted_ms=now_ms,
                    source_topic=place.topic,
                    source_log=place.log,
                    source_partition=place.partition,
                    source_offset=place.offset,
                )
            )
        return made
