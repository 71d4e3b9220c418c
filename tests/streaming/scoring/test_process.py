"""The scorer as a process: changes of windows in, predictions out, also after kill -9 and beside a second one.

A real exported champion, real stores and an embedded broker of its own for each test.
"""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from platform_assets.contracts.events import encode_event, partition_key
from platform_assets.contracts.predictions import CHURN
from platform_assets.contracts.topics import EVENTS, PREDICTIONS, WINDOWS
from resources.event_log.producer import EventLogProducer
from resources.event_log.topics import ensure_topics
from tests.api.conftest import read_topic
from tests.api.models import AS_OF, promote
from tests.conftest import running_broker
from tests.streaming.scoring.processes import (
    HOUSEHOLDS,
    WITHOUT_FEATURES,
    Platform,
    append_many_changes,
    check_newest_predictions,
)
from tests.streaming.window_changes import activity, append
from tests.streaming_records import an_event


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    with running_broker() as address:
        ensure_topics(address)
        platform = Platform(address, tmp_path)
        platform.put_features()
        yield platform
        platform.end_all()


def test_an_active_household_is_scored_to_the_log_and_the_store(platform: Platform) -> None:
    """Once per change, by the champion, as it would answer over HTTP; those without features are counted."""
    promote(platform.settings.models_dir, version="3")
    scorer = platform.start()
    platform.wait(lambda: scorer.is_ready)
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
    platform.wait(lambda: scorer.get("/scoring")[1]["unreadable_records"] == 1)
    _, report = scorer.get("/scoring")
    assert (report["scored"], report["skipped"]) == (len(expected), len(WITHOUT_FEATURES))
    assert report["models"] == {CHURN: "version 3 scores"}
    assert scorer.end() == 0


async def test_an_event_becomes_a_prediction(platform: Platform) -> None:
    """Through the worker's windows: the event's user, on predictions.v1 and in the store."""
    promote(platform.settings.models_dir, version="1")
    scorer, worker = platform.start(), platform.start("worker")
    event = an_event("e1", user_id="17")
    producer = EventLogProducer(platform.address, [EVENTS.name], marks_dir=platform.root / "marks")
    producer.connect()
    await producer.append(EVENTS.name, [(partition_key(event), encode_event(event))])
    producer.close()
    platform.wait(lambda: platform.newest("17") is not None)
    newest = platform.newest("17")
    assert newest is not None
    assert newest.probability == pytest.approx(platform.expected()["17"], abs=1e-12)
    assert [record["entity_id"] for record in read_topic(platform.address, PREDICTIONS)] == ["17"]
    assert (scorer.end(), worker.end()) == (0, 0)


def test_scorer_waits_for_the_first_champion_and_changes_it_without_a_restart(platform: Platform) -> None:
    """Ready before there is a model, and nothing of what came meanwhile is lost; a corrupt one changes nothing."""
    append(platform.address, [(1, activity(["1", "2"]))])
    scorer = platform.start()
    platform.wait(lambda: scorer.is_ready)
    assert scorer.get("/health/ready")[1]["models"] == {CHURN: "none has been promoted yet"}
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
    platform.wait(lambda: "cannot be loaded" in scorer.get("/scoring")[1]["models"][CHURN])
    append(platform.address, [(1, activity(["2"]))])
    platform.wait(lambda: version_of("2") == "2")
    assert scorer.end() == 0


def test_scorer_killed_in_mid_stream_ends_with_the_newest_prediction_of_everyone(platform: Platform) -> None:
    """kill -9, three times: every household has the prediction of its last change; what was made twice has one id."""
    promote(platform.settings.models_dir, version="1")
    count = 12_000
    last_change = append_many_changes(platform, count)
    for _ in range(3):
        begun = platform.kept()

        def has_moved(begun: int = begun) -> bool:
            return platform.kept() > begun

        scorer = platform.start(ANALYTICS_STREAMING__SCORE_INTERVAL_S="0")
        platform.wait(has_moved)
        scorer.end(signal.SIGKILL)
    assert platform.kept() < count, "killed too late to show anything"
    scorer = platform.start()
    platform.wait(lambda: platform.kept() == count)
    check_newest_predictions(platform, last_change)
    assert scorer.end() == 0


def test_two_scorers_share_the_partitions_and_one_takes_over_from_the_other(platform: Platform) -> None:
    """One joins, one is killed: whoever owned what when, everyone's newest prediction is right."""
    promote(platform.settings.models_dir, version="1")
    first = platform.start()
    platform.wait(lambda: first.is_ready)
    append_many_changes(platform, 400)
    second = platform.start()

    def partitions() -> list[int]:
        reports = [scorer.get("/scoring")[1] for scorer in (first, second)]
        return sorted(len(report["partitions"]) for report in reports if report is not None)

    platform.wait(lambda: partitions() == [2, 2])
    last_change = append_many_changes(platform, 4_000, after=400)
    first.end(signal.SIGKILL)
    platform.wait(lambda: platform.kept() == 4_400, 60)
    check_newest_predictions(platform, last_change)
    assert second.end() == 0


def test_scorer_that_waits_for_a_model_stops_when_asked(platform: Platform) -> None:
    """And names the port that it has to a second one."""
    append(platform.address, [(1, activity(["1"]))])
    first = platform.start()
    platform.wait(lambda: first.is_ready)
    second = platform.start(ANALYTICS_STREAMING__SCORER_WEB_PORT=str(first.web_port))
    assert second.process.wait(30) == 1
    assert "ANALYTICS_STREAMING__SCORER_WEB_PORT" in second.log()
    assert "Traceback" not in second.log()
    assert first.end() == 0
    assert platform.kept() == 0
