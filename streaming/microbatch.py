"""A Faust transport whose agents receive one `RecordBatch` per partition fetch instead of one event per record.

    app = faust.App("id", broker="kafkabatch://host:port", consumer_auto_offset_reset="none")
    use_batches(app, MicroBatches(pace_s={"events.v1": 0.01}, positions=...))
    topic = app.topic("events.v1", key_serializer="raw", value_serializer="raw")

Faust keeps the app, group membership, rebalances, flow control and commits. To it a batch is one message whose offset
is that of the last record it covers. Two things differ from a stock consumer for these topics: on every assignment
the consumer seeks to where `Positions.resume` says, not to the group's offsets, and the offsets that it commits are
those of `Positions.landed`, for lag dashboards only.

The module subclasses Faust's aiokafka driver and reads private attributes of aiokafka's fetcher. `LEANS_ON` names
everything whose meaning it relies on; a test holds the digest of each and fails when an upgrade changes one.
"""

from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from aiokafka.errors import ConsumerStoppedError
from faust.exceptions import ImproperlyConfigured
from faust.transport.drivers import TRANSPORTS
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage
from mode.services import WaitResults

from streaming.begun import Begun
from streaming.fetching import BatchFetcher
from streaming.hearing import Hearing
from streaming.record_batch import RecordBatch

SCHEME = "kafkabatch"

LEANS_ON: tuple[str, ...] = (
    "aiokafka.consumer.fetcher.FetchResult",
    "aiokafka.consumer.fetcher.FetchError",
    "aiokafka.consumer.fetcher.PartitionRecords",
    "aiokafka.consumer.fetcher.Fetcher._create_fetch_waiter",
    "aiokafka.consumer.fetcher.Fetcher._fetch_requests_routine",
    "aiokafka.consumer.fetcher.Fetcher._notify",
    "aiokafka.consumer.fetcher.Fetcher._proc_fetch_request",
    "aiokafka.consumer.fetcher.Fetcher._update_fetch_positions",
    "aiokafka.consumer.fetcher.Fetcher.fetched_records",
    "aiokafka.consumer.subscription_state.TopicPartitionState",
    "faust.transport.conductor.ConductorCompiler.build",
    "faust.transport.consumer.Consumer.ack",
    "faust.transport.consumer.Consumer.getmany",
    "faust.transport.consumer.Consumer.on_buffer_full",
    "faust.transport.consumer.Consumer.perform_seek",
    "faust.transport.consumer.Consumer.wait_empty",
    "faust.transport.consumer.Consumer._add_gap",
    "faust.transport.consumer.Consumer._drain_messages",
    "faust.transport.consumer.Consumer._filter_committable_offsets",
    "faust.transport.consumer.Consumer._filter_tps_with_pending_acks",
    "faust.transport.consumer.Consumer._new_offset",
    "faust.transport.consumer.Consumer._should_commit",
    "faust.transport.drivers.aiokafka.AIOKafkaConsumerThread._create_worker_consumer",
    "faust.transport.drivers.aiokafka.AIOKafkaConsumerThread._fetch_records",
    "faust.transport.drivers.aiokafka.AIOKafkaConsumerThread._seek_wait",
    "faust.transport.drivers.aiokafka.Consumer._to_message",
    "faust.tables.recovery.Recovery._resume_streams",
    "faust.app.base.App._on_partitions_revoked",
    "faust.app.base.App._stop_consumer",
    "faust.app.base.App.on_stop",
    "mode.services.Service.wait_first",
)


class Positions(Protocol):
    """Where the partitions of batch topics stand; the group's offsets do not decide it."""

    async def resume(self, partitions: frozenset[TP]) -> Mapping[TP, int]:
        """The offset to fetch next for each assigned partition. An error stops the worker."""
        ...

    def landed(self, partition: TP) -> int | None:
        """The offset up to which this worker has landed the partition, to be committed; None to commit nothing."""
        ...


@dataclass(frozen=True)
class MicroBatches:
    """Which topics travel in batches and how. Sizes are upper bounds per partition and fetch, in records.

    `pace_s` has the topics, each with the time between two small batches of one of its partitions (`pacing`).
    """

    pace_s: Mapping[str, float]
    positions: Positions
    max_records: int = 10_000
    # Faust fixes this at 1,500 ms, which would be the latency of a quiet topic on brokers that wait it out.
    fetch_wait_ms: int = 50
    pass_s: Callable[[], float] = lambda: 0.0
    """How long it takes lately to take what one turn of the partitions brings."""

    @property
    def topics(self) -> frozenset[str]:
        """The topics that travel in batches."""
        return frozenset(self.pace_s)


def use_batches(app: Any, batches: MicroBatches) -> None:
    """Tell the app's consumer what to batch; to be called before the app starts."""
    app.micro_batches = batches


class BatchConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread that owns the aiokafka consumer."""

    def __init__(self, consumer: "BatchConsumer", **options: Any) -> None:
        self._batches = batches = consumer.batches
        self._batch_fetcher = BatchFetcher(batches.pace_s, batches.max_records, batches.pass_s)
        super().__init__(consumer, **options)

    @property
    def hearing(self) -> Hearing:
        """For how long the broker has answered for each partition."""
        return self._batch_fetcher.hearing

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = self._batches.fetch_wait_ms
        return consumer

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: Any,
        timeout: float | None = None,  # noqa: ASYNC109 - Faust's signature
        max_records: int | None = None,
    ) -> Any:
        if not self.consumer.flow_active:
            return {}
        fetcher = consumer._fetcher
        if consumer._closed or fetcher._closed:
            raise ConsumerStoppedError
        with fetcher._subscriptions.fetch_context():
            return await self._batch_fetcher.fetched(fetcher, active_partitions, timeout or 0.0, max_records)


class BatchConsumer(driver.Consumer):
    """Faust's consumer, with offsets kept per batch and positions that come from the landed files."""

    def __init__(self, transport: Any, *arguments: Any, **options: Any) -> None:
        batches = getattr(transport.app, "micro_batches", None)
        if not isinstance(batches, MicroBatches):
            raise ImproperlyConfigured(f"A {SCHEME}:// broker needs streaming.microbatch.use_batches(app, ...) first")
        self.batches = batches
        super().__init__(transport, *arguments, **options)

    def _new_consumer_thread(self) -> BatchConsumerThread:
        self._batch_thread = BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)
        return self._batch_thread

    def heard_for_s(self, tp: TP) -> float:
        """For how many seconds the broker has answered for a partition without a pause."""
        return self._batch_thread.hearing.heard_for_s((tp.topic, tp.partition))

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        if not isinstance(record, RecordBatch):
            return super()._to_message(tp, record)
        timestamp_s = record.records[-1].timestamp / 1000.0 if record.records else 0.0
        return ConsumerMessage(
            record.topic,
            record.partition,
            record.next_offset - 1,
            timestamp_s,
            0,
            None,
            None,
            record,  # type: ignore[arg-type]  # the raw codec hands it through as it is
            None,
            0,
            0,
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    async def wait_first(self, *coros: Any, timeout: Any = None) -> WaitResults:  # noqa: ASYNC109 - Faust's signature
        """What ends first; of two, the second is only looked at where the first one has to wait.

        Faust asks this for every message, whether it is handed over or the flow is suspended first. A batch nearly
        always finds room at once; the four tasks that asked for it were half of all turns of the worker's loop.
        """
        if len(coros) != 2 or not isinstance(coros[0], Coroutine):
            return await super().wait_first(*coros, timeout=timeout)
        handing_over, suspended = coros
        begun: Begun[Any] = Begun(handing_over)
        if begun.results:
            suspended.close()
            return WaitResults([handing_over], begun.results, False)
        return await super().wait_first(begun, suspended, timeout=timeout)

    def on_buffer_full(self, tp: TP) -> None:
        """Go on fetching a partition whose stream has batches waiting; where the queue is full, Faust waits.

        Faust's own takes the partition out of the fetch and puts it back without a word: the fetch under way went on
        waiting for other partitions' records, for up to a second with this one's at hand.
        """
        if tp.topic not in self.batches.topics:
            super().on_buffer_full(tp)

    async def perform_seek(self) -> None:
        """Seek every assigned partition: batch topics to their landed position, others to the group's offset."""
        assigned = self.assignment()
        batched = frozenset(tp for tp in assigned if tp.topic in self.batches.topics)
        if batched != assigned:
            await super().perform_seek()
        if batched:
            await self.seek_wait(await self.batches.positions.resume(batched))

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        pending: Iterable[TP] = super()._filter_tps_with_pending_acks(topics)
        yield from (tp for tp in pending if tp.topic not in self.batches.topics)
        yield from (tp for tp in self.assignment() if tp.topic in self.batches.topics)

    def _new_offset(self, tp: TP) -> int | None:
        if tp.topic not in self.batches.topics:
            return super()._new_offset(tp)
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        return self.batches.positions.landed(tp)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        # Every message of a batch topic jumps over the offsets inside its batch: to Faust these would be gaps.
        if tp.topic not in self.batches.topics:
            await super()._add_gap(tp, offset_from, offset_to)


class BatchTransport(driver.Transport):
    """The transport behind `kafkabatch://`."""

    Consumer: ClassVar[type[BatchConsumer]] = BatchConsumer
    driver_version = f"{driver.Transport.driver_version}+batches"


TRANSPORTS.aliases[SCHEME] = f"{__name__}:{BatchTransport.__name__}"
