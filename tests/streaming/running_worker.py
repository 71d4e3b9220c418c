"""The worker as a process beside an embedded broker of its own, for the tests that have to see the real thing."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from platform_assets.contracts.topics import EVENTS, REJECTED
from resources.event_log.producer import EventLogProducer
from resources.event_log.topics import ensure_topics
from resources.landing_zone import LandingZone
from tests.conftest import free_port, running_broker


class Platform:
    """A broker, a data folder and at most one worker at a time."""

    def __init__(self, address: str, root: Path) -> None:
        self.address = address
        self.root = root
        self.zone = LandingZone(root / "data" / "landing")
        self.web_port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.starts = 0

    def start(self, **settings: str) -> None:
        """Start a worker; its log is worker-<n>.log in the root."""
        self.starts += 1
        environment = os.environ | {
            "ANALYTICS_KAFKA__BOOTSTRAP_SERVERS": self.address,
            "ANALYTICS_DATA_DIR": str(self.root / "data"),
            "ANALYTICS_STREAMING__WEB_PORT": str(self.web_port),
            "ANALYTICS_STREAMING__MAX_FILE_AGE_S": "0.4",
            "ANALYTICS_STREAMING__SESSION_TIMEOUT_S": "1",
            **settings,
        }
        with (self.root / f"worker-{self.starts}.log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "streaming"], env=environment, stdout=log, stderr=log, cwd=self.root
            )

    def end(self, how: signal.Signals) -> int:
        """Signal the worker and return its exit code."""
        assert self.process is not None
        process, self.process = self.process, None
        process.send_signal(how)
        try:
            return process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    async def append(self, values: list[tuple[bytes, bytes]]) -> None:
        """Have the events topic hold these keys and values; returns when the broker has acknowledged them."""
        producer = EventLogProducer(self.address, [EVENTS.name, REJECTED.name], marks_dir=self.root / "marks")
        producer.connect()
        for begin in range(0, len(values), 2000):
            await producer.append(EVENTS.name, values[begin : begin + 2000])
        producer.close()

    def log(self) -> str:
        return (self.root / f"worker-{self.starts}.log").read_text()

    def landed(self, topic: str) -> int:
        """Offsets in finished files, by name."""
        return sum(file.last - file.first + 1 for file in self.zone.files(topic))

    def rows(self, topic: str) -> pa.Table:
        return pa.concat_tables([pq.read_table(self.zone.root / file.path) for file in self.zone.files(topic)])

    def get(self, path: str) -> tuple[int, Any]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.web_port}{path}", timeout=2) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def wait(self, condition: Callable[[], bool], seconds: float = 25) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.log()[-4000:]
            assert self.process is None or self.process.poll() is None, self.log()[-4000:]
            time.sleep(0.05)

    def check_every_offset_once(self, topic: str, count: int) -> None:
        """The files of each partition follow on each other from 0 and their rows are that many, none twice."""
        for log in self.zone.logs(topic):
            for partition in range(EVENTS.partitions):
                self.zone.check(topic, log, partition)
        rows = self.rows(topic)
        places = list(zip(rows["kafka_partition"].to_pylist(), rows["kafka_offset"].to_pylist(), strict=True))
        assert len(places) == len(set(places)) == count


@contextmanager
def running_platform(root: Path) -> Iterator[Platform]:
    """A fresh broker and folder; a worker that still runs at the end is killed."""
    with running_broker() as address:
        ensure_topics(address)
        platform = Platform(address, root)
        try:
            yield platform
        finally:
            if platform.process is not None:
                platform.process.kill()
                platform.process.wait()
