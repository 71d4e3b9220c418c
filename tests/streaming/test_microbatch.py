"""The transport is registered, refuses to run half configured, and rests on internals that have not changed."""

import asyncio
import hashlib
import importlib
import inspect
from collections.abc import Mapping
from typing import Any

import faust
import pytest
from faust.exceptions import ImproperlyConfigured
from faust.transport.drivers import by_url
from faust.types import TP

from streaming import faust_app
from streaming.microbatch import LEANS_ON, BatchTransport, MicroBatches, use_batches

# From the source text of each: change one only after reading what the upgrade did to it and running the fault tests.
DIGESTS: dict[str, str] = {
    "aiokafka.consumer.fetcher.FetchResult": "fa61b3894a7f59bf",
    "aiokafka.consumer.fetcher.FetchError": "d50775206aa2fc38",
    "aiokafka.consumer.fetcher.PartitionRecords": "4dd6157d7e637944",
    "aiokafka.consumer.fetcher.Fetcher._create_fetch_waiter": "587dca1be22a22eb",
    "aiokafka.consumer.fetcher.Fetcher._fetch_requests_routine": "adce62b6fc7b9d85",
    "aiokafka.consumer.fetcher.Fetcher._notify": "d8682040be232260",
    "aiokafka.consumer.fetcher.Fetcher._proc_fetch_request": "9116b6453572f847",
    "aiokafka.consumer.fetcher.Fetcher._update_fetch_positions": "3750fdb3cc075393",
    "aiokafka.consumer.fetcher.Fetcher.fetched_records": "b4ecba13bb50c17a",
    "aiokafka.consumer.subscription_state.TopicPartitionState": "f1d3292996633525",
    "faust.transport.conductor.ConductorCompiler.build": "d8a7a7526ea3ecc2",
    "faust.transport.consumer.Consumer.ack": "2f4c7eb0884498ef",
    "faust.transport.consumer.Consumer.getmany": "f6b31e4d8a43d02e",
    "faust.transport.consumer.Consumer.on_buffer_full": "e208d4e5463ff9af",
    "faust.transport.consumer.Consumer.perform_seek": "d98522034ac0c830",
    "faust.transport.consumer.Consumer.wait_empty": "10ce4b4f5b5ec453",
    "faust.transport.consumer.Consumer._add_gap": "2071c0b9abd40afd",
    "faust.transport.consumer.Consumer._drain_messages": "35808b82ae2fb175",
    "faust.transport.consumer.Consumer._filter_committable_offsets": "bd89563ac3fa5d83",
    "faust.transport.consumer.Consumer._filter_tps_with_pending_acks": "6c07b08acc528c13",
    "faust.transport.consumer.Consumer._new_offset": "77cacc590428dee9",
    "faust.transport.consumer.Consumer._should_commit": "520c720e6b58a8f7",
    "faust.transport.drivers.aiokafka.AIOKafkaConsumerThread._create_worker_consumer": "76133d134b46197b",
    "faust.transport.drivers.aiokafka.AIOKafkaConsumerThread._fetch_records": "42af390b23296396",
    "faust.transport.drivers.aiokafka.AIOKafkaConsumerThread._seek_wait": "6b3e099cae3749ae",
    "faust.transport.drivers.aiokafka.Consumer._to_message": "3d639b23f30d9121",
    "faust.tables.recovery.Recovery._resume_streams": "12032bac421b7e18",
    "faust.app.base.App._on_partitions_revoked": "5d6c53d1dae47e96",
    "faust.app.base.App._stop_consumer": "6f583d25889f0c0a",
    "faust.app.base.App.on_stop": "5fdd10b830f69364",
    "mode.services.Service.wait_first": "86b295bb253a064e",
    "faust.tables.manager.TableManager.on_start": "238ebf81e6ba5f2a",
    "faust.tables.manager.TableManager._update_channels": "36aec39a4d5921c5",
}


def digest_of(name: str) -> str:
    """A digest of the source of a dotted name, white space at line ends aside."""
    parts = name.split(".")
    for depth in range(len(parts) - 1, 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:depth]))
        except ModuleNotFoundError:
            continue
        for part in parts[depth:]:
            found = inspect.getattr_static(found, part) if inspect.isclass(found) else getattr(found, part)
        source = "\n".join(line.rstrip() for line in inspect.getsource(found).splitlines())
        return hashlib.sha256(source.encode()).hexdigest()[:16]
    raise ModuleNotFoundError(name)


@pytest.mark.parametrize("name", [*LEANS_ON, *faust_app.LEANS_ON])
def test_internals_that_the_transport_leans_on_are_unchanged(name: str) -> None:
    """An upgrade of Faust or aiokafka that touches one of them fails here instead of losing records."""
    assert digest_of(name) == DIGESTS[name], (
        f"{name} changed: compare it with streaming/microbatch.py, fetching.py and faust_app.py"
    )


def test_transport_answers_to_its_url_scheme() -> None:
    """kafkabatch:// is all that an app needs to name."""
    assert by_url("kafkabatch://localhost") is BatchTransport


class NoPositions:
    """Positions of an app that never starts."""

    async def resume(self, partitions: frozenset[TP]) -> Mapping[TP, int]:
        return {}

    def landed(self, partition: TP) -> int | None:
        return None


def test_transport_refuses_an_app_without_its_configuration() -> None:
    """Without positions it would start from the group's offsets and be wrong in silence."""
    app: Any = faust.App("unconfigured", broker="kafkabatch://localhost:1", store="memory://")
    with pytest.raises(ImproperlyConfigured, match="use_batches"):
        app.transport.create_consumer(app.topics.on_message)
    use_batches(app, MicroBatches({"t": 0.0}, NoPositions()))
    assert app.micro_batches.topics == {"t"}


def a_consumer() -> Any:
    """A consumer of an app that never starts."""
    app: Any = faust.App("handing-over", broker="kafkabatch://localhost:1", store="memory://")
    use_batches(app, MicroBatches({"batched": 0.0}, NoPositions()))
    return app.transport.create_consumer(
        app.topics.on_message,
        on_partitions_revoked=app.on_partitions_revoked,
        on_partitions_assigned=app.on_partitions_assigned,
    )


def test_partition_whose_stream_has_batches_waiting_stays_in_the_fetch() -> None:
    """A fetch under way is not told when it is put back, and waits for other partitions' records meanwhile."""
    consumer = a_consumer()
    batched, plain = TP("batched", 0), TP("plain", 0)
    consumer._set_active_tps({batched, plain})
    consumer.on_buffer_full(batched)
    consumer.on_buffer_full(plain)
    assert consumer._active_partitions == {batched}


def test_batch_that_finds_room_is_handed_over_without_a_task() -> None:
    """Four tasks for each were half of what the worker's loop did."""
    taken: list[str] = []

    async def hand_over() -> None:
        taken.append("batch")

    async def run() -> tuple[bool, int]:
        consumer = a_consumer()
        consumer.loop = asyncio.get_running_loop()
        found = await consumer.wait_first(hand_over(), asyncio.Event().wait())
        return found.stopped, len(asyncio.all_tasks())

    assert asyncio.run(run()) == (False, 1)
    assert taken == ["batch"]


def test_batch_that_finds_no_room_waits_until_the_flow_is_suspended() -> None:
    """A rebalance must not wait for a queue that nobody empties."""
    let_go: list[str] = []

    async def hand_over() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            let_go.append("batch")

    async def run() -> bool:
        consumer, suspended = a_consumer(), asyncio.Event()
        consumer.loop = asyncio.get_running_loop()
        asyncio.get_running_loop().call_later(0.01, suspended.set)
        found = await asyncio.wait_for(consumer.wait_first(hand_over(), suspended.wait()), 5)
        await asyncio.sleep(0)
        return bool(found.stopped)

    assert asyncio.run(run()) is False
    assert let_go == ["batch"]
