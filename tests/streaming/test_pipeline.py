"""Each step takes each offset once, whatever is repeated, lost, kept or killed; a second life goes on as one would."""

import asyncio
import datetime as dt
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.exposition import generate_latest

from platform_assets.contracts.rejections import decode_rejection
from platform_assets.contracts.topics import EVENTS
from platform_assets.contracts.windows import LateEvent, WindowDefinition, WindowType
from resources.landing_zone import LandingZone
from streaming import emitter, pipeline
from streaming.decoders import ahead
from streaming.decoders.process import DecoderGone
from streaming.decoding import DecodedBatch, decode_events_together
from streaming.record_batch import RecordBatch
from streaming.sink import Admission, Limits
from tests.streaming.lives import (
    EVENTS_LOG,
    PARTITIONS,
    Life,
    MemoryLog,
    Place,
    shopping,
    until,
)
from tests.streaming_records import a_batch, at

PLACE = (EVENTS.name, 0)
EVERY_ROW = Limits(file_rows=1, file_age_s=1e9, buffer_bytes=1 << 40)


@pytest.fixture(autouse=True, scope="module")
def retries_come_soon() -> Iterator[None]:
    """Half a second for each time that the broker is away would be most of what these tests take."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (emitter, pipeline):
            patch.setattr(module, "FIRST_RETRY_S", 0.001)
        yield


def landed_offsets(root: Path, partition: int = 0) -> list[int]:
    """The offsets in a partition's files, in the order of the files, which have to follow on each other."""
    zone = LandingZone(root)
    zone.check(EVENTS.name, EVENTS_LOG, partition)
    files = [file for file in zone.files(EVENTS.name, EVENTS_LOG) if file.partition == partition]
    tables = [pq.read_table(root / file.path, columns=["kafka_offset"]) for file in files]
    return [] if not tables else pa.concat_tables(tables)["kafka_offset"].to_pylist()


async def test_batch_is_refused_where_it_leaves_a_gap_repeats_or_is_not_of_an_owned_partition(tmp_path: Path) -> None:
    """The caller seeks back after a gap; nothing of a refused batch is rejected, counted or landed."""
    log = MemoryLog()
    life = Life(tmp_path, log)
    await life.open([PLACE])
    poison = a_batch([(5, b"junk")], start=5, next_offset=6)
    assert await life.take(poison) is Admission.GAP
    assert log.rejections == []
    assert await life.feed(0, [shopping(0, 0), shopping(1, 1)], 0) is Admission.TAKE
    assert await life.feed(0, [shopping(0, 0)], 0) is Admission.REPEATED
    assert await life.feed(1, [shopping(0, 0)], 0) is Admission.NOT_OWNED
    assert life.pipeline.positions() == {PLACE: 2}
    assert life.pipeline.owned.report()[0]["position"] == 2
    await life.pipeline.release([PLACE])
    assert await life.feed(0, [shopping(2, 2)], 2) is Admission.NOT_OWNED
    assert life.pipeline.positions() == {}
    await life.stop()


async def test_rejections_are_acknowledged_before_the_rows_that_cover_them_are_buffered(tmp_path: Path) -> None:
    """A poison record is on the rejected topic when the name of a file can first cover its offset."""
    log = MemoryLog()
    life = Life(tmp_path, log)
    await life.open([PLACE])
    positions: list[dict[Any, int]] = []
    log.on_append = lambda: positions.append(life.pipeline.positions())
    batch = a_batch([(0, shopping(0, 0)), (1, b"junk"), (2, shopping(2, 2))], start=0, next_offset=3)
    assert await life.take(batch) is Admission.TAKE
    assert positions == [{PLACE: 0}]
    ((_, record),) = log.rejections
    rejection = decode_rejection(record)
    assert (rejection.source_log, rejection.source_partition, rejection.source_offset) == (EVENTS_LOG, 0, 1)
    assert life.pipeline.positions() == {PLACE: 3}
    log.on_append = lambda: None
    await life.stop()
    assert landed_offsets(tmp_path) == [0, 2]


async def test_batches_with_and_without_rejections_are_counted_once_and_refused_ones_not(tmp_path: Path) -> None:
    """The lag follows every batch that was taken, also one whose rejections had to be acknowledged first."""
    life = Life(tmp_path, MemoryLog())
    await life.open([PLACE])
    await life.feed(0, [shopping(0, 0), shopping(1, 1)], 0)
    await life.take(a_batch([(2, b"junk"), (3, shopping(3, 3))], start=2, next_offset=4))
    await life.feed(0, [shopping(0, 0)], 0)
    await life.feed(0, [shopping(9, 9)], 9)
    page = generate_latest(life.metrics.registry).decode()
    for name, value in (("events_total", 4.0), ("rejected_total", 1.0), ("lag_events", 0.0)):
        assert f'analytics_stream_{name}{{partition="0",topic="events.v1"}} {value}' in page
    assert life.pipeline.owned.position(PLACE) == 4
    await life.stop()


async def test_batch_of_nothing_but_poison_moves_every_step_past_it(tmp_path: Path) -> None:
    """With an empty file and a checkpoint, so that a restart does not begin with it again."""
    log = MemoryLog()
    life = Life(tmp_path, log)
    await life.open([PLACE])
    await life.take(a_batch([(0, b"junk"), (1, b"junk")], start=0, next_offset=2))
    await life.stop()
    assert len(log.rejections) == 2
    second = Life(tmp_path, log)
    assert await second.open([PLACE]) == {PLACE: 2}
    await second.kill()


async def test_batch_waits_for_the_rejected_topic_and_is_not_taken_before(tmp_path: Path) -> None:
    """The broker is away at first; the rejection is tried again, and the batch is taken once it is acknowledged."""
    log = MemoryLog()
    life = Life(tmp_path, log)
    await life.open([PLACE])
    log.failures = 1
    assert await life.take(a_batch([(0, b"junk")], start=0, next_offset=1)) is Admission.TAKE
    assert len(log.rejections) == 1
    await life.stop()


async def test_batch_is_given_up_when_the_worker_must_stop_before_its_rejections_are_acknowledged(
    tmp_path: Path,
) -> None:
    """Stopping does not wait for a broker that is away, and does not cover what was not rejected yet."""
    log = MemoryLog()
    life = Life(tmp_path, log)
    await life.open([PLACE])
    log.failures = 1000
    calls = 0

    def count() -> None:
        nonlocal calls
        calls += 1

    log.on_append = count
    taking = asyncio.create_task(life.take(a_batch([(0, b"junk")], start=0, next_offset=1)))
    await until(lambda: calls > 0)
    life.gives_up = True
    assert await asyncio.wait_for(taking, 5) is Admission.NOT_OWNED
    await life.stop()
    assert landed_offsets(tmp_path) == []
    assert life.zone.files(EVENTS.name) == []


# A user's events stand on one partition; stores have events on both. Some come late, some twice, some are poison.
def random_events(rng: random.Random, partition: int, count: int) -> list[bytes]:
    """The records of one partition."""
    values: list[bytes] = []
    second = 0.0
    for number in range(count):
        second += rng.choice([0, 0.2, 1, 1, 7])
        if values and rng.random() < 0.1:
            values.append(rng.choice(values))
            continue
        if rng.random() < 0.03:
            values.append(b"junk")
            continue
        delay = rng.choice([0, 0, 0, 1.5, 12])
        values.append(
            shopping(
                1000 * partition + number,
                second - delay,
                user=f"u{partition}{rng.randint(0, 2)}",
                store=rng.choice("ab"),
                # Sums of these differ in their last bit where the order of additions does.
                price=rng.choice([0.1, 0.2, 0.7, 1e9, 3.3]),
            )
        )
    return values


class Outcome:
    """What a stream has made of the world, to be compared."""

    def __init__(self, root: Path, log: MemoryLog) -> None:
        self.finals: dict[Place, tuple[Any, ...]] = log.finals()
        self.late: set[LateEvent] = log.late()
        self.rejected = {key for key, _ in log.rejections}
        self.landed = [landed_offsets(root, partition) for partition in range(PARTITIONS)]


async def uninterrupted(streams: list[list[bytes]]) -> Outcome:
    """One life that takes everything in one batch per partition."""
    with TemporaryDirectory() as folder:
        log = MemoryLog()
        life = Life(Path(folder), log)
        await life.open()
        for partition, values in enumerate(streams):
            await life.feed(partition, values, 0)
        await finish(life)
        return Outcome(Path(folder), log)


async def finish(life: Life) -> None:
    """Tell everything, merge what was told, and end in good order."""
    await life.pipeline.release([(EVENTS.name, partition) for partition in range(PARTITIONS)])
    await life.merge()
    await life.stop()


async def with_deaths(streams: list[list[bytes]], rng: random.Random, *, in_good_order: bool) -> Outcome:
    """Several lives, ended at any moment, over logs that each life cuts into batches in its own way."""
    with TemporaryDirectory() as folder:
        root, log = Path(folder), MemoryLog()
        log.stores_half_of_what_fails = True
        ends = [len(values) for values in streams]
        for number in range(4):
            is_last = number == 3
            limits = Limits(file_rows=rng.choice([1, 7, 50]), file_age_s=1e9, buffer_bytes=1 << 40)
            life = Life(root, log, limits=limits, checkpoint_interval_s=rng.choice([0.0, 0.0, 0.02, 1e9]))
            positions = await life.open()
            life.run()
            if rng.random() < 0.3:
                log.failures = 1
            positions = {place: position for place, position in positions.items() if place[0] == EVENTS.name}
            steps = 1_000_000 if is_last else rng.randint(0, 12)
            while steps and (left := [place for place, upto in positions.items() if upto < ends[place[1]]]):
                steps -= 1
                place = rng.choice(left)
                partition = place[1]
                start = positions[place]
                upto = min(ends[partition], start + rng.choice([1, 3, 10, 40]))
                if rng.random() < 0.15:  # a batch that was lost on the way, and the one after it
                    await life.feed(partition, streams[partition][upto:], upto)
                assert await life.feed(partition, streams[partition][start:upto], start) is Admission.TAKE
                positions[place] = upto
                if rng.random() < 0.3:
                    await asyncio.sleep(rng.choice([0, 0.002, 0.01]))
                if rng.random() < 0.3:
                    await life.merge()
            log.failures = 0
            if is_last:
                await finish(life)
                await life.kill()
            elif in_good_order:
                await life.stop()
            else:
                await life.kill()
        return Outcome(root, log)


def assert_same(found: Outcome, wanted: Outcome) -> None:
    assert found.landed == wanted.landed
    assert found.rejected == wanted.rejected
    assert found.late == wanted.late
    assert found.finals == wanted.finals


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_lives_that_end_in_good_order_make_what_one_life_would_have_made(seed: int) -> None:
    """Release lands, publishes and saves: the next worker on the same folder takes no record a second time."""
    rng = random.Random(seed)  # noqa: S311
    streams = [random_events(rng, partition, rng.randint(20, 80)) for partition in range(PARTITIONS)]

    async def compare() -> None:
        assert_same(await with_deaths(streams, rng, in_good_order=True), await uninterrupted(streams))

    asyncio.run(compare())


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_lives_that_are_killed_anywhere_make_what_one_life_would_have_made(seed: int) -> None:
    """Final windows, late events, rejections and landed rows, whatever was saved, landed or told when it died."""
    rng = random.Random(seed)  # noqa: S311
    streams = [random_events(rng, partition, rng.randint(20, 80)) for partition in range(PARTITIONS)]

    async def compare() -> None:
        assert_same(await with_deaths(streams, rng, in_good_order=False), await uninterrupted(streams))

    asyncio.run(compare())


QUICK = tuple(
    WindowDefinition(name=name, key_field="user_id", window_type=window_type, size_ms=size_ms)
    for name, window_type, size_ms in (("quick", WindowType.TUMBLING, 30), ("quick_session", WindowType.SESSION, 20))
)


async def under_a_clock(streams: list[list[bytes]], rng: random.Random) -> MemoryLog:
    """Lives that are killed while the clock closes windows of milliseconds in the pauses, and one that is not."""
    with TemporaryDirectory() as folder:
        root, log = Path(folder), MemoryLog()
        log.stores_half_of_what_fails = True
        for number in range(6):
            life = Life(
                root,
                log,
                definitions=QUICK,
                limits=EVERY_ROW,
                checkpoint_interval_s=rng.choice([0.0, 0.03, 1e9]),
                idle_timeout_s=0.01,
            )
            positions = await life.open([(EVENTS.name, partition) for partition in range(PARTITIONS)])
            life.run()
            log.failures = rng.choice([0, 0, 1])
            steps = 1_000_000 if number == 5 else rng.randint(1, 8)
            while steps and (left := [place for place, upto in positions.items() if upto < len(streams[place[1]])]):
                steps -= 1
                place = rng.choice(left)
                values = streams[place[1]][positions[place] :][: rng.choice([1, 4, 15])]
                assert await life.feed(place[1], values, positions[place]) is Admission.TAKE
                positions[place] += len(values)
                await asyncio.sleep(rng.choice([0, 0, 0.005, 0.03, 0.06]))
            log.failures = 0
            if number == 5:
                await life.stop()
            else:
                await life.kill()
        return log


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_each_event_counts_once_or_is_late_once_whatever_the_clock_closed_before_a_death(seed: int) -> None:
    """What silence closes depends on when; it is never told in two ways, and no event is in two windows or in none."""
    rng = random.Random(seed)  # noqa: S311
    streams = list[list[bytes]]()
    for partition in range(PARTITIONS):
        second, values = 0.0, list[bytes]()
        for number in range(rng.randint(5, 60)):
            second += rng.choice([0, 0.002, 0.004, 0.03])
            moment = second - rng.choice([0, 0, 0.01, 0.04])
            values.append(shopping(1000 * partition + number, moment, user=f"u{partition}{rng.randint(0, 1)}"))
        # These end everything before them, and nothing ends theirs.
        values += [shopping(1000 * partition + 900 + end, 86_400, user=f"u{partition}0") for end in range(2)]
        streams.append(values)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(emitter, "TICK_S", 0.005)
        log = asyncio.run(under_a_clock(streams, rng))
    last_ms = int(at(86_400).timestamp() * 1000)
    late = {event for event in log.late() if event.occurred_ms < last_ms}
    assert len({(event.source_partition, event.source_offset) for event in late}) == len(late)
    finals = log.finals()
    for definition in QUICK:
        counted = sum(
            row[0] for place, row in finals.items() if place[0] == definition.name and place[2] < last_ms - 10
        )
        missed = sum(definition.name in event.windows for event in late)
        assert counted + missed == sum(len(values) - 2 for values in streams)


class FleetingDecoder:
    """Decodes as the processes do, in this one; is gone each time that `dies` says so."""

    pid = None

    def __init__(self, dies: Callable[[], bool]) -> None:
        self.decoded = 0
        self.lanes = [self]
        self._dies = dies

    def start(self) -> None:
        """Nothing to start."""

    def decode(self, batches: Sequence[RecordBatch], log: str, now: dt.datetime) -> list[DecodedBatch]:
        if self._dies():
            raise DecoderGone("killed")
        self.decoded += len(batches)
        return decode_events_together(batches, log, now)

    def close(self) -> None:
        """Nothing to end."""


async def test_backlog_that_fleeting_processes_decode_gives_what_the_worker_gives_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same rows, rejections and windows, wherever each batch was decoded."""
    for name, value in {
        "START_RECORDS": 1,
        "BACKLOG_RECORDS": 1,
        "LEAST_RECORDS": 1,
        "BEHIND_S": 0.0,
        "RETRY_S": 0.0,
    }.items():
        monkeypatch.setattr(ahead, name, value)
    # No more than a batch in a pack, so that many packs wait.
    monkeypatch.setattr(pipeline, "MAX_TOGETHER", 40)
    choices = random.Random(4)  # noqa: S311 - the seed repeats the run
    values = [
        b"junk"
        if choices.random() < 0.02
        else shopping(number, number / 20, user=f"u{number % PARTITIONS}{choices.randrange(9)}")
        for number in range(4_000)
    ]
    outcomes = []
    decoders = [FleetingDecoder(lambda: choices.random() < 0.2) for _ in range(2)]
    for folder, processes in (("alone", []), ("beside", decoders)):
        log = MemoryLog()
        life = Life(tmp_path / folder, log, decoder_processes=processes)
        await life.open()
        life.run()
        for begin in range(0, len(values) // 2, 40):
            for partition in range(PARTITIONS):
                found = values[partition::PARTITIONS][begin : begin + 40]
                numbered = list(enumerate(found, begin))
                batch = a_batch(numbered, start=begin, next_offset=begin + len(found), partition=partition)
                await life.pipeline.put(batch)
        ends = [2_000] * PARTITIONS
        while [life.pipeline.owned.position((EVENTS.name, number)) for number in range(PARTITIONS)] != ends:
            await asyncio.sleep(0.005)
        await life.stop()
        rejected = {
            (one.source_partition, one.source_offset) for _, value in log.rejections if (one := decode_rejection(value))
        }
        landed = [landed_offsets(tmp_path / folder, partition) for partition in range(PARTITIONS)]
        outcomes.append((log.finals(), rejected, landed))
    assert outcomes[0] == outcomes[1]
    assert len(outcomes[0][1]) > 40
    assert all(decoder.decoded > 5 for decoder in decoders)
