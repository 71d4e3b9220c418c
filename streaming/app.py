"""The Faust app of the stream worker: events in; landing files, windows and live features out."""

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from faust.types import TP

from platform_assets.contracts.topics import EVENTS, LATE, PARTIALS, PREDICTIONS, REJECTED, WINDOWS
from platform_assets.contracts.windows import WINDOWS as DEFINITIONS
from platform_assets.windows.deduplication import BUCKET_MS, HORIZON_BUCKETS
from resources.event_log.topics import LogUnavailable
from resources.event_schemas.folder import SchemaFolder
from resources.event_schemas.in_force import WatchedSchemas
from resources.landing_zone import LandingZone
from resources.online_store import OnlineStoreError, SqliteLiveStore
from resources.settings import Duties, Settings
from streaming import decoding, stream_decoders
from streaming.checkpoints import Checkpoints
from streaming.decoders.process import LANES, DecoderProcess
from streaming.emitter import Emitter
from streaming.faust_app import new_app
from streaming.health import add_pages
from streaming.incarnations import Incarnations
from streaming.lander import Lander
from streaming.live_features import LiveFeatures
from streaming.merging import MergeStage
from streaming.metrics import StreamMetrics, add_metrics_page
from streaming.microbatch import MicroBatches, use_batches
from streaming.owned_partitions import OwnedPartitions
from streaming.pipeline import Pipeline
from streaming.publishing import NewsLog
from streaming.rejecting import RejectionLog
from streaming.seeking import SeekBack
from streaming.sink import LandingSink, Limits, Partition
from streaming.stage import Stage
from streaming.steps import Steps
from streaming.threads import Threads
from streaming.usable_cores import usable_cores
from streaming.windowing import WindowStage

_log = logging.getLogger(__name__)

APP_ID = "analytics-landing"
LANDED_TOPICS = (EVENTS.name, REJECTED.name, WINDOWS.name, LATE.name, PREDICTIONS.name)
STALL_CHECK_INTERVAL_S = 5.0
# With fewer, processes that decode would take from the worker what they are to give it.
CORES_FOR_PROCESSES = 2
LIVE_FEATURES_INTERVAL_S = 1.0
# The way to a window is as short as it can be; what only lands can wait for company.
PACE_S = {EVENTS.name: 0.01, PARTIALS.name: 0.05}
PATIENT_PACE_S = 0.25


def create_app(settings: Settings, *, part_partitions: int = PARTIALS.partitions) -> Any:
    """Build the worker; nothing is contacted and nothing written before it starts.

    Returns:
        A `faust.App`. `app.pipeline` is its `Pipeline`.
    """
    app = new_app(
        APP_ID,
        settings,
        settings.root / "worker",
        web_port=settings.streaming.web_port,
        consumer_auto_offset_reset="none",
    )
    writers = _Writers(settings)
    pipeline = _pipeline(app, settings, writers, part_partitions)
    app.pipeline = pipeline
    app.seek_back = SeekBack(app, pipeline)
    pace_s = {topic: PACE_S.get(topic, PATIENT_PACE_S) for topic in pipeline.topics}
    batches = MicroBatches(
        pace_s,
        positions=_KeptPositions(pipeline),
        fetch_wait_ms=settings.streaming.fetch_wait_ms,
        pass_s=lambda: pipeline.pass_time.average_s,
    )
    use_batches(app, batches)
    _connect_lifecycle(app, pipeline, writers)
    app.timer(STALL_CHECK_INTERVAL_S)(app.seek_back.where_nothing_moved)
    for name in sorted(pipeline.topics):
        _add_agent(app, pipeline, name)
    add_pages(app, pipeline)
    add_metrics_page(app, pipeline.metrics)
    return app


class _Writers:
    """Where things go that do not land as files."""

    def __init__(self, settings: Settings) -> None:
        self.rejections = RejectionLog(settings)
        self.news = NewsLog(settings)
        self.live: LiveFeatures | None = None
        if settings.streaming.duties is Duties.ALL:
            self.live = LiveFeatures(SqliteLiveStore(settings.live_store_path))

    async def connect(self) -> None:
        """Be there when the first windows have changed: to learn about the topics takes up to half a second."""
        with contextlib.suppress(LogUnavailable):
            # Whoever has something to say connects then, and says why that fails.
            await self.news.connect()

    async def flush(self) -> None:
        """Write the live features that have changed."""
        if self.live is None:
            return
        try:
            await asyncio.to_thread(self.live.flush)
        except OnlineStoreError as error:
            # Kept, and written with the next ones: what is live is of use only for as long as it is new.
            _log.warning("live_features_unwritten waiting=%d reason=%s", self.live.waiting, error)

    async def close(self) -> None:
        """Deliver and write what is under way."""
        await self.flush()
        await self.rejections.close()
        await self.news.close()


def _pipeline(app: Any, settings: Settings, writers: _Writers, part_partitions: int) -> Pipeline:
    chosen = settings.streaming
    everything = chosen.duties is Duties.ALL
    incarnations = Incarnations(settings.kafka.address)
    decoder_processes = [
        DecoderProcess(settings.schemas_dir, land=everything)
        for _ in range(chosen.decoder_processes if usable_cores() >= CORES_FOR_PROCESSES else 0)
    ]
    threads, metrics = Threads(beside=LANES * len(decoder_processes)), StreamMetrics()
    zone = LandingZone(settings.landing_dir)
    limits = Limits(
        file_rows=chosen.max_file_rows, file_age_s=chosen.max_file_age_s, buffer_bytes=chosen.max_buffer_mb << 20
    )
    schemas = decoding.SCHEMAS | stream_decoders.SCHEMAS
    sink = LandingSink(zone, limits, schemas, verify=incarnations.verify)
    checkpoints = Checkpoints(settings.landing_dir, APP_ID, ids_horizon=HORIZON_BUCKETS, bucket_ms=BUCKET_MS)
    tell = None if writers.live is None else writers.live.update
    stages: dict[str, Stage] = {
        EVENTS.name: WindowStage(
            DEFINITIONS,
            deduplicate=everything,
            idle_timeout_s=chosen.idle_timeout_s,
            part_partitions=part_partitions,
            heard_for_s=lambda partition: float(app.consumer.heard_for_s(TP(EVENTS.name, partition))),
            end_of_log=lambda partition: app.consumer.highwater(TP(EVENTS.name, partition)),
            tell=tell,
        ),
        PARTIALS.name: MergeStage(DEFINITIONS, tell=tell),
    }

    async def seek_back(place: Partition) -> None:
        await app.seek_back.after_gap(TP(*place))

    def gives_up() -> bool:
        return bool(app.should_stop or app.rebalancing)

    emitters = {
        topic: Emitter(
            stage,
            writers.news.append,
            checkpoints,
            threads=threads,
            gives_up=gives_up,
            interval_s=chosen.emit_interval_s,
            checkpoint_interval_s=chosen.checkpoint_interval_s,
        )
        for topic, stage in stages.items()
    }
    decoders = (
        decoding.DECODERS | stream_decoders.DECODERS | {PARTIALS.name: decoding.each(decoding.decode_part_updates)}
    )
    registered = WatchedSchemas(SchemaFolder(settings.schemas_dir))
    decoders |= {EVENTS.name: decoding.decode_by_schemas(registered, land=everything, definitions=DEFINITIONS)}
    steps = Steps(Lander(sink, threads, metrics), frozenset(LANDED_TOPICS if everything else ()), stages, emitters)
    return Pipeline(
        steps,
        OwnedPartitions(
            steps, zone=zone, checkpoints=checkpoints, incarnations=incarnations, threads=threads, metrics=metrics
        ),
        decoders=decoders,
        append_rejections=writers.rejections.append,
        gives_up=gives_up,
        on_gap=seek_back,
        threads=threads,
        metrics=metrics,
        decoder_processes=decoder_processes,
    )


class _KeptPositions:
    """The landing files and checkpoints as the positions of the partitions."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    async def resume(self, partitions: frozenset[TP]) -> Mapping[TP, int]:
        positions = await self._pipeline.open([(tp.topic, tp.partition) for tp in partitions])
        return {TP(topic, partition): position for (topic, partition), position in positions.items()}

    def landed(self, partition: TP) -> int | None:
        return self._pipeline.owned.kept((partition.topic, partition.partition))


def _add_agent(app: Any, pipeline: Pipeline, name: str) -> None:
    topic = app.topic(name, key_serializer="raw", value_serializer="raw")

    async def take(batches: Any) -> None:
        async for batch in batches:
            try:
                await pipeline.put(batch)
            except Exception as error:
                # Faust would log this, restart the agent and go on; what is not understood must stop the worker.
                await app.crash(error)
                raise

    app.agent(topic, name=f"take-{name}")(take)


def _connect_lifecycle(app: Any, pipeline: Pipeline, writers: _Writers) -> None:
    async def let_go(sender: Any, revoked: Iterable[TP], **_: Any) -> None:
        """Rejoining the group waits for this, so the next owner starts where these files end."""
        await pipeline.release([(tp.topic, tp.partition) for tp in revoked])

    async def finish(sender: Any, **_: Any) -> None:
        """Runs after the streams have drained and before the consumer leaves the group."""
        try:
            await pipeline.stop()
        finally:
            await writers.close()

    async def run() -> None:
        try:
            await pipeline.run()
        except Exception as error:
            await app.crash(error)
            raise

    # Signals hold their receivers weakly unless told otherwise; these functions live nowhere else.
    app.on_partitions_revoked.connect(let_go, weak=False)
    app.on_before_shutdown.connect(finish, weak=False)
    app.task(writers.connect)
    app.task(run)
    app.timer(LIVE_FEATURES_INTERVAL_S)(writers.flush)
