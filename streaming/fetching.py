"""Takes whole partition fetches out of aiokafka's fetcher, without an object of aiokafka's per record.

This mirrors `Fetcher.fetched_records` and `PartitionRecords._unpack_records` of aiokafka; building their ConsumerRecord
for every record is where a stock consumer's time goes. It runs on the consumer's own thread and event loop.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from aiokafka.consumer import fetcher as internals
from aiokafka.errors import CorruptRecordException, NoOffsetForPartitionError, OffsetOutOfRangeError

from streaming.gaps import Gaps
from streaming.hearing import Hearing
from streaming.pacing import Pacing
from streaming.record_batch import LogRecord, RecordBatch

# A new leader may answer with an older high watermark for a moment; a position that stays past it is past the end.
PAST_THE_END_GRACE_S = 3.0


class PositionOutsideLog(RuntimeError):
    """The partition's log does not have the position that the landed files lead to."""


def drain(
    result: Any, topic_partition: Any, max_records: int, may_pass: Callable[[int], bool] = lambda offset: True
) -> RecordBatch | None:
    """Turn a finished fetch into one batch of about `max_records` (whole batches of the producer's are never cut).

    `may_pass` is asked about an offset at which records are missing. If it says no the batch ends there, and what
    follows is fetched again.

    Returns:
        None where nothing was consumed: the partition was revoked or sought elsewhere meanwhile, or records are
        missing right at its position.

    Raises:
        CorruptRecordException: a checksum is wrong. Nothing is consumed.
    """
    unread = result._partition_records
    if unread is not None:
        # A generator that is never begun and refers to its owner. With it what one fetch brought lay about until the
        # garbage collector came by: 300 MB of buffers after a minute at 100,000 events/s.
        unread._records_iterator = None
    if not result.check_assignment(topic_partition) or not result.has_more():
        return None
    start: int = unread.next_fetch_offset
    records: list[LogRecord] = []
    is_cut = False
    while unread._records.has_next() and len(records) < max_records:
        chunk = unread._records.next_batch()
        is_cut = _first_offset(chunk) > unread.next_fetch_offset and not may_pass(unread.next_fetch_offset)
        if is_cut:
            break
        if unread._check_crcs and not chunk.validate_crc():
            raise CorruptRecordException(f"Invalid CRC - {topic_partition}")
        if not _is_invisible(unread, chunk):
            found = list(chunk)
            if found and found[0].offset < unread.next_fetch_offset:
                found = [record for record in found if record.offset >= unread.next_fetch_offset]
            records += found
        unread.next_fetch_offset = chunk.next_offset
    next_offset: int = unread.next_fetch_offset
    result._update_position()
    if is_cut or not unread._records.has_next():
        result._partition_records = None
    if next_offset == start:
        return None
    high_watermark = result._assignment.state_value(topic_partition).highwater
    return RecordBatch(topic_partition.topic, topic_partition.partition, start, next_offset, records, high_watermark)


def _first_offset(chunk: Any) -> int:
    """Where a batch begins; -1 for one of a format before Kafka 0.11, which does not say."""
    return getattr(chunk, "base_offset", -1)


def _is_invisible(unread: Any, chunk: Any) -> bool:
    """Transaction markers always, and what an aborted transaction wrote when reading committed records only."""
    if unread._isolation_level == internals.READ_COMMITTED and chunk.producer_id is not None:
        unread._consume_aborted_up_to(chunk.base_offset)
        if chunk.is_control_batch and unread._contains_abort_marker(chunk):
            unread._aborted_producers.discard(chunk.producer_id)
        if chunk.is_transactional and chunk.producer_id in unread._aborted_producers:
            return True
    return bool(chunk.is_control_batch)


class BatchFetcher:
    """`fetched_records` for partitions whose records travel in batches; other topics are left as aiokafka has them."""

    def __init__(self, pace_s: Mapping[str, float], max_records: int, pass_s: Callable[[], float]) -> None:
        """`pace_s` has the topics, each with the time between two small batches of one of its partitions, and `pass_s`
        says how long a pass over such batches takes lately (`pacing`).

        For that time the partition is paused: records that are left with aiokafka instead would keep it, for up to
        200 ms, from asking the broker for those of any other partition.
        """
        self._pace_s = pace_s
        self._max_records = max_records
        self._pacing = Pacing(pace_s, pass_s)
        self._past_the_end_since: dict[Any, float] = {}
        self.hearing = Hearing()
        self._gaps = Gaps(self.hearing.heard_for_s)

    async def fetched(
        self, fetcher: Any, partitions: Collection[Any] | None, patience_s: float, max_records: int | None
    ) -> dict[Any, list[Any]]:
        """What has arrived by now, or arrives within `patience_s`: one RecordBatch per partition.

        Raises:
            PositionOutsideLog: the position of a partition is before its first record or past its end.
        """
        deadline = time.monotonic() + patience_s
        while True:
            if fetcher._subscriptions.reassignment_in_progress:
                await fetcher._subscriptions.wait_for_assignment()
            self._note_answers(fetcher)
            resumes_in_s = self._resume_due(fetcher)
            if not fetcher._in_flight:
                # A partition that resumes in the moment in which an answer comes makes aiokafka's routine believe that
                # it still waits for that answer. It asked for nothing then for 200 ms, once in five seconds.
                fetcher._notify(fetcher._wait_consume_future)
            taken = self._take(fetcher, partitions, max_records)
            if taken:
                self._pause_along(fetcher)
                return taken
            self._check_ends(fetcher)
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return {}
            waiter = fetcher._create_fetch_waiter()
            done, pending = await asyncio.wait([waiter], timeout=min(remaining, resumes_in_s))
            for future in pending:
                future.cancel()
            if fetcher._closed:
                return {}
            if done:
                waiter.result()

    def _resume_due(self, fetcher: Any) -> float:
        """Resume the partitions whose turn has come; returns the seconds until the next one."""
        now = time.monotonic()
        assignment = fetcher._subscriptions.subscription.assignment
        for place in self._pacing.due(now):
            if assignment is not None and place in assignment.tps:
                assignment.state_value(place).resume()
        return self._pacing.next_in_s(now)

    def _pause(self, fetcher: Any, place: Any, records: int) -> None:
        if self._pacing.wait(place, records, time.monotonic()):
            fetcher._subscriptions.subscription.assignment.state_value(place).pause()

    def _pause_along(self, fetcher: Any) -> None:
        """Have the next request wait until it may ask for everything.

        A broker answers one request after the other: asked meanwhile for those partitions that have brought nothing, it
        would wait for their records, and those whose turn comes with it.
        """
        assignment = fetcher._subscriptions.subscription.assignment
        for place in assignment.tps if assignment is not None else ():
            state = assignment.state_value(place)
            is_free = place.topic in self._pace_s and place not in fetcher._records and not state.paused
            if is_free and self._pacing.wait_along(place):
                state.pause()

    def _take(self, fetcher: Any, partitions: Collection[Any] | None, max_records: int | None) -> dict[Any, list[Any]]:
        taken: dict[Any, list[Any]] = {}
        for place in list(fetcher._records):
            if partitions and place not in partitions:
                if not fetcher._subscriptions.is_assigned(place):
                    del fetcher._records[place]
                continue
            result = fetcher._records[place]
            if type(result) is not internals.FetchResult:
                if taken:
                    return taken  # the error is raised by the next call
                self._discard(fetcher, place)
                self._raise(fetcher, place, result)
                continue
            if place.topic in self._pace_s:
                batch = drain(result, place, self._max_records, partial(self._gaps.may_pass, place))
                found: list[Any] = [] if batch is None else [batch]
                if batch is not None:
                    self._gaps.read(place, batch.next_offset)
            else:
                found = result.getall(max_records)
            if not result.has_more():
                if place.topic in self._pace_s and (found or self._gaps.stands_before_one(place)):
                    self._pause(fetcher, place, sum(len(batch.records) for batch in found))
                self._discard(fetcher, place)
            if found:
                taken[place] = found
        return taken

    @staticmethod
    def _discard(fetcher: Any, place: Any) -> None:
        del fetcher._records[place]
        fetcher._notify(fetcher._wait_consume_future)

    def _raise(self, fetcher: Any, place: Any, failed: Any) -> None:
        try:
            failed.check_raise()
        except NoOffsetForPartitionError:
            # Noted between the assignment and our seek: with no group offset aiokafka had nowhere to start. The call
            # that finds it may have begun before the rebalance, so that the seek is still to come or is long done.
            if place.topic not in self._pace_s:
                raise
        except OffsetOutOfRangeError as error:
            raise PositionOutsideLog(
                f"{place.topic}[{place.partition}] does not hold the position that its landed files lead to ({error}): "
                "either retention removed records before they had landed, or the log was cut. Compare the log's first "
                "and last offset with the newest file of the partition."
            ) from error

    def _note_answers(self, fetcher: Any) -> None:
        assignment = fetcher._subscriptions.subscription.assignment
        for place in assignment.tps if assignment is not None else ():
            answered_ms = assignment.state_value(place).timestamp
            if answered_ms is not None:
                self.hearing.note((place.topic, place.partition), answered_ms)

    def _check_ends(self, fetcher: Any) -> None:
        """A fetch past the end is an error on Kafka; the embedded broker answers it with nothing, for ever."""
        assignment = fetcher._subscriptions.subscription.assignment
        for place in assignment.tps if assignment is not None else ():
            state = assignment.state_value(place)
            if place.topic not in self._pace_s or not state.has_valid_position or state.highwater is None:
                continue
            if state.position <= state.highwater:
                self._past_the_end_since.pop(place, None)
                continue
            since = self._past_the_end_since.setdefault(place, time.monotonic())
            if time.monotonic() - since >= PAST_THE_END_GRACE_S:
                raise PositionOutsideLog(
                    f"{place.topic}[{place.partition}]: the landed files lead to offset {state.position}, but the log "
                    f"ends at {state.highwater}. The broker lost records or was restored from an older copy; bring "
                    "back its data, or start a new incarnation of the topic."
                )
