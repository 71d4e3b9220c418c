"""Live features between the windows and the store: the newest per key, nothing lost, bounded."""

import contextlib
import itertools
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from platform_assets.contracts.features import CUSTOMER_LIVE
from platform_assets.contracts.windows import WindowDefinition
from resources.online_store import OnlineStoreError, SqliteLiveStore
from resources.online_store.live import WindowRow
from streaming.live_features import LiveFeatures

MINUTE = 60_000


class FailingStore(SqliteLiveStore):
    """Fails as many times as it is told to."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.failures = 0

    def put_live(self, definition: WindowDefinition, rows: Iterable[WindowRow]) -> None:
        if self.failures > 0:
            self.failures -= 1
            raise OnlineStoreError("the disk is full")
        super().put_live(definition, rows)


@pytest.fixture
def store(tmp_path: Path) -> FailingStore:
    """A real store on a file that is not there yet."""
    return FailingStore(tmp_path / "serving" / "live.sqlite")


def events_of(store: SqliteLiveStore, key: str) -> float | None:
    """The live count of the newest minute."""
    found = store.get_live(CUSTOMER_LIVE, [key])
    return found[key].values["events_1m"] if key in found else None


def test_live_features_write_the_newest_window_of_each_key(store: FailingStore) -> None:
    """Two minutes of one key, and two states of one minute: the last state of the last minute is written, once."""
    live = LiveFeatures(store)
    live.update("user_activity_1m", [["u1", MINUTE, 2 * MINUTE, 4, 9.0], ["u1", 0, MINUTE, 7, 1.0]])
    live.update("user_activity_1m", [["u1", MINUTE, 2 * MINUTE, 5, 10.0], ["u2", 0, MINUTE, 1, None]])
    assert live.waiting == 2
    assert live.flush() == 2
    assert (events_of(store, "u1"), events_of(store, "u2")) == (5.0, 1.0)
    assert live.flush() == live.waiting == 0


def test_live_features_pass_over_null_keys_and_windows_that_no_feature_reads(store: FailingStore) -> None:
    live = LiveFeatures(store)
    live.update("store_sales_1h", [["s1", 0, 60 * MINUTE, 4, 9.0, 1.0, 2.0]])
    live.update("user_activity_1m", [[None, 0, MINUTE, 4, 9.0]])
    assert live.flush() == 0


def test_live_features_keep_what_the_store_did_not_take(store: FailingStore) -> None:
    """A failed write is written by the next call, and never over what changed meanwhile."""
    live = LiveFeatures(store)
    live.update("user_activity_1m", [["u1", 0, MINUTE, 1, 0.0], ["u2", 0, MINUTE, 1, 0.0]])
    store.failures = 1
    with pytest.raises(OnlineStoreError):
        live.flush()
    live.update("user_activity_1m", [["u1", 0, MINUTE, 2, 0.0]])
    assert live.waiting == 2
    assert live.flush() == 2
    assert (events_of(store, "u1"), events_of(store, "u2")) == (2.0, 1.0)


class FlushedBefore:
    """A lock before which, the first time, another thread has got in with a flush."""

    def __init__(self, live: LiveFeatures) -> None:
        self._live, self._lock, self._is_first = live, live._lock, True

    def __enter__(self) -> None:
        if self._is_first:
            self._is_first, self._live._lock = False, self._lock
            self._live.flush()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_live_features_keep_what_comes_while_a_flush_takes_the_others(store: FailingStore) -> None:
    """The worker once wrote into the rows that were just being encoded: with 50,000 users it crashed."""
    live = LiveFeatures(store)
    live.update("user_activity_1m", [["u1", 0, MINUTE, 1, 0.0]])
    live._lock = FlushedBefore(live)  # type: ignore[assignment]
    live.update("user_activity_1m", [["u2", 0, MINUTE, 3, 0.0]])
    assert live.flush() == 1
    assert (events_of(store, "u1"), events_of(store, "u2")) == (1.0, 3.0)


def test_live_features_hold_a_bounded_number_of_keys(store: FailingStore) -> None:
    """Known keys go on being kept; new ones beyond the limit are counted."""
    live = LiveFeatures(store, max_keys=3)
    live.update("user_activity_1m", [[f"u{n}", 0, MINUTE, 1, 0.0] for n in range(5)])
    live.update("user_activity_1m", [["u0", 0, MINUTE, 2, 0.0]])
    assert (live.waiting, live.left_out) == (3, 2)
    assert live.flush() == 3
    assert events_of(store, "u0") == 2.0


def test_live_features_lose_nothing_between_two_threads(store: FailingStore) -> None:
    """One thread counts every key up while another writes, and sometimes fails: the store ends with the last counts."""
    live = LiveFeatures(store)
    done = threading.Event()

    def write() -> None:
        for turn in itertools.count():
            store.failures = turn % 2
            with contextlib.suppress(OnlineStoreError):
                live.flush()
            if done.is_set():
                return

    writer = threading.Thread(target=write)
    writer.start()
    for count in range(1, 201):
        live.update("user_activity_1m", [[f"u{n}", 0, MINUTE, count, 0.0] for n in range(50)])
    done.set()
    writer.join()
    store.failures = 0
    live.flush()
    assert {events_of(store, f"u{n}") for n in range(50)} == {200.0}


def test_remembering_a_micro_batch_takes_little_of_the_work_thread() -> None:
    """Half a millisecond for 2,500 rows on a quiet machine; generous for a busy one."""
    live = LiveFeatures(SqliteLiveStore(Path("unused")))
    rows = [[f"u{n}", 0, MINUTE, 1, 0.0] for n in range(2500)]
    taken = []
    for _ in range(20):
        begun = time.perf_counter()
        live.update("user_activity_1m", rows)
        taken.append(time.perf_counter() - begun)
    assert sorted(taken)[10] < 0.005
