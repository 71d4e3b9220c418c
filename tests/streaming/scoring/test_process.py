"""The scorer as a process beside the embedded broker: changes of windows in, predictions out, also after kill -9.

A real exported champion and real stores; each test has a broker and a data folder of its own.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from platform_assets.contracts.features import CUSTOMER_ACTIVITY
from platform_assets.contracts.predictions import CHURN, StreamPrediction
from platform_assets.contracts.topics import PREDICTIONS, WINDOWS
from platform_assets.modeling.export import load_champion
from resources.event_log.topics import describe_logs, ensure_topics
from resources.online_store import SqliteOnlineStore, SqlitePredictionStore
from resources.settings import Settings
from resources.settings.tree import KafkaSettings
from streaming.scoring.app import READER
from tests.api.conftest import read_topic
from tests.api.models import AS_OF, WIDTH, promote
from tests.conftest import free_port, running_broker
from tests.streaming.window_changes import activity, append

HOUSEHOLDS = [str(number) for number in range(400)]


class Platform:
    """A broker, a data folder and at most one scorer at a time."""

    def __init__(self, address: str, root: Path) -> None:
        self.settings = Settings(data_dir=root / "data", kafka=KafkaSettings(bootstrap_servers=address))
        self.address = address
        self.root = root
        self.web_port = free_port()
        self.store = SqlitePredictionStore(self.settings.prediction_store_path)
        self.process: subprocess.Popen[bytes] | None = None
        self.starts = 0

    def start(self, **settings: str) -> None:
        """Start a scorer; its log is scorer-<n>.log in the root."""
        self.starts += 1
        environment = os.environ | {
            "ANALYTICS_KAFKA__BOOTSTRAP_SERVERS": self.address,
            "ANALYTICS_DATA_DIR": str(self.settings.root),
            "ANALYTICS_STREAMING__SCORER_WEB_PORT": str(self.web_port),
            "ANALYTICS_STREAMING__SESSION_TIMEOUT_S": "1",
            **settings,
        }
        with (self.root / f"scorer-{self.starts}.log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "streaming", "scorer"], env=environment, stdout=log, stderr=log, cwd=self.root
            )

    def end(self, how: signal.Signals) -> int:
        """Signal the scorer and return its exit code."""
        assert self.process is not None
        self.process.send_signal(how)
        code = self.process.wait(15)
        self.process = None
        return code

    def log(self) -> str:
        return (self.root / f"scorer-{self.starts}.log").read_text()

    def get(self, path: str) -> tuple[int, Any]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.web_port}{path}", timeout=2) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)
        except urllib.error.URLError:
            return 0, None

    def wait(self, condition: Callable[[], bool], seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.log()[-4000:]
            assert self.process is None or self.process.poll() is None, self.log()[-4000:]
            time.sleep(0.05)

    def newest(self, household: str) -> StreamPrediction | None:
        return self.store.get_prediction(CHURN, household)

    def put_features(self) -> None:
        """Different features for every household, but none for the last ten."""
        rows = np.random.default_rng(3).random((len(HOUSEHOLDS), WIDTH))
        named = [
            (household, dict(zip(CUSTOMER_ACTIVITY.feature_names, row.tolist(), strict=True)))
            for household, row in zip(HOUSEHOLDS[:-10], rows, strict=False)
        ]
        SqliteOnlineStore(self.settings.online_store_path).put_features(CUSTOMER_ACTIVITY, AS_OF, named)

    def expected(self) -> dict[str, float]:
        """What the champion says of each household that has features, asked one by one."""
        champion = load_champion(self.settings.models_dir, CHURN)
        assert champion is not None
        store = SqliteOnlineStore(self.settings.online_store_path)
        vectors = store.get_many(CUSTOMER_ACTIVITY, HOUSEHOLDS)
        return {
            household: float(champion.predict_proba(champion.row(vector.values))[0])
            for household, vector in vectors.items()
        }

    def kept(self) -> int:
        """The kept positions, summed over the partitions."""
        log = describe_logs(self.address, [WINDOWS.name])[WINDOWS.name].log
        return sum(self.store.positions(READER, WINDOWS.name, log).values())


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    with running_broker() as address:
        ensure_topics(address)
        platform = Platform(address, tmp_path)
        yield platform
        if platform.process is not None:
            platform.process.kill()
            platform.process.wait()


def test_an_active_household_is_scored_to_the_log_and_the_store(platform: Platform) -> None:
    """Once per change, by the champion, as it would answer over HTTP; those without features are counted."""
    promote(platform.settings.models_dir, version="3")
    platform.put_features()
    platform.start()
    platform.wait(lambda: platform.get("/health/ready")[0] == 200)
    append(platform.address, [(n % 4, activity(HOUSEHOLDS[n::4], partition=n)) for n in range(4)])
    append(platform.address, [(0, b"no update"), (0, activity([None]))])
    expected = platform.expected()
    platform.wait(lambda: all(platform.newest(household) for household in expected))
    for household, probability in expected.items():
        newest = platform.newest(household)
        assert newest is not None
        assert newest.probability == pytest.approx(probability, abs=1e-12)
        assert (newest.model_version, newest.features_as_of, newest.source_topic) == ("3", AS_OF, WINDOWS.name)
    on_the_log = read_topic(platform.address, PREDICTIONS)
    assert len({record["prediction_id"] for record in on_the_log}) == len(on_the_log) == len(expected)
    platform.wait(lambda: platform.get("/scoring")[1]["unreadable_records"] == 1)
    _, report = platform.get("/scoring")
    assert (report["scored"], report["skipped"]) == (390, 10)
    assert report["models"] == {CHURN: "version 3 scores"}
    assert platform.end(signal.SIGTERM) == 0


def test_scorer_waits_for_the_first_champion_and_changes_it_without_a_restart(platform: Platform) -> None:
    """Ready before there is a model, and nothing of what came meanwhile is lost; a corrupt one changes nothing."""
    platform.put_features()
    append(platform.address, [(1, activity(["1", "2"]))])
    platform.start()
    platform.wait(lambda: platform.get("/health/ready")[0] == 200)
    assert platform.get("/health/ready")[1]["models"] == {CHURN: "none has been promoted yet"}
    assert platform.newest("1") is None
    promote(platform.settings.models_dir, version="1")

    def version_of(household: str) -> str | None:
        newest = platform.newest(household)
        return None if newest is None else newest.model_version

    platform.wait(lambda: version_of("1") == version_of("2") == "1")
    promote(platform.settings.models_dir, version="2", shift=1.0)

    def household_1_is_scored_by_version_2() -> bool:
        append(platform.address, [(1, activity(["1"]))])
        return version_of("1") == "2"

    platform.wait(household_1_is_scored_by_version_2)
    assert version_of("2") == "1"
    newest = platform.newest("1")
    assert newest is not None
    assert newest.probability == pytest.approx(platform.expected()["1"], abs=1e-12)

    pointer = platform.settings.models_dir / CHURN / "champion.json"
    pointer.write_text(json.dumps({"version": "9", "manifest_sha256": "0" * 64}))
    platform.wait(lambda: "cannot be loaded" in platform.get("/scoring")[1]["models"][CHURN])
    append(platform.address, [(1, activity(["2"]))])
    platform.wait(lambda: version_of("2") == "2")
    assert platform.end(signal.SIGTERM) == 0


def test_scorer_killed_in_mid_stream_ends_with_the_newest_prediction_of_everyone(platform: Platform) -> None:
    """kill -9, three times: every household has the prediction of its last change; what was made twice has one id."""
    promote(platform.settings.models_dir, version="1")
    platform.put_features()
    count = 12_000
    changed = [HOUSEHOLDS[n % 4 :: 4][:: 1 + n % 3] for n in range(count)]
    append(platform.address, [(n % 4, activity(changed[n], partition=n % 4)) for n in range(count)])
    last_change = {household: (n % 4, n // 4) for n in range(count) for household in changed[n]}
    for _ in range(3):
        begun = platform.kept()

        def has_moved(begun: int = begun) -> bool:
            return platform.kept() > begun

        platform.start(ANALYTICS_STREAMING__SCORE_INTERVAL_S="0")
        platform.wait(has_moved)
        platform.end(signal.SIGKILL)
    assert platform.kept() < count, "killed too late to show anything"
    platform.start()
    platform.wait(lambda: platform.kept() == count)
    expected = platform.expected()
    newest_ids = set()
    for household, probability in expected.items():
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
    assert platform.end(signal.SIGTERM) == 0
