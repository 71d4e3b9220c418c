"""Stream workers as processes on one data folder and in one group."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.conftest import free_port
from tests.faults.waiting import wait_until

# The session is short so that a test does not wait for it; all else is as in production.
SESSION_TIMEOUT_S = 2.0
MAX_FILE_AGE_S = 0.4


class Worker:
    """One process with its log and its web port."""

    def __init__(self, process: "subprocess.Popen[bytes]", web_port: int, log: Path) -> None:
        self.process = process
        self.web_port = web_port
        self._log = log

    @property
    def is_running(self) -> bool:
        """Not ended; a stopped process is running."""
        return self.process.poll() is None

    @property
    def log(self) -> str:
        """All it has said."""
        return self._log.read_text(errors="replace")

    @property
    def assignments(self) -> int:
        """How many partitions it was given so far; every rebalance gives some."""
        return self.log.count("partition_opened")

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()

    def end(self, seconds: float = 20) -> int:
        """SIGTERM; returns the exit code."""
        self.process.terminate()
        return self.process.wait(seconds)

    def stop(self) -> None:
        """SIGSTOP: alive, and as good as dead to the group once its session has expired."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        os.kill(self.process.pid, signal.SIGCONT)

    def page(self, path: str) -> Any:
        """A page of its web view as JSON; None where it does not answer yet."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.web_port}{path}", timeout=2) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            return json.load(error)
        except OSError:
            return None

    @property
    def is_ready(self) -> bool:
        """It has partitions and can write."""
        return bool((self.page("/health/ready") or {}).get("status") == "ready")

    @property
    def partitions(self) -> set[tuple[str, int]]:
        """What it owns now."""
        report = self.page("/partitions") or {"partitions": []}
        return {(place["topic"], place["partition"]) for place in report["partitions"]}


class Workers:
    """Starts workers and remembers all of them. `data_dir` is shared, web ports are not."""

    def __init__(self, address: str, root: Path, **settings: str) -> None:
        self.address = address
        self.root = root
        self.data_dir = root / "data"
        self.all: list[Worker] = []
        self._settings = settings

    def start(self, *command: str, **settings: str) -> Worker:
        """Start one more; `command` runs instead of `python -m streaming`."""
        web_port = free_port()
        environment = os.environ | {
            "ANALYTICS_KAFKA__BOOTSTRAP_SERVERS": self.address,
            "ANALYTICS_DATA_DIR": str(self.data_dir),
            "ANALYTICS_STREAMING__WEB_PORT": str(web_port),
            "ANALYTICS_STREAMING__MAX_FILE_AGE_S": str(MAX_FILE_AGE_S),
            "ANALYTICS_STREAMING__SESSION_TIMEOUT_S": str(SESSION_TIMEOUT_S),
            **self._settings,
            **settings,
        }
        path = self.root / f"worker-{len(self.all) + 1}.log"
        with path.open("wb") as log:
            process = subprocess.Popen(
                list(command) or [sys.executable, "-m", "streaming"],
                env=environment, stdout=log, stderr=log, cwd=self.root,
            )  # fmt: skip
        worker = Worker(process, web_port, path)
        self.all.append(worker)
        return worker

    def start_ready(self, **settings: str) -> Worker:
        """Start one more and return when it has partitions."""
        worker = self.start(**settings)
        wait_until(lambda: worker.is_ready, lambda: f"worker ready\n{worker.log[-3000:]}", 30)
        return worker

    @property
    def running(self) -> list[Worker]:
        """Those that have not ended."""
        return [worker for worker in self.all if worker.is_running]

    def keep(self, count: int) -> None:
        """As a supervisor would: start workers until so many are running."""
        while len(self.running) < count:
            self.start()

    def logs(self) -> str:
        """The end of every log, for a failed assertion."""
        return "\n".join(f"--- worker {number}\n{worker.log[-2500:]}" for number, worker in enumerate(self.all, 1))

    def close(self) -> None:
        """Kill all, in whatever state they are."""
        for worker in self.running:
            worker.kill()
