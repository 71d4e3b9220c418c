"""The worker knows which log it reads, and says so when the id or the log is not what it has to be."""

import pytest

from resources.event_log.topics import Log, LogUnavailable
from streaming import incarnations
from streaming.incarnations import Incarnations, LogReplaced, UnusableLogId


def answer(monkeypatch: pytest.MonkeyPatch, log: str) -> None:
    """Let the broker hold one incarnation of the topic."""
    monkeypatch.setattr(incarnations, "describe_logs", lambda *_, **__: {"t": Log("t", log, 1)})


def test_incarnation_that_cannot_name_a_folder_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a slash in it the files would land one folder deeper than every reader looks."""
    answer(monkeypatch, "AaIG/w")
    with pytest.raises(UnusableLogId, match="URL-safe"):
        Incarnations("unused:1").describe(["t"])
    answer(monkeypatch, "AaIG_w")
    assert Incarnations("unused:1").describe(["t"])["t"].log == "AaIG_w"


def test_incarnation_is_verified_after_the_fetch_and_before_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another id means that what was buffered may be of either log."""
    answer(monkeypatch, "new")
    Incarnations("unused:1").verify({("t", "new")})
    with pytest.raises(LogReplaced, match=r"log new.*read old"):
        Incarnations("unused:1").verify({("t", "old")})


def test_incarnation_of_a_broker_that_is_away_counts_as_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was fetched before it went away is landed, since the broker may never have it again."""

    def away(*_: object, **__: object) -> None:
        raise LogUnavailable("away")

    monkeypatch.setattr(incarnations, "describe_logs", away)
    Incarnations("unused:1").verify({("t", "old")})
