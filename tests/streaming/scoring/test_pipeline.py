"""The pipeline without Faust: order of log, store and position, retries, gaps. Real stores and a real broker's ids."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest

from platform_assets.contracts.features import CUSTOMER_ACTIVITY
from platform_assets.contracts.predictions import StreamPrediction
from platform_assets.contracts.topics import WINDOWS
from resources.event_log.topics import LogUnavailable, describe_logs, ensure_topics
from resources.online_store import OnlineStoreError, SqliteLiveStore, SqliteOnlineStore, SqlitePredictionStore
from resources.online_store.predictions import Place as StoredPlace
from streaming.incarnations import Incarnations
from streaming.record_batch import RecordBatch
from streaming.scoring.features import FeatureReader
from streaming.scoring.models import ScoringModel
from streaming.scoring.pipeline import ScoringPipeline
from streaming.scoring.scorer import Scorer
from tests.api.models import AS_OF
from tests.streaming.window_changes import activity
from tests.streaming_records import a_batch


class OneModel:
    """A model that can be there or not."""

    def __init__(self) -> None:
        names = CUSTOMER_ACTIVITY.feature_names
        self.model: ScoringModel | None = ScoringModel("m", "1", CUSTOMER_ACTIVITY, names, lambda rows: rows[:, 0])

    def start(self) -> None: ...

    async def stop(self) -> None: ...

    def current(self) -> Sequence[ScoringModel]:
        return [self.model] if self.model is not None else []

    def report(self) -> Mapping[str, str]:
        return {}


class History:
    """What was appended and kept, in order; each may be told to fail a number of times."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, list[str]]] = []
        self.log_failures = 0
        self.store_failures = 0


class MemoryLog:
    """A log of predictions that keeps them in the history."""

    def __init__(self, history: History) -> None:
        self._history = history

    async def connect(self) -> None: ...

    async def append(self, predictions: Sequence[StreamPrediction]) -> None:
        if self._history.log_failures > 0:
            self._history.log_failures -= 1
            raise LogUnavailable("no broker")
        self._history.steps.append(("log", [made.entity_id for made in predictions]))

    async def close(self) -> None: ...


class NotedStore(SqlitePredictionStore):
    """The real store, with its writes in the history."""

    def __init__(self, path: Path, history: History) -> None:
        super().__init__(path)
        self._history = history

    def put_predictions(
        self, reader: str, predictions: Sequence[StreamPrediction], positions: Mapping[StoredPlace, int]
    ) -> None:
        if self._history.store_failures > 0:
            self._history.store_failures -= 1
            raise OnlineStoreError("the disk is full")
        super().put_predictions(reader, predictions, positions)
        self._history.steps.append(("store", [made.entity_id for made in predictions]))


class Bench:
    """A pipeline on partitions 0 and 1, and what it stands on."""

    def __init__(self, address: str, folder: Path) -> None:
        ensure_topics(address)
        self.log_id = describe_logs(address, [WINDOWS.name])[WINDOWS.name].log
        self.history = History()
        self.models = OneModel()
        self.store = NotedStore(folder / "predictions.sqlite", self.history)
        self.gives_up = False
        features = SqliteOnlineStore(folder / "online.sqlite")
        rows = [(name, dict.fromkeys(CUSTOMER_ACTIVITY.feature_names, 0.5)) for name in "abc"]
        features.put_features(CUSTOMER_ACTIVITY, AS_OF, rows)
        self.pipeline = ScoringPipeline(
            "reader",
            models=self.models,
            scorer=Scorer(FeatureReader(features, SqliteLiveStore(folder / "live.sqlite"))),
            store=self.store,
            log=MemoryLog(self.history),
            incarnations=Incarnations(address),
            gives_up=lambda: self.gives_up,
            interval_s=0.2,
        )

    def kept(self) -> dict[int, int]:
        return self.store.positions("reader", WINDOWS.name, self.log_id)


@pytest.fixture
async def bench(embedded_broker: str, tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(embedded_broker, tmp_path)
    await bench.pipeline.open([0, 1])
    yield bench
    bench.gives_up = True
    await bench.pipeline.stop()


def changes(offset: int, *users: str, partition: int = 0) -> RecordBatch:
    """A batch of one record."""
    return a_batch(
        [(offset, activity(users))], start=offset, next_offset=offset + 1, topic=WINDOWS.name, partition=partition
    )


async def test_position_moves_after_the_log_and_with_the_store(bench: Bench) -> None:
    assert await bench.pipeline.take(changes(0, "a", "b"))
    assert bench.history.steps == [("log", ["a", "b"]), ("store", ["a", "b"])]
    assert bench.kept() == {0: 1, 1: 0}
    assert bench.pipeline.positions() == {0: 1, 1: 0}


async def test_nothing_is_kept_before_the_log_has_it(bench: Bench) -> None:
    """The broker is away for two attempts; the position stands still, and the state says paused."""
    bench.history.log_failures = 2
    taking = asyncio.create_task(bench.pipeline.take(changes(0, "a")))
    while bench.pipeline.paused is None:
        await asyncio.sleep(0.01)
    assert (bench.kept(), bench.pipeline.is_ready) == ({}, False)
    assert await taking
    assert bench.history.steps == [("log", ["a"]), ("store", ["a"])]
    assert bench.pipeline.is_ready


async def test_full_disk_is_waited_out(bench: Bench) -> None:
    bench.history.store_failures = 1
    assert await bench.pipeline.take(changes(0, "a"))
    assert bench.history.steps == [("log", ["a"]), ("store", ["a"])]
    assert bench.kept()[0] == 1


async def test_entity_is_scored_once_per_interval_and_never_forgotten(bench: Bench) -> None:
    """Three changes at once: the first is scored at once, the others together when the interval is over."""
    for offset in range(3):
        assert await bench.pipeline.take(changes(offset, "a"))
    assert bench.history.steps == [("log", ["a"]), ("store", ["a"])]
    while len(bench.history.steps) < 4:
        await bench.pipeline.score_due()
        await asyncio.sleep(0.02)
    found = bench.store.get_prediction("m", "a")
    assert found is not None
    assert found.source_offset == 2
    assert bench.kept()[0] == 3


async def test_batches_that_name_nobody_move_the_position_too(bench: Bench) -> None:
    assert await bench.pipeline.take(a_batch([], start=0, next_offset=9, topic=WINDOWS.name))
    while bench.kept().get(0) != 9:
        await bench.pipeline.score_due()
        await asyncio.sleep(0.05)


async def test_repeated_batch_is_passed_over_and_a_gap_reported(bench: Bench) -> None:
    """Only a batch that comes again after the seek says that the log has lost the records between."""
    assert await bench.pipeline.take(changes(0, "a"))
    assert await bench.pipeline.take(changes(0, "b"))
    assert bench.store.get_prediction("m", "b") is None
    assert not await bench.pipeline.take(changes(5, "b"))
    assert not await bench.pipeline.take(changes(9, "b"))
    assert not await bench.pipeline.take(changes(5, "b"))
    assert await bench.pipeline.take(changes(5, "b"))
    assert bench.store.get_prediction("m", "b") is not None
    assert bench.kept()[0] == 6


async def test_without_a_model_the_stream_waits(bench: Bench) -> None:
    model, bench.models.model = bench.models.model, None
    taking = asyncio.create_task(bench.pipeline.take(changes(0, "a")))
    await asyncio.sleep(0.15)
    assert (taking.done(), bench.pipeline.position(0), bench.pipeline.is_ready) == (False, 0, True)
    bench.models.model = model
    assert await taking
    assert bench.kept()[0] == 1


async def test_partitions_that_come_back_start_at_the_kept_position(bench: Bench) -> None:
    """A rebalance in the middle of a pause: what was not kept is taken again."""
    assert await bench.pipeline.take(changes(0, "a"))
    bench.history.log_failures = 100
    taking = asyncio.create_task(bench.pipeline.take(changes(1, "b")))
    while bench.pipeline.paused is None:
        await asyncio.sleep(0.01)
    bench.gives_up = True
    assert await taking
    await bench.pipeline.release([0, 1])
    bench.gives_up, bench.history.log_failures = False, 0
    assert await bench.pipeline.open([0]) == {0: 1}
    assert await bench.pipeline.take(changes(1, "b"))
    assert bench.store.get_prediction("m", "b") is not None
    assert bench.kept() == {0: 2, 1: 0}
