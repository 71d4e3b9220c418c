"""The API as a process of its own, on a port of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx

from resources.event_log.topics import LogUnavailable, ensure_topics
from resources.settings import Settings

REPOSITORY = Path(__file__).parents[1]
_STARTS_WITHIN_S = 30.0
_CONNECTS_WITHIN_S = 10.0


@contextmanager
def served_api(settings: Settings, *, log: IO[bytes] | None = None, **variables: str) -> Iterator[str]:
    """Serve with these settings' data folder, port and broker; yields the address once it can answer.

    `variables` set anything else; `log` takes what the process writes.
    """
    address = f"http://{settings.api.host}:{settings.api.port}"
    has_broker = _make_topics(settings)
    environment = {
        **os.environ,
        "ANALYTICS_DATA_DIR": str(settings.root),
        "ANALYTICS_API__PORT": str(settings.api.port),
        "ANALYTICS_KAFKA__BOOTSTRAP_SERVERS": settings.kafka.address,
        "ANALYTICS_LIMITS__REQUESTS_PER_MINUTE": str(settings.limits.requests_per_minute),
        **variables,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "api"],
        cwd=REPOSITORY,
        env=environment,
        stdout=log or subprocess.DEVNULL,
        stderr=log,
    )
    try:
        _wait_for(process, f"{address}/health/live", _STARTS_WITHIN_S)
        if has_broker:
            _wait_for(process, f"{address}/health/ready", _CONNECTS_WITHIN_S)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _make_topics(settings: Settings) -> bool:
    try:
        ensure_topics(settings.kafka.address, timeout_s=2)
    except LogUnavailable:
        return False
    return True


def _wait_for(process: "subprocess.Popen[bytes]", url: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if httpx.get(url, timeout=2).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"The API did not answer at {url} within {seconds:.0f} s")
        time.sleep(0.1)
