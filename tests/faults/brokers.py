"""Brokers as processes that a test can kill, stop, continue and start again."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Protocol

import pytest

from deployments.kafka.__main__ import KafkaUnavailable, broker_command
from resources.event_log import embedded
from tests.conftest import free_port, wait_until_listening

REPOSITORY = Path(__file__).resolve().parents[2]


class Broker(Protocol):
    """One broker on loopback. `keeps_its_log` says whether what it acknowledged survives its kill."""

    name: str
    keeps_its_log: bool
    port: int

    @property
    def address(self) -> str: ...
    @property
    def pid(self) -> int: ...
    def start(self) -> None: ...
    def kill(self) -> None: ...
    def stop(self) -> None: ...
    def resume(self) -> None: ...


class BrokerProcess:
    """What both brokers have in common: a command line and a port."""

    name: str
    keeps_its_log: bool

    def __init__(self, port: int, advertised_port: int | None, log: Path) -> None:
        self.port = port
        self._advertised_port = advertised_port or port
        self._log = log
        self._command: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where clients connect: the proxy in front of the broker, where there is one."""
        return f"127.0.0.1:{self._advertised_port}"

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None, "the broker is not running"
        return self._process.pid

    def start(self) -> None:
        """Return when it listens."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=subprocess.STDOUT)
        wait_until_listening(self._process, self.port, 60)

    def kill(self) -> None:
        """SIGKILL, also while it is stopped; nothing where it is dead already."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """SIGSTOP: it keeps its connections and answers none."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def _signal(self, which: signal.Signals) -> None:
        assert self._process is not None, "the broker is not running"
        os.kill(self._process.pid, which)


class EmbeddedBroker(BrokerProcess):
    """The broker in memory: killed, it forgets everything, topics included."""

    name = "embedded"
    keeps_its_log = False

    def __init__(self, folder: Path, advertised_port: int | None = None) -> None:
        super().__init__(free_port(), advertised_port, folder / "embedded.out")
        self._command = embedded.broker_command(self.port)
        place = self._command.index("--advertised-listener-url")
        self._command[place + 1] = f"tcp://{self.address}"


class KafkaBroker(BrokerProcess):
    """Apache Kafka in KRaft mode; its log survives in the folder. The test is skipped where Maven Central is away."""

    name = "kafka"
    keeps_its_log = True

    def __init__(self, folder: Path, advertised_port: int | None = None) -> None:
        super().__init__(free_port(), advertised_port, folder / "kafka.out")
        # The jars are fetched once a checkout; the broker's own folder is the test's.
        jars = REPOSITORY / ".analytics-kafka" / "libs"
        jars.mkdir(parents=True, exist_ok=True)
        (folder / "kafka").mkdir()
        (folder / "kafka" / "libs").symlink_to(jars)
        try:
            self._command = broker_command(
                folder / "kafka" / "broker", self.port, free_port(), advertised_port=self._advertised_port
            )
        except KafkaUnavailable as error:
            if "Could not transfer" in str(error) or "Could not resolve" in str(error):
                pytest.skip(f"Maven Central did not answer, so nothing was run on Apache Kafka: {error}")
            raise


BROKERS: dict[str, type[EmbeddedBroker] | type[KafkaBroker]] = {"embedded": EmbeddedBroker, "kafka": KafkaBroker}
