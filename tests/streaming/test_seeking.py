"""Batches that are lost between consumer and sink are fetched again, once."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest
from faust.types import TP

from platform_assets.contracts.topics import EVENTS
from resources.event_log.topics import Log
from resources.landing_zone import LandingZone
from streaming.decoding import SCHEMAS
from streaming.incarnations import Incarnations
from streaming.lander import Lander
from streaming.seeking import SeekBack
from streaming.sink import LandingSink, Limits
from tests.streaming_records import event_batch

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


@pytest.fixture
async def lander(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Lander]:
    incarnations = Incarnations("unused:1")
    monkeypatch.setattr(incarnations, "describe", lambda _: {EVENTS.name: Log(EVENTS.name, "log1", 4)})
    sink = LandingSink(LandingZone(tmp_path), Limits(100, 1e9, 1 << 30), SCHEMAS, verify=lambda _: None)

    async def no_rejections(records: list[tuple[bytes, bytes]]) -> None:
        raise AssertionError(records)

    lander = Lander(sink, incarnations, no_rejections, gives_up=lambda: False)
    await lander.open([(PLACE.topic, PLACE.partition)])
    yield lander
    await lander.stop()


async def test_seeking_back_answers_a_burst_of_gaps_with_one_seek(lander: Lander) -> None:
    """Each stale batch in the queue is a gap; a seek for each would throw good fetches away."""
    consumer = RecordingConsumer()
    seek_back = SeekBack(SimpleNamespace(consumer=consumer, rebalancing=False), lander)
    await lander.take(event_batch([0, 1], start=0, next_offset=2))
    for _ in range(3):
        await seek_back.after_gap(PLACE)
    assert consumer.seeks == [{PLACE: 2}]
    await seek_back.after_gap(TP(EVENTS.name, 3))
    assert len(consumer.seeks) == 1


async def test_seeking_back_finds_a_lost_batch_that_nothing_follows(lander: Lander) -> None:
    """The log has more than the sink and the sink stands still: only a check by time can tell."""
    consumer = RecordingConsumer()
    seek_back = SeekBack(SimpleNamespace(consumer=consumer, rebalancing=False), lander)
    await seek_back.where_nothing_moved()
    consumer.end = 5
    await seek_back.where_nothing_moved()
    assert consumer.seeks == []
    await lander.take(event_batch([0], start=0, next_offset=1))
    await seek_back.where_nothing_moved()
    assert consumer.seeks == []
    await seek_back.where_nothing_moved()
    assert consumer.seeks == [{PLACE: 1}]
    await lander.take(event_batch(range(1, 5), start=1, next_offset=5))
    await seek_back.where_nothing_moved()
    await seek_back.where_nothing_moved()
    assert len(consumer.seeks) == 1
