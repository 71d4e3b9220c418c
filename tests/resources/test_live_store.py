"""The store of live features: the newest window wins, replays change nothing, reads and writes are quick."""

import datetime as dt
import time
from pathlib import Path
from typing import Any

import pytest

from platform_assets.contracts.features import CUSTOMER_LIVE
from platform_assets.features.live import LIVE_WINDOWS
from resources.online_store import LiveStore, LiveVector, OnlineStoreError, SqliteLiveStore

ACTIVITY, SESSION = LIVE_WINDOWS["user_activity_1m"], LIVE_WINDOWS["user_session_30m"]
MINUTE = 60_000
GAP = SESSION.size_ms


@pytest.fixture
def store(tmp_path: Path) -> SqliteLiveStore:
    """A store whose file does not exist yet."""
    return SqliteLiveStore(tmp_path / "serving" / "live.sqlite")


def get(store: LiveStore, entity_id: str) -> LiveVector | None:
    return store.get_live(CUSTOMER_LIVE, [entity_id]).get(entity_id)


def session(key: str, first_ms: int, last_ms: int, *values: Any) -> list[Any]:
    return [key, first_ms, last_ms + GAP, *values]


def test_store_knows_nobody_before_anything_was_stored(store: SqliteLiveStore) -> None:
    assert get(store, "u1") is None


def test_live_vector_joins_the_windows_of_an_entity(store: SqliteLiveStore) -> None:
    """As of the last purchase, which the session knows to the millisecond."""
    store.put_live(ACTIVITY, [["u1", MINUTE, 2 * MINUTE, 3, 12.5], ["u2", MINUTE, 2 * MINUTE, 1, None]])
    store.put_live(SESSION, [session("u1", 30_000, 61_500, 2, 12.5, 4)])
    found = get(store, "u1")
    assert found is not None
    assert found.as_of == dt.datetime.fromtimestamp(61.5, dt.UTC)
    assert found.values == {
        "events_1m": 3.0, "sales_1m": 12.5, "session_lines": 2.0, "session_sales": 12.5, "session_units": 4.0
    }  # fmt: skip
    other = get(store, "u2")
    assert other is not None
    assert other.values == {**dict.fromkeys(CUSTOMER_LIVE.feature_names, 0.0), "events_1m": 1.0}


def test_session_that_is_over_is_no_current_session(store: SqliteLiveStore) -> None:
    """An hour later the household looks at a page: events again, and no session."""
    store.put_live(SESSION, [session("u1", 0, 1_000, 2, 12.5, 4)])
    store.put_live(ACTIVITY, [["u1", 60 * MINUTE, 61 * MINUTE, 1, None]])
    found = get(store, "u1")
    assert found is not None
    assert (found.values["events_1m"], found.values["session_lines"]) == (1.0, 0.0)


def test_older_window_never_replaces_a_newer_one(store: SqliteLiveStore) -> None:
    """A replay after a crash passes through the past again; the same window's later state replaces the earlier."""
    store.put_live(ACTIVITY, [["u1", 5 * MINUTE, 6 * MINUTE, 3, 1.0]])
    store.put_live(ACTIVITY, [["u1", 4 * MINUTE, 5 * MINUTE, 99, 1.0]])
    store.put_live(ACTIVITY, [["u1", 5 * MINUTE, 6 * MINUTE, 4, 1.0]])
    found = get(store, "u1")
    assert found is not None
    assert found.values["events_1m"] == 4.0


def test_windows_that_a_restarted_worker_does_not_know_are_kept(store: SqliteLiveStore) -> None:
    """It writes the minute alone; the session of the worker before it stands."""
    store.put_live(SESSION, [session("u1", 0, 30_000, 2, 12.5, 4)])
    SqliteLiveStore(store._database._path).put_live(ACTIVITY, [["u1", 0, MINUTE, 3, 12.5]])
    found = get(store, "u1")
    assert found is not None
    assert found.values["session_sales"] == 12.5


def test_store_goes_on_after_its_file_was_taken_away(store: SqliteLiveStore, tmp_path: Path) -> None:
    """The data folder was emptied under a running worker."""
    store.put_live(ACTIVITY, [["u1", 0, MINUTE, 1, None]])
    for file in (tmp_path / "serving").iterdir():
        file.unlink()
    store.put_live(ACTIVITY, [["u2", 0, MINUTE, 1, None]])
    assert get(store, "u1") is None
    assert get(store, "u2") is not None


def test_failed_write_changes_nothing_and_says_so(tmp_path: Path) -> None:
    """The folder is a file."""
    (tmp_path / "serving").write_text("in the way")
    with pytest.raises(OnlineStoreError, match=r"live\.sqlite was not written"):
        SqliteLiveStore(tmp_path / "serving" / "live.sqlite").put_live(ACTIVITY, [])


def test_store_reads_in_a_millisecond_and_writes_5000_windows_in_50(store: SqliteLiveStore) -> None:
    """0.03 ms and 20 ms on a quiet machine; the limits are the promise, asked of the median for busy ones."""
    writes, reads = [], []
    for round_ in range(5):
        rows = [[f"u{n}", round_ * MINUTE, (round_ + 1) * MINUTE, n, 1.5] for n in range(5000)]
        begun = time.perf_counter()
        store.put_live(ACTIVITY, rows)
        writes.append(time.perf_counter() - begun)
    for n in range(1000):
        begun = time.perf_counter()
        assert get(store, f"u{n}") is not None
        reads.append(time.perf_counter() - begun)
    assert sorted(writes)[2] < 0.05
    assert sorted(reads)[500] < 0.001
