"""The Faust app of the scorer: `windows.v1` in, `predictions.v1` and the store of predictions out."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from faust.types import TP

from platform_assets.contracts.topics import WINDOWS
from resources.online_store import SqliteLiveStore, SqliteOnlineStore, SqlitePredictionStore
from resources.settings import Settings
from streaming.faust_app import new_app
from streaming.incarnations import Incarnations
from streaming.microbatch import MicroBatches, use_batches
from streaming.scoring.features import FeatureReader
from streaming.scoring.health import add_pages
from streaming.scoring.models import Models
from streaming.scoring.pipeline import ScoringPipeline
from streaming.scoring.prediction_log import PredictionLog
from streaming.scoring.scorer import Scorer
from streaming.seeking import SeekBack

READER = "analytics-scorer"
SCORE_INTERVAL_S = 0.1
STALL_CHECK_INTERVAL_S = 5.0
PACE_S = 0.02


def create_scorer(settings: Settings, models: Models, *, reader: str = READER, serves_pages: bool = True) -> Any:
    """Build the scorer; nothing is contacted and nothing written before it starts.

    Args:
        settings: where broker, stores and pages are.
        models: what scores.
        reader: the consumer group, and under which name positions are kept; one per independent set of models.
        serves_pages: whether it has a web server, on the scorer's port.

    Returns:
        A `faust.App`. `app.pipeline` is its `ScoringPipeline`.
    """
    app = new_app(
        reader,
        settings,
        settings.root / "scorer",
        web_port=settings.streaming.scorer_web_port,
        # A log whose first records retention has removed is scored from what is left.
        consumer_auto_offset_reset="earliest",
        web_enabled=serves_pages,
    )
    predictions = SqlitePredictionStore(settings.prediction_store_path)
    features = FeatureReader(SqliteOnlineStore(settings.online_store_path), SqliteLiveStore(settings.live_store_path))
    # Not among the marks of the door: a prediction that dies with a broker is made again, and no event is lost.
    log = PredictionLog(settings.kafka.address, settings.root / "scorer" / "acknowledged")
    pipeline = ScoringPipeline(
        reader,
        models=models,
        scorer=Scorer(features),
        store=predictions,
        log=log,
        incarnations=Incarnations(settings.kafka.address),
        gives_up=lambda: bool(app.should_stop or app.rebalancing),
        interval_s=settings.streaming.score_interval_s,
    )
    app.pipeline = pipeline
    use_batches(app, MicroBatches({WINDOWS.name: PACE_S}, positions=_KeptPositions(pipeline)))
    _connect_lifecycle(app, pipeline)
    _add_agent(app, pipeline)
    if serves_pages:
        add_pages(app, pipeline)
    return app


class _KeptPositions:
    """The positions beside the predictions as the positions of the partitions."""

    def __init__(self, pipeline: ScoringPipeline) -> None:
        self._pipeline = pipeline

    async def resume(self, partitions: frozenset[TP]) -> Mapping[TP, int]:
        positions = await self._pipeline.open([tp.partition for tp in partitions])
        return {TP(WINDOWS.name, partition): position for partition, position in positions.items()}

    def landed(self, partition: TP) -> int | None:
        return self._pipeline.positions().get(partition.partition) or None


class _Following:
    """The pipeline as somebody who takes batches in order; see `seeking`."""

    def __init__(self, pipeline: ScoringPipeline) -> None:
        self._pipeline = pipeline

    @property
    def is_ready(self) -> bool:
        return self._pipeline.is_ready and not self._pipeline.is_waiting_for_a_model

    def positions(self) -> Mapping[tuple[str, int], int]:
        owned = {partition: self._pipeline.position(partition) for partition in self._pipeline.positions()}
        return {(WINDOWS.name, partition): found for partition, found in owned.items() if found is not None}


def _add_agent(app: Any, pipeline: ScoringPipeline) -> None:
    topic = app.topic(WINDOWS.name, key_serializer="raw", value_serializer="raw")
    seek_back = SeekBack(app, _Following(pipeline))

    async def score(batches: Any) -> None:
        async for batch in batches:
            try:
                if not await pipeline.take(batch):
                    await seek_back.after_gap(TP(batch.topic, batch.partition))
            except Exception as error:
                # Faust would log this, restart the agent and go on; what is not understood must stop the scorer.
                await app.crash(error)
                raise

    app.agent(topic, name=f"score-{WINDOWS.name}")(score)
    app.timer(STALL_CHECK_INTERVAL_S)(seek_back.where_nothing_moved)


def _connect_lifecycle(app: Any, pipeline: ScoringPipeline) -> None:
    async def let_go(sender: Any, revoked: Iterable[TP], **_: Any) -> None:
        await pipeline.release([tp.partition for tp in revoked])

    async def end(sender: Any, **_: Any) -> None:
        await pipeline.stop()

    async def or_crash(work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception as error:
            await app.crash(error)
            raise

    async def score_due() -> None:
        await or_crash(pipeline.score_due)

    async def verify_log() -> None:
        await or_crash(pipeline.verify_log)

    # Signals hold their receivers weakly unless told otherwise; these functions live nowhere else.
    app.on_partitions_revoked.connect(let_go, weak=False)
    app.on_before_shutdown.connect(end, weak=False)
    app.timer(SCORE_INTERVAL_S)(score_due)
    app.timer(STALL_CHECK_INTERVAL_S)(verify_log)
