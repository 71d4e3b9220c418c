"""`RealtimeMLPipeline` of the public API: models that a program registers score the stream, as the champions do."""

import asyncio
import itertools
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from platform_assets.contracts.events import Event
from platform_assets.contracts.features import CUSTOMER_ACTIVITY, FeatureSet
from platform_assets.contracts.predictions import StreamPrediction
from resources.event_log.topics import ensure_topics
from resources.online_store import SqliteLiveStore, SqliteOnlineStore, SqlitePredictionStore
from resources.settings import Settings, load_settings
from streaming.scoring.activity import Place
from streaming.scoring.features import FeatureReader
from streaming.scoring.models import FloatArray, ScoringModel
from streaming.scoring.scorer import Scorer

READER = "analytics-realtime-ml"
IN_PROCESS = "process"


class Model(Protocol):
    """A fitted classifier of two classes, as `ModelRegistry.get_model` gives it."""

    def predict_proba(self, matrix: Any, /) -> FloatArray:
        """Probabilities by class, shape [n, 2], for rows of shape [n, features]; NaN is a null feature."""


class PipelineFailed(RuntimeError):
    """The pipeline ended before it was stopped; the cause is chained. What it had kept stays, a new one goes on."""


class UnfitModel(ValueError):
    """A model that cannot score the rows of its feature set; the message says why."""


class RealtimeMLPipeline:
    """Scores the entities that are active, by every registered model, to `predictions.v1` and the online store.

    `GET /v1/predictions/<name>/<entity>` answers what it predicted last. Between `start` and `stop` it follows the
    log of the platform that the settings name, from where a pipeline of the same reader stopped; `process` scores the
    entities of events at once, with or without a log.

    Args:
        settings: broker and stores; by default those of the `ANALYTICS_*` variables.
        follows_log: False to use `process` only: no broker is needed.
        reader: under which name the positions are kept. Two pipelines with one reader share the work.
    """

    def __init__(self, settings: Settings | None = None, *, follows_log: bool = True, reader: str = READER) -> None:
        self._settings = settings or load_settings()
        self._follows_log = follows_log
        self._reader = reader
        self._models = _RegisteredModels()
        self._app: Any = None
        self._predictions = SqlitePredictionStore(self._settings.prediction_store_path)
        self._scorer = Scorer(
            FeatureReader(
                SqliteOnlineStore(self._settings.online_store_path), SqliteLiveStore(self._settings.live_store_path)
            )
        )
        # What is scored outside the log has a log of its own: places of two runs must not be compared.
        self._run_id = uuid.uuid4().hex
        self._places = itertools.count()

    async def start(self) -> None:
        """Begin to follow the log. Without a registered model it waits.

        Raises:
            LogUnavailable: the broker does not answer.
        """
        if not self._follows_log or self._app is not None:
            return
        from streaming.scoring.app import create_scorer

        await asyncio.to_thread(ensure_topics, self._settings.kafka.address)
        self._app = create_scorer(self._settings, self._models, reader=self._reader, serves_pages=False)
        await self._app.start()

    async def register_model(
        self, name: str, model: Model, *, feature_set: FeatureSet = CUSTOMER_ACTIVITY, version: str | None = None
    ) -> None:
        """Score with this model from the next micro-batch on; one of the same name is replaced.

        Args:
            name: what its predictions are called, also over REST.
            model: reads the features of the set in the set's order.
            feature_set: batch or live features.
            version: by default the model's own `version`, as the registry gave it, else "1".

        Raises:
            UnfitModel: it cannot score a row of this feature set.
        """
        registered = ScoringModel(
            name=name,
            version=version or str(getattr(model, "version", "1")),
            feature_set=feature_set,
            feature_names=feature_set.feature_names,
            probabilities=_on_one_core(model),
        )
        await asyncio.to_thread(_try, registered)
        self._models.register(registered)

    async def process(self, events: Iterable[Event]) -> list[StreamPrediction]:
        """Score the users of these events now, by every model; the predictions are kept for REST and returned.

        Users without features are left out.

        Raises:
            OnlineStoreError: a store cannot be read or written.
        """
        active = {}
        for event in events:
            if event.user_id is not None:
                active[event.user_id] = Place(IN_PROCESS, self._run_id, 0, next(self._places))
        models = self._models.current()

        def score() -> list[StreamPrediction]:
            predictions = self._scorer.score(models, active).predictions
            self._predictions.put_predictions(self._reader, predictions, {})
            return predictions

        return await asyncio.to_thread(score) if active and models else []

    async def newest(self, name: str, entity_id: str) -> StreamPrediction | None:
        """The newest prediction of an entity, whoever of the platform made it; what REST answers."""
        return self._predictions.get_prediction(name, entity_id)

    async def stop(self) -> None:
        """Finish what is under way, keep the positions and leave the log.

        Raises:
            PipelineFailed: it had ended on its own, as where a model raised.
        """
        if self._app is not None:
            app, self._app = self._app, None
            await app.stop()
            if app.crashed:
                raise PipelineFailed(f"The pipeline {self._reader} ended: {app.crash_reason}") from app.crash_reason


class _RegisteredModels:
    """Models by name."""

    def __init__(self) -> None:
        self._models: dict[str, ScoringModel] = {}

    def register(self, model: ScoringModel) -> None:
        self._models[model.name] = model

    def start(self) -> None:
        """They are loaded already."""

    async def stop(self) -> None:
        """They stay registered."""

    def current(self) -> Sequence[ScoringModel]:
        return tuple(self._models.values())

    def report(self) -> Mapping[str, str]:
        return {model.name: f"version {model.version} scores" for model in self._models.values()}


def _on_one_core(model: Model) -> Callable[[FloatArray], FloatArray]:
    from threadpoolctl import ThreadpoolController  # of the scoring environment, not of the worker's

    threads = ThreadpoolController()

    def probabilities(matrix: FloatArray) -> FloatArray:
        # The limit of OpenMP belongs to the thread that set it.
        with threads.limit(limits=1):
            return np.asarray(model.predict_proba(matrix)[:, 1], dtype=np.float64)

    return probabilities


def _try(model: ScoringModel) -> None:
    """A model that fails on its first micro-batch would stop the pipeline: better it fails here."""
    width = len(model.feature_names)
    try:
        found = model.probabilities(np.zeros((2, width)))
    except Exception as error:  # an estimator raises whatever it meets
        raise UnfitModel(
            f"The model {model.name} cannot score the {width} features of {model.feature_set.name}: "
            f"{type(error).__name__}: {error}"
        ) from error
    if found.shape != (2,):
        raise UnfitModel(f"The model {model.name} gave shape {found.shape} for two rows, not one number each.")
