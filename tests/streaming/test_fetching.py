"""Fetches become batches that cover exactly what was fetched, on aiokafka's real record classes."""

import asyncio
import gc
import time
import weakref
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_UNCOMMITTED, FetchResult, PartitionRecords
from aiokafka.consumer.subscription_state import Assignment
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from streaming import fetching
from streaming.fetching import BatchFetcher, PositionOutsideLog, drain

PLACE = TopicPartition("events.v1", 0)


def stored(offsets: Sequence[int], *, control: bool = False, codec: int = 0) -> bytes:
    """The bytes of one record batch as a broker stores it."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=codec,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1 << 20,
    )
    for offset in offsets:
        builder.append(
            offset - offsets[0],
            timestamp=1000 + offset,
            key=b"k%d" % offset,
            value=b"v%d" % offset,
            headers=[("h", b"%d" % offset)],
        )
    raw = bytearray(builder.build())
    raw[0:8] = offsets[0].to_bytes(8, "big")  # the base offset is outside the checksum
    if control:
        raw[22] |= 0x20  # attributes, low byte
    return bytes(raw)


async def fetched(raw: bytes, position: int, *, check_crcs: bool = False) -> tuple[FetchResult, Any]:
    assignment = Assignment([PLACE])
    state = assignment.state_value(PLACE)
    state.seek(position)
    state.highwater = 100
    records = PartitionRecords(PLACE, MemoryRecords(raw), [], position, None, None, check_crcs, READ_UNCOMMITTED)
    return FetchResult(PLACE, partition_records=records, assignment=assignment, backoff=0), state


def a_fetcher(
    assignment: Assignment, records: dict[Any, Any], notify: Callable[[object], None] = lambda _: None
) -> Any:
    """What is used of aiokafka's fetcher, with these answers of the broker and no other to come."""
    return SimpleNamespace(
        _records=records,
        _closed=False,
        _in_flight=set(),
        _wait_consume_future="routine",
        _notify=notify,
        _subscriptions=SimpleNamespace(
            reassignment_in_progress=False, subscription=SimpleNamespace(assignment=assignment)
        ),
        _create_fetch_waiter=lambda: asyncio.get_running_loop().create_future(),
    )


async def test_drain_carries_offsets_keys_headers_and_times_of_every_record() -> None:
    """Nothing of a record is lost by batching it."""
    result, state = await fetched(stored([5, 6, 7]), 5)
    batch = drain(result, PLACE, 1000)
    assert batch is not None
    assert (batch.start, batch.next_offset, batch.high_watermark) == (5, 8, 100)
    assert (batch.offsets.tolist(), batch.values, batch.keys) == (
        [5, 6, 7],
        [b"v5", b"v6", b"v7"],
        [b"k5", b"k6", b"k7"],
    )
    assert list(batch.headers[1]) == [("h", b"6")]
    assert batch.timestamps_ms == [1005, 1006, 1007]
    assert state.position == 8
    assert not result.has_more()


async def test_drained_fetch_is_freed_without_the_garbage_collector() -> None:
    """A fetch holds its buffer; those that wait for a collection were most of the worker's memory."""
    result, _ = await fetched(stored([5, 6, 7]), 5)
    unread = weakref.ref(result._partition_records)
    gc.disable()
    try:
        batch = drain(result, PLACE, 1000)
        assert batch is not None
        assert unread() is None
    finally:
        gc.enable()


async def test_void_fetch_is_freed_without_the_garbage_collector() -> None:
    """So is one whose partition was sought elsewhere meanwhile."""
    result, state = await fetched(stored([5, 6, 7]), 5)
    unread = weakref.ref(result._partition_records)
    gc.disable()
    try:
        state.seek(50)
        assert drain(result, PLACE, 1000) is None
        assert unread() is None
    finally:
        gc.enable()


async def test_drain_leaves_out_records_before_the_position_and_covers_gaps() -> None:
    """A fetch from the middle of a stored batch brings all of it; what the log skips is covered."""
    result, _ = await fetched(stored([5, 6, 7]) + stored([10, 12]), 6)
    batch = drain(result, PLACE, 1000)
    assert batch is not None
    assert (batch.start, batch.next_offset, batch.offsets.tolist()) == (6, 13, [6, 7, 10, 12])


async def test_drain_ends_before_missing_records_and_goes_on_behind_them_once_it_may() -> None:
    """The embedded broker may show what follows first; to go on would lose what was acknowledged."""
    asked: list[int] = []
    answers = iter([False, False, True])

    def may_pass(offset: int) -> bool:
        asked.append(offset)
        return next(answers)

    result, state = await fetched(stored([5, 6, 7]) + stored([10, 12]), 5)
    batch = drain(result, PLACE, 1000, may_pass)
    assert batch is not None
    assert (batch.next_offset, batch.offsets.tolist(), state.position) == (8, [5, 6, 7], 8)
    assert not result.has_more()
    result, state = await fetched(stored([10, 12]), 8)
    assert drain(result, PLACE, 1000, may_pass) is None
    assert (state.position, result.has_more()) == (8, False)
    result, state = await fetched(stored([10, 12]), 8)
    batch = drain(result, PLACE, 1000, may_pass)
    assert batch is not None
    assert (batch.start, batch.next_offset, batch.offsets.tolist(), asked) == (8, 13, [10, 12], [8, 8, 8])


async def test_records_that_are_missing_are_fetched_until_they_are_there() -> None:
    """The partition rests in between, and what comes out follows on itself."""
    assignment = Assignment([PLACE])
    state = assignment.state_value(PLACE)
    state.seek(0)
    batches = BatchFetcher({PLACE.topic: 0.02}, 1000, lambda: 0.0)
    taken = []
    for raw in (
        stored([0, 1]) + stored([4, 5]),
        stored([4, 5]),
        stored([2, 3]) + stored([4, 5]),
    ):
        records = PartitionRecords(PLACE, MemoryRecords(raw), [], state.position, None, None, False, READ_UNCOMMITTED)
        state.highwater = 6
        answer = FetchResult(PLACE, partition_records=records, assignment=assignment, backoff=0)
        found = await batches.fetched(a_fetcher(assignment, {PLACE: answer}), None, 0.01, None)
        taken += [batch.offsets.tolist() for batch in found.get(PLACE, [])]
        assert state.paused
        while state.paused:
            await batches.fetched(a_fetcher(assignment, {}), None, 0.01, None)
    assert taken == [[0, 1], [2, 3, 4, 5]]


async def test_drain_covers_transaction_markers_without_records() -> None:
    """A marker moves the position, so the batch after it starts where this one ended."""
    result, state = await fetched(stored([5], control=True), 5)
    batch = drain(result, PLACE, 1000)
    assert batch is not None
    assert (batch.start, batch.next_offset, batch.values) == (5, 6, [])
    assert state.position == 6


async def test_drain_stops_at_its_bound_and_goes_on_where_it_stopped() -> None:
    """Consecutive batches of one fetch follow on each other."""
    result, _ = await fetched(stored([0, 1]) + stored([2, 3]) + stored([4, 5]), 0)
    first, second = drain(result, PLACE, 3), drain(result, PLACE, 3)
    assert first is not None
    assert second is not None
    assert (first.offsets.tolist(), second.offsets.tolist(), second.start) == ([0, 1, 2, 3], [4, 5], first.next_offset)


async def test_drain_drops_a_fetch_whose_partition_was_sought_elsewhere() -> None:
    """The records would be of another position."""
    result, state = await fetched(stored([5]), 5)
    state.seek(0)
    assert drain(result, PLACE, 1000) is None
    assert not result.has_more()


async def test_drain_refuses_a_wrong_checksum_and_consumes_nothing() -> None:
    """The position stays, so the records are fetched again."""
    raw = bytearray(stored([0, 1]) + stored([2, 3]))
    raw[-1] ^= 0xFF
    result, state = await fetched(bytes(raw), 0, check_crcs=True)
    with pytest.raises(CorruptRecordException):
        drain(result, PLACE, 1000)
    assert state.position == 0
    assert drain(result, PLACE, 1000) is None


async def test_fetching_raises_when_the_position_stays_past_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded broker answers such a fetch with nothing, for ever: that must not look like a quiet topic."""
    monkeypatch.setattr(fetching, "PAST_THE_END_GRACE_S", 0.2)
    assignment = Assignment([PLACE])
    state = assignment.state_value(PLACE)
    state.seek(50)
    state.highwater = 20
    fetcher = a_fetcher(assignment, {})
    batches = BatchFetcher({PLACE.topic: 0.0}, 1000, lambda: 0.0)
    assert await batches.fetched(fetcher, {PLACE}, 0.01, None) == {}
    time.sleep(0.25)  # noqa: ASYNC251 - nothing else runs on this loop
    with pytest.raises(PositionOutsideLog, match=r"lead to offset 50.*ends at 20"):
        await batches.fetched(fetcher, {PLACE}, 0.01, None)


async def test_partition_rests_between_two_batches_and_is_asked_for_again() -> None:
    """It is paused, not left with its records; and a routine that asks for nothing is woken."""
    assignment = Assignment([PLACE])
    state = assignment.state_value(PLACE)
    state.seek(0)
    asked: list[object] = []
    fetcher = a_fetcher(assignment, {PLACE: (await fetched(stored([0, 1]), 0))[0]}, notify=asked.append)
    batches = BatchFetcher({PLACE.topic: 0.05}, 1000, lambda: 0.0)
    taken = await batches.fetched(fetcher, {PLACE}, 1.0, None)
    assert [batch.offsets.tolist() for batch in taken[PLACE]] == [[0, 1]]
    assert state.paused
    assert await batches.fetched(fetcher, {PLACE}, 0.1, None) == {}
    assert not state.paused
    assert fetcher._wait_consume_future in asked


async def test_partition_without_records_rests_until_the_turn_of_one_that_had_some() -> None:
    """A request for it alone would have the broker wait, and the other one's turn with it."""
    silent = TopicPartition(PLACE.topic, PLACE.partition + 1)
    assignment = Assignment([PLACE, silent])
    for place in (PLACE, silent):
        assignment.state_value(place).seek(0)
    fetcher = a_fetcher(assignment, {PLACE: (await fetched(stored([0, 1]), 0))[0]})
    batches = BatchFetcher({PLACE.topic: 0.05}, 1000, lambda: 0.0)
    assert list(await batches.fetched(fetcher, None, 1.0, None)) == [PLACE]
    assert assignment.state_value(silent).paused
    assert await batches.fetched(fetcher, None, 0.1, None) == {}
    assert not assignment.state_value(silent).paused
    assert not assignment.state_value(PLACE).paused
