"""The API as a process that a test can kill, end and start again, on the data folder that the workers share."""

import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import psutil

from tests.conftest import free_port
from tests.faults.waiting import wait_until


class Door:
    """One API on a port of its own, the same after every start."""

    def __init__(self, address: str, root: Path, name: str = "door", **settings: str) -> None:
        self.port = free_port()
        self._log = root / f"{name}.log"
        self._environment = os.environ | {
            "ANALYTICS_KAFKA__BOOTSTRAP_SERVERS": address,
            "ANALYTICS_DATA_DIR": str(root / "data"),
            "ANALYTICS_API__PORT": str(self.port),
            **settings,
        }
        self._root = root
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """All it has said."""
        return self._log.read_text(errors="replace")

    def start(self, seconds: float = 30) -> float:
        """Start it; returns after how many seconds it took events."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "api"], env=self._environment, stdout=log, stderr=log, cwd=self._root
            )
        return wait_until(lambda: self.status("/health/ready") == 200, lambda: f"ready\n{self.log[-3000:]}", seconds)

    def status(self, path: str) -> int | None:
        """The status of a GET; None where nothing answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=2) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return None

    @property
    def rss_mb(self) -> float:
        """The memory that it holds."""
        assert self._process is not None, "the door is not running"
        return float(psutil.Process(self._process.pid).memory_info().rss) / 2**20

    def kill(self) -> None:
        """SIGKILL; nothing where it is not running."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def terminate(self) -> None:
        """SIGTERM; it goes on until what is under way is answered."""
        assert self._process is not None, "the door is not running"
        self._process.terminate()

    def ended(self, seconds: float = 30) -> int:
        """Wait for its end after `terminate`; returns the exit code."""
        assert self._process is not None, "the door is not running"
        code = self._process.wait(seconds)
        self._process = None
        return code
