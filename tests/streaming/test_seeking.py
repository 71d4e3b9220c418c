"""Batches that are lost between consumer and pipeline are fetched again, once."""

from collections.abc import Mapping
from types import SimpleNamespace

import pytest
from faust.types import TP

from platform_assets.contracts.topics import EVENTS
from streaming import seeking
from streaming.seeking import SEEK_INTERVAL_S, SeekBack
from streaming.sink import Partition

PLACE = TP(EVENTS.name, 0)


class RecordingConsumer:
    """Notes the seeks; the log ends at `end`."""

    def __init__(self) -> None:
        self.seeks: list[Mapping[TP, int]] = []
        self.end: int | None = None

    async def seek_wait(self, positions: Mapping[TP, int]) -> None:
        self.seeks.append(positions)

    def highwater(self, place: TP) -> int | None:
        return self.end


class Standing:
    """A follower that stands where a test puts it."""

    def __init__(self) -> None:
        self.is_ready = True
        self.position = 0

    def positions(self) -> dict[Partition, int]:
        return {(PLACE.topic, PLACE.partition): self.position}


class Scene:
    """Consumer, follower and clock."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.consumer, self.follower = RecordingConsumer(), Standing()
        self.app = SimpleNamespace(consumer=self.consumer, rebalancing=False)
        self.now = 100.0
        patch.setattr(seeking, "time", SimpleNamespace(monotonic=lambda: self.now))
        self.seek_back = SeekBack(self.app, self.follower)


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(monkeypatch)


async def test_seeking_back_answers_a_burst_of_gaps_with_one_seek(scene: Scene) -> None:
    """Each stale batch in the queue is a gap; a seek for each would throw good fetches away."""
    scene.follower.position = 2
    for _ in range(3):
        await scene.seek_back.after_gap(PLACE)
    assert scene.consumer.seeks == [{PLACE: 2}]
    scene.now += SEEK_INTERVAL_S
    await scene.seek_back.after_gap(PLACE)
    assert scene.consumer.seeks == [{PLACE: 2}, {PLACE: 2}]


async def test_seeking_back_leaves_partitions_alone_that_are_not_owned(scene: Scene) -> None:
    await scene.seek_back.after_gap(TP(EVENTS.name, 3))
    assert scene.consumer.seeks == []


async def test_seeking_back_finds_a_lost_batch_that_nothing_follows(scene: Scene) -> None:
    """The log has more than the follower and it stands still: only a check by time can tell."""
    await scene.seek_back.where_nothing_moved()
    scene.consumer.end = 5
    await scene.seek_back.where_nothing_moved()
    assert scene.consumer.seeks == []
    scene.follower.position = 1
    await scene.seek_back.where_nothing_moved()
    assert scene.consumer.seeks == []
    await scene.seek_back.where_nothing_moved()
    assert scene.consumer.seeks == [{PLACE: 1}]
    scene.follower.position = 5
    scene.now += 10
    await scene.seek_back.where_nothing_moved()
    await scene.seek_back.where_nothing_moved()
    assert len(scene.consumer.seeks) == 1


async def test_seeking_back_rests_while_partitions_change_hands_or_files_cannot_be_written(scene: Scene) -> None:
    """Nothing moves then, and for a reason; what was seen before does not count afterwards."""
    scene.consumer.end = 5
    await scene.seek_back.where_nothing_moved()
    for is_ready, rebalancing in ((False, False), (True, True)):
        scene.follower.is_ready, scene.app.rebalancing = is_ready, rebalancing
        await scene.seek_back.where_nothing_moved()
        scene.follower.is_ready, scene.app.rebalancing = True, False
        await scene.seek_back.where_nothing_moved()
    assert scene.consumer.seeks == []
    await scene.seek_back.where_nothing_moved()
    assert scene.consumer.seeks == [{PLACE: 0}]
