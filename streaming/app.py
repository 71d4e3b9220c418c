"""The Faust app of the landing worker: two topics in, Parquet files out."""

from collections.abc import Iterable, Mapping
from typing import Any

import faust
from faust.types import TP

from platform_assets.contracts.topics import EVENTS, REJECTED
from resources.landing_zone import LandingZone
from resources.settings import Settings
from streaming.decoding import SCHEMAS
from streaming.health import add_pages
from streaming.incarnations import Incarnations
from streaming.lander import Lander
from streaming.microbatch import SCHEME, MicroBatches, use_batches
from streaming.rejecting import RejectionLog
from streaming.seeking import SeekBack
from streaming.sink import Admission, LandingSink, Limits

APP_ID = "analytics-landing"
TOPICS = (EVENTS.name, REJECTED.name)
CLOSE_INTERVAL_S = 0.2
# A batch of 1 MB is some 4,000 events; eight of them wait in front of an agent at most.
FETCH_BYTES = 1 << 20
WAITING_BATCHES = 8
STALL_CHECK_INTERVAL_S = 5.0
METADATA_MAX_AGE_MS = 3_000


def create_app(settings: Settings) -> Any:
    """Build the worker; nothing is contacted and nothing written before it starts.

    Returns:
        A `faust.App`. `app.lander` is its `Lander`.
    """
    app: Any = faust.App(
        APP_ID,
        broker=[f"{SCHEME}://{server.strip()}" for server in settings.kafka.address.split(",")],
        datadir=settings.root / "worker",
        store="memory://",
        consumer_auto_offset_reset="none",
        consumer_max_fetch_size=FETCH_BYTES,
        # A Kafka that has just restarted tells the group of no topics at first, and the leader hands out nothing; it
        # looks again this often. At the default of five minutes nothing landed meanwhile.
        consumer_metadata_max_age_ms=METADATA_MAX_AGE_MS,
        broker_session_timeout=settings.streaming.session_timeout_s,
        broker_heartbeat_interval=min(1.0, settings.streaming.session_timeout_s / 3),
        broker_commit_interval=2.0,
        stream_buffer_maxsize=WAITING_BATCHES,
        stream_recovery_delay=0.0,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_bind="127.0.0.1",
        web_host="127.0.0.1",
        web_port=settings.streaming.web_port,
        worker_redirect_stdouts=False,
    )
    incarnations = Incarnations(settings.kafka.address)
    sink = LandingSink(
        LandingZone(settings.landing_dir),
        Limits(
            file_rows=settings.streaming.max_file_rows,
            file_age_s=settings.streaming.max_file_age_s,
            buffer_bytes=settings.streaming.max_buffer_mb << 20,
        ),
        SCHEMAS,
        verify=incarnations.verify,
    )
    rejections = RejectionLog(settings)
    lander = Lander(sink, incarnations, rejections.append, gives_up=lambda: bool(app.should_stop or app.rebalancing))
    app.lander = lander
    use_batches(app, MicroBatches(frozenset(TOPICS), positions=_LandedPositions(lander)))
    _connect_lifecycle(app, lander, rejections)
    seek_back = SeekBack(app, lander)
    app.timer(STALL_CHECK_INTERVAL_S)(seek_back.where_nothing_moved)
    for name in TOPICS:
        _add_agent(app, lander, seek_back, name)
    add_pages(app, lander)
    return app


class _LandedPositions:
    """The landing files as the positions of the partitions."""

    def __init__(self, lander: Lander) -> None:
        self._lander = lander

    async def resume(self, partitions: frozenset[TP]) -> Mapping[TP, int]:
        positions = await self._lander.open([(tp.topic, tp.partition) for tp in partitions])
        return {TP(topic, partition): position for (topic, partition), position in positions.items()}

    def landed(self, partition: TP) -> int | None:
        owned = self._lander.sink.find(partition.topic, partition.partition)
        return owned.landed if owned is not None and owned.landed > 0 else None


def _add_agent(app: Any, lander: Lander, seek_back: SeekBack, name: str) -> None:
    topic = app.topic(name, key_serializer="raw", value_serializer="raw")

    async def land(batches: Any) -> None:
        async for batch in batches:
            try:
                admission = await lander.take(batch)
                if admission is Admission.GAP:
                    await seek_back.after_gap(TP(batch.topic, batch.partition))
            except Exception as error:
                # Faust would log this, restart the agent and go on; what is not understood must stop the worker.
                await app.crash(error)
                raise

    app.agent(topic, name=f"land-{name}")(land)


def _connect_lifecycle(app: Any, lander: Lander, rejections: RejectionLog) -> None:
    async def land_and_let_go(sender: Any, revoked: Iterable[TP], **_: Any) -> None:
        """Rejoining the group waits for this, so the next owner starts where these files end."""
        await lander.release([(tp.topic, tp.partition) for tp in revoked])

    async def land_the_rest(sender: Any, **_: Any) -> None:
        """Runs after the streams have drained and before the consumer leaves the group."""
        try:
            await lander.stop()
        finally:
            await rejections.close()

    async def close_due_files() -> None:
        try:
            await lander.close_due()
        except Exception as error:
            await app.crash(error)
            raise

    # Signals hold their receivers weakly unless told otherwise; these functions live nowhere else.
    app.on_partitions_revoked.connect(land_and_let_go, weak=False)
    app.on_before_shutdown.connect(land_the_rest, weak=False)
    app.timer(CLOSE_INTERVAL_S)(close_due_files)
