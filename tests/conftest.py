"""Fixtures that the tests of several packages share."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from resources.event_log.embedded import broker_command


def free_port() -> int:
    """A port on loopback that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_broker() -> Iterator[str]:
    """A fresh embedded broker without topics, by its bootstrap address; it ends with the block."""
    port = free_port()
    process = subprocess.Popen(broker_command(port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until_listening(process, port)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def embedded_broker() -> Iterator[str]:
    """The bootstrap address of an embedded broker that the tests of a session share; it begins without topics."""
    with running_broker() as address:
        yield address


def wait_until_listening(process: "subprocess.Popen[bytes]", port: int, seconds: float = 10.0) -> None:
    """Return when the process accepts connections on a loopback port; raise when it ends or takes too long."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"The embedded broker did not listen on port {port}") from None
            time.sleep(0.02)
        else:
            return
