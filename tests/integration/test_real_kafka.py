"""The same platform on Apache Kafka: what it acknowledged survives the kill of the worker and of the broker itself."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.brokers import KafkaBroker
from tests.integration.conftest import Platform, Sender

pytestmark = pytest.mark.integration


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[KafkaBroker]:
    broker = KafkaBroker(tmp_path)
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()


def test_nothing_acknowledged_is_lost_when_worker_and_broker_are_killed(kafka: KafkaBroker, tmp_path: Path) -> None:
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
