"""The worker as a process beside the embedded broker: what was acknowledged is landed exactly once, also after kill -9.

Each test drives a broker of its own: topics of another test would be landed too, and one test kills nothing of another.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from confluent_kafka import Consumer, TopicPartition

from platform_assets.contracts.events import encode_event, partition_key
from platform_assets.contracts.landing import LandingFile
from platform_assets.contracts.rejections import Origin
from platform_assets.contracts.topics import EVENTS, REJECTED
from resources.event_log.topics import describe_logs
from streaming.app import APP_ID
from tests.conftest import free_port
from tests.streaming.running_worker import Platform, running_platform
from tests.streaming_records import an_event

BOTH = (EVENTS.name, REJECTED.name)


def committed(address: str) -> int:
    """The group's offsets on the events topic, summed; they follow the landed files."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": APP_ID})
    places = [TopicPartition(EVENTS.name, partition) for partition in range(EVENTS.partitions)]
    try:
        return sum(max(place.offset, 0) for place in consumer.committed(places, timeout=5))
    finally:
        consumer.close()


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    with running_platform(tmp_path) as platform:
        yield platform


def events(first: int, count: int) -> list[tuple[bytes, bytes]]:
    made = [an_event(f"e{n}", user_id=f"u{n % 97}") for n in range(first, first + count)]
    return [(partition_key(event), encode_event(event)) for event in made]


async def test_worker_lands_every_event_and_rejects_poison_with_its_place(platform: Platform) -> None:
    """Poison goes to the rejected topic with reason and place, lands there, and stops nothing."""
    platform.start()
    await platform.append([*events(0, 3000), (b"p1", b"junk"), (b"p2", b"\xff"), *events(3000, 3000)])
    platform.wait(lambda: platform.landed(EVENTS.name) == 6002 and platform.landed(REJECTED.name) == 2)
    platform.check_every_offset_once(EVENTS.name, 6000)
    assert len(set(platform.rows(EVENTS.name)["event_id"].to_pylist())) == 6000
    (log,) = platform.zone.logs(EVENTS.name)
    rejections = platform.rows(REJECTED.name).to_pylist()
    assert {row["body"] for row in rejections} == {"junk", "base64:/w=="}
    landed_places = set(
        zip(
            *(platform.rows(EVENTS.name)[name].to_pylist() for name in ("kafka_partition", "kafka_offset")), strict=True
        )
    )
    for row in rejections:
        assert (row["origin"], row["source_topic"], row["source_log"]) == (Origin.STREAM, EVENTS.name, log)
        assert (row["source_partition"], row["source_offset"]) not in landed_places
        assert row["reason"]
    status, body = platform.get("/partitions")
    assert status == 200
    landed = {name: sum(place["landed"] for place in body["partitions"] if place["topic"] == name) for name in BOTH}
    assert landed == {EVENTS.name: 6002, REJECTED.name: 2}
    platform.wait(lambda: committed(platform.address) == 6002)
    assert platform.get("/health/ready")[0] == platform.get("/health/live")[0] == 200
    assert platform.end(signal.SIGTERM) == 0


async def test_worker_killed_in_mid_stream_lands_every_offset_once(platform: Platform) -> None:
    """kill -9 at no particular moment: the files of both lives are one exact sequence."""
    count = 60_000
    await platform.append(events(0, count))

    platform.start(ANALYTICS_STREAMING__MAX_FILE_ROWS="1000")
    platform.wait(lambda: platform.landed(EVENTS.name) >= 2_000)
    platform.end(signal.SIGKILL)
    assert platform.landed(EVENTS.name) < count, "killed too late to show anything"
    platform.start()
    platform.wait(lambda: platform.landed(EVENTS.name) == count)
    platform.check_every_offset_once(EVENTS.name, count)
    assert len(set(platform.rows(EVENTS.name)["event_id"].to_pylist())) == count


async def test_worker_lands_its_buffers_on_sigterm(platform: Platform) -> None:
    """Nothing is due by age or size; the drain alone lands what was consumed, within ten seconds and with exit 0."""
    platform.start(ANALYTICS_STREAMING__MAX_FILE_AGE_S="3600")
    await platform.append(events(0, 500))

    def has_consumed() -> bool:
        try:
            return bool(sum(place["position"] for place in platform.get("/partitions")[1]["partitions"]) == 500)
        except OSError:
            return False

    platform.wait(has_consumed)
    assert platform.landed(EVENTS.name) == 0
    begun = time.monotonic()
    assert platform.end(signal.SIGTERM) == 0
    assert time.monotonic() - begun < 10
    platform.check_every_offset_once(EVENTS.name, 500)


async def test_worker_stops_loudly_when_its_files_are_ahead_of_the_log(platform: Platform) -> None:
    """A position past the end is an error that names both ends, never a silent wait."""
    log = describe_logs(platform.address, [EVENTS.name])[EVENTS.name].log
    platform.zone.write(pa.table({}), LandingFile(EVENTS.name, log, 2, 0, 99))
    platform.start()
    assert platform.process is not None
    assert platform.process.wait(25) != 0
    assert "lead to offset 100, but the log ends at 0" in platform.log()


def test_worker_names_the_broker_it_could_not_reach(tmp_path: Path) -> None:
    """Exit 1 with the address and the variable that changes it; the patience is shortened here."""
    port = free_port()
    script = (
        "import streaming.worker; streaming.worker.BROKER_PATIENCE_S = 0.5;"
        "from streaming.__main__ import main; raise SystemExit(main())"
    )
    environment = os.environ | {
        "ANALYTICS_KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{port}",
        "ANALYTICS_DATA_DIR": str(tmp_path),
        "ANALYTICS_STREAMING__WEB_PORT": str(free_port()),
    }
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1
    assert f"127.0.0.1:{port}" in done.stderr
    assert "ANALYTICS_KAFKA__BOOTSTRAP_SERVERS" in done.stderr
    assert "Traceback" not in done.stderr


def test_worker_imports_neither_dagster_nor_the_api() -> None:
    """The worker's environment has neither, and its start has no time for them."""
    script = (
        "import sys, streaming.app, streaming.worker, streaming.event_store;"
        "print([n for n in ('dagster', 'fastapi', 'mlflow', 'api', 'pandas', 'sklearn') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_streaming_is_cheap_to_import_and_exports_the_names_of_the_specification() -> None:
    """The names load on first use; the package itself loads nothing."""
    script = (
        "import sys, streaming; assert 'faust' not in sys.modules and 'pyarrow' not in sys.modules;"
        "from streaming import EventStore, EventType; assert 'faust' not in sys.modules; print(EventType.USER_ACTION)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "user_action"
