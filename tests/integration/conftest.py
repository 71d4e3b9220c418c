"""A whole local platform in a data folder and on ports of its own, driven through the command line as a user would."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pyarrow.parquet as pq
import pytest

from resources.landing_zone import LandingZone
from tests.conftest import free_port

_PORTS = (
    "ANALYTICS_API__PORT",
    "ANALYTICS_DAGSTER__PORT",
    "ANALYTICS_DAGSTER__CODE_SERVER_PORT",
    "ANALYTICS_STREAMING__WEB_PORT",
    "ANALYTICS_STREAMING__SCORER_WEB_PORT",
    "ANALYTICS_KAFKA__EMBEDDED_PORT",
)


class Platform:
    """The `analytics` command on one data folder."""

    def __init__(self, data_dir: Path, **settings: str) -> None:
        self.data_dir = data_dir
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("ANALYTICS_", "DAGSTER_"))},
            **{name: str(free_port()) for name in _PORTS},
            "ANALYTICS_DATA_DIR": str(data_dir),
            **settings,
        }

    def analytics(self, *arguments: str, timeout_s: float = 600) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        return subprocess.run(
            self.command(*arguments),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def command(self, *arguments: str) -> list[str]:
        """A command line of the platform."""
        return [sys.executable, "-m", "deployments.cli", *arguments]

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """`analytics up` beside the test."""
        return subprocess.Popen(
            self.command("up", *arguments),
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def status(self) -> dict[str, Any]:
        """What `status --json` says."""
        return dict(json.loads(self.analytics("status", "--json").stdout))

    def process(self, name: str) -> dict[str, Any]:
        """One process of the status."""
        return next(found for found in self.status()["processes"] if found["name"] == name)

    def address(self, name: str) -> str:
        """An address of the status."""
        return str(self.status()["addresses"][name])

    def wait(self, condition: Callable[[dict[str, Any]], bool], what: str, seconds: float = 120) -> dict[str, Any]:
        """The first status for which a condition holds."""
        deadline = time.monotonic() + seconds
        while True:
            status = self.status()
            if condition(status):
                return status
            assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}; {status}"
            time.sleep(0.3)

    def send(self, *names: str, **fields: Any) -> httpx.Response:
        """Post one event per id."""
        lines = [
            json.dumps({"event_id": name, "event_name": "note", "source_service": "test", "payload": {}} | fields)
            for name in names
        ]
        return httpx.post(
            f"http://127.0.0.1:{self.environment['ANALYTICS_API__PORT']}/v1/events",
            content="\n".join(lines),
            headers={"Content-Type": "application/x-ndjson"},
            timeout=30,
        )

    def sql(self, query: str) -> list[str]:
        """The lines that `analytics sql --csv` prints below the heading."""
        finished = self.analytics("sql", "--csv", query)
        assert finished.returncode == 0, finished.stderr
        return finished.stdout.splitlines()[1:]

    def landed_ids(self) -> list[str]:
        """The event id of every landed record, as often as it landed."""
        zone = LandingZone(self.data_dir / "landing")
        paths = [zone.root / file.path for file in zone.files("events.v1")]
        return [event_id for path in paths for event_id in pq.read_table(path)["event_id"].to_pylist()]

    def processes(self) -> list[psutil.Process]:
        """Every process on the machine that was told this data folder."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.pid != os.getpid() and process.environ().get("ANALYTICS_DATA_DIR") == str(self.data_dir):
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    def destroy(self) -> None:
        """End everything, whatever state it is in."""
        self.analytics("down")
        for process in self.processes():
            process.kill()


class Sender:
    """A client beside the test that posts events without a pause and remembers what was acknowledged."""

    def __init__(self, platform: Platform) -> None:
        self.sent: set[str] = set()
        self._platform = platform
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def __enter__(self) -> "Sender":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _send(self) -> None:
        number = 0
        while not self._stop.is_set():
            ids = [f"event-{number}-{index}" for index in range(100)]
            try:
                acknowledged = self._platform.send(*ids).status_code == 202
            except httpx.TransportError:
                acknowledged = False
            if acknowledged:
                self.sent.update(ids)
                number += 1
            else:
                time.sleep(0.1)  # the door is down; what it did not acknowledge is sent again


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    """A platform that has not been started."""
    found = Platform(tmp_path / "data")
    yield found
    found.destroy()
