"""A partition begins where its files and its checkpoint say, and ends where the next owner finds it."""

import asyncio
import logging
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from platform_assets.contracts.landing import LandingFile
from platform_assets.contracts.topics import EVENTS, PARTIALS, REJECTED
from resources.landing_zone import LandingZone
from streaming.checkpoints import Checkpoint
from streaming.sink import Admission
from tests.streaming.lives import (
    EVENTS_LOG,
    PARTIALS_LOG,
    PARTITIONS,
    FixedIncarnations,
    Life,
    MemoryLog,
    shopping,
    until,
)
from tests.streaming.test_pipeline import EVERY_ROW, PLACE, landed_offsets
from tests.streaming_records import a_batch


async def test_partition_goes_on_at_the_landed_offset_where_the_checkpoint_is_ahead(tmp_path: Path) -> None:
    """What is counted and not landed is fetched again: it lands, and is not counted twice."""
    log = MemoryLog()
    first = Life(tmp_path, log, checkpoint_interval_s=0.0)
    await first.open()
    first.run()
    await first.feed(0, [shopping(number, number) for number in range(3)], 0)
    await until(lambda: first.saved(0) == 3)
    await first.kill()
    second = Life(tmp_path, log)
    assert (await second.open())[PLACE] == 0
    assert await second.feed(0, [shopping(number, number) for number in range(3)], 0) is Admission.TAKE
    assert await second.feed(0, [shopping(3, 25)], 3) is Admission.TAKE
    await second.stop()
    assert landed_offsets(tmp_path) == [0, 1, 2, 3]
    ((_, key, _, _), (count, total)) = next(item for item in log.finals().items() if item[0][0] == "user_10s")
    assert (key, count, total) == ("u1", 3, 3.0)


async def test_partition_goes_on_at_the_checkpoint_where_the_landing_files_are_ahead(tmp_path: Path) -> None:
    """What is landed and not counted is fetched again: it is counted, and no second row of it lands."""
    log = MemoryLog()
    first = Life(tmp_path, log, limits=EVERY_ROW)
    await first.open()
    await first.feed(0, [shopping(number, number) for number in range(3)], 0)
    await first.lander.close_due()
    await first.kill()
    assert landed_offsets(tmp_path) == [0, 1, 2]
    second = Life(tmp_path, log)
    assert (await second.open())[PLACE] == 0
    # Cut otherwise than before, across the end of the file.
    assert await second.feed(0, [shopping(0, 0), shopping(1, 1)], 0) is Admission.TAKE
    assert await second.feed(0, [shopping(2, 2), shopping(3, 25)], 2) is Admission.TAKE
    await second.stop()
    assert landed_offsets(tmp_path) == [0, 1, 2, 3]
    ((_, key, _, _), (count, total)) = next(item for item in log.finals().items() if item[0][0] == "user_10s")
    assert (key, count, total) == ("u1", 3, 3.0)


async def test_first_checkpoint_is_there_before_anything_lands(tmp_path: Path) -> None:
    """From then on no checkpoint means that there never was one, not that it was lost with the first crash."""
    life = Life(tmp_path, MemoryLog(), limits=EVERY_ROW)
    await life.open()
    assert [life.saved(partition) for partition in range(PARTITIONS)] == [0, 0]
    assert [life.saved(partition, PARTIALS_LOG) for partition in range(PARTITIONS)] == [0, 0]
    assert life.zone.files(EVENTS.name) == []
    await life.kill()


async def test_windows_begin_at_the_landed_offset_where_files_landed_before_there_were_checkpoints(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A folder of an earlier version: its events are in the warehouse, and nobody pretends that they were counted."""
    LandingZone(tmp_path).write(pa.table({}), LandingFile(EVENTS.name, EVENTS_LOG, 0, 0, 99))
    log = MemoryLog()
    life = Life(tmp_path, log)
    with caplog.at_level(logging.WARNING, "streaming"):
        assert (await life.open())[PLACE] == 100
    assert "windows_begin_late topic=events.v1 partition=0 offset=100" in caplog.text
    await life.feed(0, [shopping(100, 0), shopping(101, 30)], 100)
    await life.stop()
    (count,) = {values[0] for place, values in log.finals().items() if place[0] == "user_10s"}
    assert count == 1
    second = Life(tmp_path, log)
    assert (await second.open())[PLACE] == 102
    await second.kill()


async def test_released_partition_waits_in_its_files_for_the_next_owner(tmp_path: Path) -> None:
    """One of two partitions goes to another worker, which begins where this one's files and checkpoint end."""
    log = MemoryLog()
    giver, taker = Life(tmp_path, log), Life(tmp_path, log)
    await giver.open()
    for partition in range(PARTITIONS):
        await giver.feed(partition, [shopping(10 * partition + n, n, user=f"u{partition}") for n in range(4)], 0)
    await giver.pipeline.release([(EVENTS.name, 1)])
    assert await taker.open([(EVENTS.name, 1)]) == {(EVENTS.name, 1): 4}
    await taker.feed(1, [shopping(14, 30, user="u1")], 4)
    await giver.feed(0, [shopping(4, 30, user="u0")], 4)
    await taker.stop()
    await giver.stop()
    counts = {place[1]: values for place, values in log.finals().items() if place[0] == "user_10s"}
    assert counts == {"u0": (4, 4.0), "u1": (4, 4.0)}
    assert landed_offsets(tmp_path, 0) == landed_offsets(tmp_path, 1) == [0, 1, 2, 3, 4]


async def test_assignment_without_a_partition_that_was_owned_forgets_it(tmp_path: Path) -> None:
    """The log has what was buffered of it; the one that stays keeps its buffers and its windows."""
    log = MemoryLog()
    life = Life(tmp_path, log)
    await life.open([(EVENTS.name, 0), (EVENTS.name, 1)])
    for partition in range(PARTITIONS):
        await life.feed(partition, [shopping(partition, 0)], 0)
    assert await life.open([(EVENTS.name, 1)]) == {(EVENTS.name, 1): 1}
    assert await life.open([(EVENTS.name, 0), (EVENTS.name, 1)]) == {(EVENTS.name, 0): 0, (EVENTS.name, 1): 1}
    await life.stop()


async def test_rebalance_in_the_middle_of_another_ends_what_that_one_has_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that slept through both finds them in the same moment, and what a thread has begun cannot be called back."""
    life = Life(tmp_path, MemoryLog())
    begun = threading.Event()
    recover = life.zone.recover

    def recover_slowly(topic: str, log: str, partition: int) -> int:
        begun.set()
        time.sleep(0.05)
        return recover(topic, log, partition)

    monkeypatch.setattr(life.zone, "recover", recover_slowly)
    opening = asyncio.create_task(life.open())
    await until(begun.is_set)
    await life.pipeline.release([(EVENTS.name, 0), (EVENTS.name, 1)])
    assert (await opening).keys() == {(topic, number) for topic in (EVENTS.name, PARTIALS.name) for number in (0, 1)}
    assert life.pipeline.positions().keys() == {(PARTIALS.name, 0), (PARTIALS.name, 1)}
    assert not life.pipeline.is_ready
    await life.stop()


async def test_assignment_that_is_given_up_half_way_leaves_nothing_that_is_old_when_the_partition_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faust cancels it when the next rebalance begins. Meanwhile another worker has landed more."""
    log = MemoryLog()
    life, other = Life(tmp_path, log), Life(tmp_path, log)
    begun = threading.Event()
    open_sink = life.lander.sink.open

    def open_slowly(*place: Any) -> None:
        begun.set()
        time.sleep(0.05)
        open_sink(*place)

    monkeypatch.setattr(life.lander.sink, "open", open_slowly)
    opening = asyncio.create_task(life.open([PLACE]))
    await until(begun.is_set)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await life.pipeline.release([PLACE])
    assert await other.open([PLACE]) == {PLACE: 0}
    await other.feed(0, [shopping(0, 0), shopping(1, 1)], 0)
    await other.stop()
    assert await life.open([PLACE]) == {PLACE: 2}
    await life.stop()


async def test_new_incarnation_of_the_events_begins_at_its_own_beginning(tmp_path: Path) -> None:
    """A broker that forgot its log starts a new one at 0: neither files nor windows of the old one are in its way."""
    log, broker = MemoryLog(), FixedIncarnations()
    first = Life(tmp_path, log, incarnations=broker)
    await first.open()
    await first.feed(0, [shopping(number, number) for number in range(3)], 0)
    await first.stop()
    broker.logs[EVENTS.name] = "log9"
    second = Life(tmp_path, log, incarnations=broker)
    assert (await second.open())[PLACE] == 0
    assert await second.feed(0, [shopping(9, 40)], 0) is Admission.TAKE
    await second.stop()
    assert second.zone.next_offset(EVENTS.name, "log9", 0) == 1
    assert second.saved(0, "log9") == 1


async def test_topic_that_only_lands_needs_no_checkpoint(tmp_path: Path) -> None:
    """Rejections have no windows: their files alone are their position."""
    life = Life(tmp_path, MemoryLog(), landed_topics=(EVENTS.name, REJECTED.name))
    place = (REJECTED.name, 0)
    assert await life.open([place]) == {place: 0}
    assert await life.take(a_batch([(0, b"foreign")], start=0, next_offset=1, topic=REJECTED.name)) is Admission.TAKE
    await life.stop()
    assert not (tmp_path / "state").exists()
    second = Life(tmp_path, MemoryLog(), landed_topics=(EVENTS.name, REJECTED.name))
    assert await second.open([place]) == {place: 1}
    await second.kill()


async def test_worker_that_keeps_windows_only_lands_nothing(tmp_path: Path) -> None:
    """For measurements: the checkpoint alone is the position."""
    log = MemoryLog()
    life = Life(tmp_path, log, landed_topics=())
    await life.open()
    await life.feed(0, [shopping(0, 0), shopping(1, 30)], 0)
    await life.stop()
    assert not (tmp_path / EVENTS.name).exists()
    assert log.finals()
    second = Life(tmp_path, log, landed_topics=())
    assert (await second.open())[PLACE] == 2
    await second.kill()


async def test_checkpoint_of_a_partition_that_is_older_than_its_ids_is_no_obstacle(tmp_path: Path) -> None:
    """A worker may die between the ids and the state of a checkpoint: the next one counts each id once."""
    log = MemoryLog()
    first = Life(tmp_path, log)
    await first.open([PLACE])
    await first.feed(0, [shopping(0, 0), shopping(1, 1)], 0)
    await first.stop()
    state = sorted((tmp_path / "state").rglob("part=0/*.arrow"))[-1]
    state.unlink()
    second = Life(tmp_path, log)
    await second.open([PLACE])
    assert second.saved(0) == Checkpoint.empty(EVENTS.name, 0).next_offset
    await second.feed(0, [shopping(0, 0), shopping(1, 1), shopping(1, 1), shopping(2, 30)], 0)
    await second.stop()
    counts = [values[0] for place, values in log.finals().items() if place[0] == "user_10s"]
    assert counts == [2]
    assert (PARTIALS.name, 0) not in second.pipeline.positions()
