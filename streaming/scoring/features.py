"""The features of a micro-batch's entities as one matrix, from the store that the model's feature set lives in."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from platform_assets.contracts.features import LiveFeatureSet
from resources.online_store import LiveStore, OnlineStore
from streaming.scoring.models import FloatArray, ScoringModel


@dataclass(frozen=True)
class FeatureRows:
    """The entities that have features, one row of `matrix` each, NaN for null."""

    entity_ids: Sequence[str]
    as_of: Sequence[dt.date]
    matrix: FloatArray


class FeatureReader:
    """Reads batch features and live ones alike."""

    def __init__(self, batch: OnlineStore, live: LiveStore) -> None:
        self._batch = batch
        self._live = live

    def read(self, model: ScoringModel, entity_ids: Sequence[str]) -> FeatureRows:
        """The rows of the entities that have features, in one look at the store.

        Raises:
            OnlineStoreError: the store cannot be read.
        """
        found: Mapping[str, tuple[dt.date, Mapping[str, float | None]]]
        if isinstance(model.feature_set, LiveFeatureSet):
            live = self._live.get_live(model.feature_set, entity_ids)
            found = {entity: (vector.as_of.date(), vector.values) for entity, vector in live.items()}
        else:
            batch = self._batch.get_many(model.feature_set, entity_ids)
            found = {entity: (vector.as_of, vector.values) for entity, vector in batch.items()}
        names = model.feature_names
        rows = [[values[name] for name in names] for _, values in found.values()]
        return FeatureRows(
            entity_ids=list(found),
            as_of=[as_of for as_of, _ in found.values()],
            matrix=np.array(rows, dtype=np.float64).reshape(len(rows), len(names)),  # None becomes NaN
        )
