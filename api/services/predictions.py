"""Answers predictions: the champion on the newest features of an entity, and what the stream last said of it."""

import asyncio
import datetime as dt
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from platform_assets.contracts.predictions import SERVED, InStreamPrediction, Prediction
from resources.champions import Champion
from resources.online_store import OnlineStore, PredictionStore
from resources.telemetry.tracing import step_span

if TYPE_CHECKING:
    from platform_assets.modeling.export import ServableModel

# Importing scikit-learn and loading a model takes seconds on a busy machine, once.
LOAD_TIMEOUT_S = 30.0


class UnknownModel(LookupError):
    """No model of this name is served."""


class UnknownEntity(LookupError):
    """The online store has no features of this entity."""


class NotPredicted(LookupError):
    """The stream has made no prediction of this entity by this model."""


class NotServable(RuntimeError):
    """The model cannot answer now; `str()` says why and what will change that."""


class Predictions:
    """One per process. Inference runs on its own thread, since it takes a millisecond or two of a request's time."""

    def __init__(
        self, models_dir: Path, store: OnlineStore, in_stream: PredictionStore, models: Iterable[str] = SERVED
    ) -> None:
        self._store = store
        self._in_stream = in_stream
        self.champions = {model: Champion(models_dir, model) for model in models}
        # One thread: the models are limited to one core each, and predictions should not starve ingestion.
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="inference")

    def start(self) -> None:
        """Load the champions in the background."""
        for champion in self.champions.values():
            champion.start()

    async def stop(self) -> None:
        """End the watches and the thread."""
        for champion in self.champions.values():
            await champion.stop()
        self._executor.shutdown(wait=True)

    async def predict(self, model: str, entity_id: str) -> Prediction:
        """The champion's answer for one entity.

        Raises:
            UnknownModel: no such model.
            UnknownEntity: the entity has no features.
            NotServable: no champion yet, or one that reads other features than the store holds.
            OnlineStoreError: the store cannot be read.
        """
        champion = self.champions.get(model)
        if champion is None:
            raise UnknownModel(f"There is no model {model!r}; served are: {', '.join(self.champions)}.")
        if not champion.has_looked:
            try:
                await champion.first_look(LOAD_TIMEOUT_S)
            except TimeoutError:
                raise NotServable(f"The model {model} is still being loaded.") from None
        servable = champion.current
        if servable is None:
            if champion.fault is not None:
                raise NotServable(f"The promoted {model} model cannot be loaded; the API's log says why.")
            raise NotServable(f"No {model} model has been promoted yet; its training promotes the first valid one.")
        with step_span("predict", model=model):
            return await asyncio.get_running_loop().run_in_executor(self._executor, self._answer, servable, entity_id)

    def newest_in_stream(self, model: str, entity_id: str) -> InStreamPrediction:
        """What the stream last predicted of an entity; the scorer may know models that are not asked over HTTP.

        Raises:
            NotPredicted: nothing yet.
            OnlineStoreError: the store cannot be read.
        """
        found = self._in_stream.get_prediction(model, entity_id)
        if found is None:
            raise NotPredicted(
                f"The stream has no prediction by {model!r} of {entity_id!r}: the entity had no event since the model "
                "was promoted, or has no features."
            )
        return InStreamPrediction(
            entity_id=found.entity_id,
            probability=found.probability,
            model=found.model,
            model_version=found.model_version,
            features_as_of=found.features_as_of,
            prediction_id=found.prediction_id,
            predicted_at=dt.datetime.fromtimestamp(found.predicted_ms / 1000, dt.UTC),
        )

    def _answer(self, servable: "ServableModel", entity_id: str) -> Prediction:
        manifest = servable.manifest
        features = SERVED[manifest.model]
        if (manifest.feature_set, manifest.feature_set_version) != (features.name, features.version):
            raise NotServable(
                f"Version {manifest.version} of {manifest.model} reads {manifest.feature_set} version "
                f"{manifest.feature_set_version}, but this release serves {features.name} version {features.version}; "
                "train and promote the model again."
            )
        vector = self._store.get_features(features, entity_id)
        if vector is None:
            if self._store.describe(features) is None:
                raise NotServable(f"The online store has no features {features.name} version {features.version} yet.")
            raise UnknownEntity(f"There are no features of {features.entity} {entity_id!r}.")
        try:
            row = servable.row(vector.values)
        except ValueError as error:
            raise NotServable(
                f"The stored features do not fit the model: {error} Train and promote it again."
            ) from error
        return Prediction(
            entity_id=entity_id,
            probability=float(servable.predict_proba(row)[0]),
            model=manifest.model,
            model_version=manifest.version,
            features_as_of=vector.as_of,
        )
