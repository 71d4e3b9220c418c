"""Scorers and workers as processes beside an embedded broker, on one data folder with a real champion's features."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from platform_assets.contracts.features import CUSTOMER_ACTIVITY
from platform_assets.contracts.predictions import CHURN, StreamPrediction
from platform_assets.contracts.topics import PREDICTIONS, WINDOWS
from platform_assets.modeling.export import load_champion
from resources.event_log.topics import describe_logs
from resources.online_store import SqliteOnlineStore, SqlitePredictionStore
from resources.settings import KafkaSettings, Settings
from streaming.scoring.app import READER
from tests.api.conftest import read_topic
from tests.api.models import AS_OF, WIDTH
from tests.conftest import free_port
from tests.streaming.window_changes import activity, append

HOUSEHOLDS = [str(number) for number in range(400)]
WITHOUT_FEATURES = HOUSEHOLDS[-10:]


class Running:
    """One process with its web port and its log."""

    def __init__(self, process: "subprocess.Popen[bytes]", web_port: int, log_path: Path) -> None:
        self.process = process
        self.web_port = web_port
        self._log_path = log_path

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Signal it and return its exit code."""
        self.process.send_signal(how)
        return self.process.wait(20)

    def log(self) -> str:
        return self._log_path.read_text()

    def get(self, path: str) -> tuple[int, Any]:
        """Status and body of a page; 0 where nobody listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.web_port}{path}", timeout=2) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)
        except OSError:
            return 0, None

    @property
    def is_ready(self) -> bool:
        return self.get("/health/ready")[0] == 200


class Platform:
    """A broker's address, a data folder and the processes on them."""

    def __init__(self, address: str, root: Path, *, session_timeout_s: int = 1) -> None:
        self._session_timeout_s = session_timeout_s
        self.settings = Settings(data_dir=root / "data", kafka=KafkaSettings(bootstrap_servers=address))
        self.address = address
        self.root = root
        self.store = SqlitePredictionStore(self.settings.prediction_store_path)
        self.started: list[Running] = []

    def start(self, command: str = "scorer", **settings: str) -> Running:
        """Start a scorer or a worker with short time-outs."""
        port, log_path = free_port(), self.root / f"{command}-{len(self.started)}.log"
        environment = os.environ | {
            "ANALYTICS_KAFKA__BOOTSTRAP_SERVERS": self.address,
            "ANALYTICS_DATA_DIR": str(self.settings.root),
            "ANALYTICS_STREAMING__SCORER_WEB_PORT": str(port),
            "ANALYTICS_STREAMING__WEB_PORT": str(port),
            "ANALYTICS_STREAMING__SESSION_TIMEOUT_S": str(self._session_timeout_s),
            **settings,
        }
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "streaming", command], env=environment, stdout=log, stderr=log, cwd=self.root
            )
        running = Running(process, port, log_path)
        self.started.append(running)
        return running

    def end_all(self) -> None:
        for running in self.started:
            if running.process.poll() is None:
                running.end(signal.SIGKILL)

    def wait(self, condition: Callable[[], bool], seconds: float = 40) -> None:
        """Poll until it holds; a process that ends with an error of its own fails the test."""
        deadline = time.monotonic() + seconds
        while not condition():
            logs = "\n".join(running.log()[-3000:] for running in self.started)
            assert time.monotonic() < deadline, logs
            assert all((running.process.poll() or 0) <= 0 for running in self.started), logs
            time.sleep(0.05)

    def newest(self, household: str) -> StreamPrediction | None:
        return self.store.get_prediction(CHURN, household)

    def put_features(self) -> None:
        """Different features for every household but the last ten."""
        rows = np.random.default_rng(3).random((len(HOUSEHOLDS), WIDTH))
        named = [
            (household, dict(zip(CUSTOMER_ACTIVITY.feature_names, row.tolist(), strict=True)))
            for household, row in zip(HOUSEHOLDS, rows, strict=True)
            if household not in WITHOUT_FEATURES
        ]
        SqliteOnlineStore(self.settings.online_store_path).put_features(CUSTOMER_ACTIVITY, AS_OF, named)

    def expected(self) -> dict[str, float]:
        """What the champion says of each household that has features, asked one by one."""
        champion = load_champion(self.settings.models_dir, CHURN)
        assert champion is not None
        store = SqliteOnlineStore(self.settings.online_store_path)
        return {
            household: float(champion.predict_proba(champion.row(vector.values))[0])
            for household, vector in store.get_many(CUSTOMER_ACTIVITY, HOUSEHOLDS).items()
        }

    def kept(self) -> int:
        """The kept positions, summed over the partitions."""
        log = describe_logs(self.address, [WINDOWS.name])[WINDOWS.name].log
        return sum(self.store.positions(READER, WINDOWS.name, log).values())


def append_many_changes(platform: Platform, count: int, *, after: int = 0) -> dict[str, tuple[int, int]]:
    """As many records over the four partitions, `after` others; returns the last place of each household."""
    changed = [HOUSEHOLDS[n % 4 :: 4][:: 1 + n % 3] for n in range(count)]
    append(platform.address, [(n % 4, activity(changed[n], partition=n % 4)) for n in range(count)])
    return {household: (n % 4, (after + n) // 4) for n in range(count) for household in changed[n]}


def check_newest_predictions(platform: Platform, last_change: dict[str, tuple[int, int]]) -> None:
    """Everyone's is that of the last change; what is on the log twice differs in nothing but the time."""
    newest_ids = set()
    for household, probability in platform.expected().items():
        newest = platform.newest(household)
        assert newest is not None
        newest_ids.add(newest.prediction_id)
        assert (newest.source_partition, newest.source_offset) == last_change[household]
        assert newest.probability == pytest.approx(probability, abs=1e-12)
    by_id: dict[str, dict[str, Any]] = {}
    for record in read_topic(platform.address, PREDICTIONS):
        again = by_id.setdefault(record["prediction_id"], record)
        assert {**again, "predicted_ms": 0} == {**record, "predicted_ms": 0}
    assert newest_ids <= by_id.keys()
