"""The same platform on Apache Kafka: what it acknowledged survives the kill of the worker and of the broker itself."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.kafka.__main__ import KafkaUnavailable, broker_command
from tests.conftest import free_port, wait_until_listening
from tests.integration.conftest import Platform, Sender

pytestmark = pytest.mark.integration

REPOSITORY = Path(__file__).resolve().parents[2]


class Kafka:
    """One broker whose log survives in a folder."""

    def __init__(self, folder: Path) -> None:
        self.port, controller_port = free_port(), free_port()
        try:
            self._command = broker_command(folder, self.port, controller_port)
        except KafkaUnavailable as error:
            if "Could not transfer" in str(error) or "Could not resolve" in str(error):
                pytest.skip(f"Maven Central did not answer, so nothing was run on Apache Kafka: {error}")
            raise
        self._log = folder / "kafka.out"
        self.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=subprocess.STDOUT)
        wait_until_listening(self._process, self.port, 60)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[Kafka]:
    # The jars are fetched once a checkout; the broker's own folder is the test's.
    jars = REPOSITORY / ".analytics-kafka"
    jars.mkdir(exist_ok=True)
    (tmp_path / "kafka").mkdir()
    (tmp_path / "kafka" / "libs").symlink_to(jars / "libs")
    (jars / "libs").mkdir(exist_ok=True)
    running = Kafka(tmp_path / "kafka" / "broker")
    yield running
    running.kill()


def test_nothing_acknowledged_is_lost_when_worker_and_broker_are_killed(kafka: Kafka, tmp_path: Path) -> None:
    platform = Platform(tmp_path / "data", ANALYTICS_KAFKA__BOOTSTRAP_SERVERS=kafka.address)
    try:
        platform.start("--no-demo", "--detach")
        platform.wait(lambda status: worker(status) == "ready", "worker ready")
        assert {process["name"] for process in platform.status()["processes"]}.isdisjoint({"broker"})
        with Sender(platform) as sender:
            time.sleep(3)
            os.kill(platform.process("worker")["pid"], signal.SIGKILL)
            time.sleep(3)
            kafka.kill()
            time.sleep(2)
            kafka.start()
            before = len(sender.sent)
            deadline = time.monotonic() + 60
            while len(sender.sent) < before + 1000:
                assert time.monotonic() < deadline, "events were not taken again"
                time.sleep(0.2)
        finished = platform.analytics("down")
        assert "Everything that was acknowledged has landed" in finished.stderr
        landed = platform.landed_ids()
        assert sender.sent <= set(landed)
    finally:
        platform.destroy()


def worker(status: dict[str, list[dict[str, object]]]) -> object:
    return {process["name"]: process["state"] for process in status["processes"]}.get("worker")
