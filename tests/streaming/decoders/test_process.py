"""The processes that decode for a worker: they say what it would say itself, and it notices when they cannot."""

import datetime as dt
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from platform_assets.contracts.event_schemas.compatibility import Compatibility
from platform_assets.contracts.events import encode_event
from resources.event_schemas.folder import SchemaFolder
from resources.event_schemas.registry import SchemaRegistry
from streaming.decoders.process import DecoderGone, DecoderProcess
from streaming.decoding import DecodedBatch, decode_events_together
from tests.odd_events import VARIANTS, with_field
from tests.streaming_records import NOW, a_batch, an_event, event_batch

LOG = "log1"
GOOD = encode_event(an_event("a"))
ODD = [with_field(GOOD, name, text) for name, texts in VARIANTS.items() for text in texts]
BATCHES = [
    event_batch(range(3), start=0, next_offset=3),
    a_batch(list(enumerate([b"junk", None, *ODD, GOOD], 10)), start=10, next_offset=10_000, partition=1),
    a_batch([], start=5, next_offset=7, partition=2),
]


@pytest.fixture
def process(tmp_path: Path) -> Iterator[DecoderProcess]:
    process = DecoderProcess(tmp_path / "schemas", land=True, area_bytes=4 << 20, patience_s=0.5)
    process.start()
    yield process
    process.close()


def check_same(found: Sequence[DecodedBatch] | None, wanted: Sequence[DecodedBatch]) -> None:
    assert found is not None
    for one, other in zip(found, wanted, strict=True):
        assert (one.topic, one.log, one.partition, one.start, one.next_offset) == (
            other.topic, other.log, other.partition, other.start, other.next_offset,
        )  # fmt: skip
        assert one.rejections == other.rejections
        assert one.rows == other.rows
        assert one.events is not None
        assert other.events is not None
        assert one.events.offsets.tolist() == other.events.offsets.tolist()
        assert one.events.id_hashes.tolist() == other.events.id_hashes.tolist()
        assert one.events.payloads == other.events.payloads


@pytest.mark.parametrize("land", [True, False])
def test_process_decodes_as_the_worker_does(tmp_path: Path, land: bool) -> None:
    """Every odd record there is; rejections name the same offsets, reasons and bodies."""
    process = DecoderProcess(tmp_path / "schemas", land=land)
    process.start()
    try:
        for lane in process.lanes:
            check_same(lane.decode(BATCHES, LOG, NOW), decode_events_together(BATCHES, LOG, NOW, land=land))
    finally:
        process.close()


def test_process_judges_by_a_schema_that_was_registered_after_its_start(tmp_path: Path) -> None:
    process = DecoderProcess(tmp_path / "schemas", land=True)
    process.start()
    try:
        document = {"type": "object", "properties": {"page": {"type": "integer"}}, "required": ["page"]}
        SchemaRegistry(SchemaFolder(tmp_path / "schemas"), in_force_after_s=0).register(
            "page_view", document, promise=Compatibility.BACKWARD, by="t"
        )
        now = dt.datetime.now(dt.UTC)
        batch = a_batch([(0, encode_event(an_event("a", received_at=now)))], start=0, next_offset=1)
        deadline = time.monotonic() + 10
        while not (found := process.lanes[0].decode([batch], LOG, NOW)) or not found[0].rejections:
            assert time.monotonic() < deadline, "the schema did not come into force"
            time.sleep(0.05)
        assert "page" in found[0].rejections[0].reason
    finally:
        process.close()


@pytest.mark.parametrize(
    "values",
    [
        [encode_event(an_event(f"e{number}", payload={"page": "x" * 100_000})) for number in range(50)],
        # These fit, but the numbers in them land as 1000000000.0.
        [with_field(GOOD, "payload", f'{{"a":[{",".join(["1e9"] * 12_000)}]}}')] * 40,
    ],
    ids=["records", "columns"],
)
def test_what_takes_too_much_room_is_left_to_the_worker_and_the_next_is_decoded(
    process: DecoderProcess, values: list[bytes]
) -> None:
    batch = a_batch(list(enumerate(values)), start=0, next_offset=len(values))
    assert process.lanes[0].decode([batch], LOG, NOW) is None
    check_same(process.lanes[0].decode(BATCHES, LOG, NOW), decode_events_together(BATCHES, LOG, NOW))


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGSTOP])
def test_process_that_is_killed_or_stands_still_is_gone_and_can_be_started_again(
    process: DecoderProcess, signal_number: int
) -> None:
    """The one that stands still is ended after the patience, so that it does not answer later."""
    first = psutil.Process(process.pid)
    os.kill(first.pid, signal_number)
    for lane in process.lanes:
        with pytest.raises(DecoderGone):
            lane.decode(BATCHES, LOG, NOW)
    process.close()
    assert not first.is_running()
    process.start()
    check_same(process.lanes[0].decode(BATCHES, LOG, NOW), decode_events_together(BATCHES, LOG, NOW))


def test_lanes_of_two_threads_do_not_get_in_each_other_s_way(process: DecoderProcess) -> None:
    """Each has the answer to its own request, however the requests come together."""
    batches = [[event_batch(range(first, first + 50), start=first, next_offset=first + 50)] for first in (0, 50)]
    wanted = [decode_events_together(found, LOG, NOW) for found in batches]

    def decode_often(number: int) -> None:
        for _ in range(200):
            check_same(process.lanes[number].decode(batches[number], LOG, NOW), wanted[number])

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(decode_often, range(2)))


def test_process_knows_no_setting_of_the_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANALYTICS_KAFKA__BOOTSTRAP_SERVERS", "broker:9092")
    process = DecoderProcess(tmp_path, land=True)
    process.start()
    try:
        assert not [name for name in psutil.Process(process.pid).environ() if name.startswith("ANALYTICS_")]
    finally:
        process.close()


def test_process_that_cannot_start_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    process = DecoderProcess(tmp_path, land=True)
    with pytest.raises(DecoderGone):
        process.start()
    assert process.pid is None


def test_process_ends_with_a_worker_that_was_killed(tmp_path: Path) -> None:
    """Nobody tells it: it sees that the other end of its channel is closed."""
    script = (
        "import sys, time; from pathlib import Path; from streaming.decoders.process import DecoderProcess\n"
        f"process = DecoderProcess(Path({str(tmp_path)!r}), land=True); process.start()\n"
        "print(process.pid, flush=True); time.sleep(60)"
    )
    worker = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert worker.stdout is not None
    orphan = psutil.Process(int(worker.stdout.readline()))
    worker.kill()
    worker.communicate()
    psutil.wait_procs([orphan], timeout=10)
    assert not orphan.is_running()


def test_memory_of_a_process_is_given_back(tmp_path: Path) -> None:
    """Descriptors too, however often it is started."""
    process = DecoderProcess(tmp_path, land=True)
    before = psutil.Process().num_fds()
    for _ in range(3):
        process.start()
        check_same(process.lanes[0].decode(BATCHES, LOG, NOW), decode_events_together(BATCHES, LOG, NOW))
        process.close()
    assert psutil.Process().num_fds() == before
