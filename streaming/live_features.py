"""Live features on their way to the online store: the newest window of each key, written about once a second."""

import threading
from collections.abc import Iterable

from platform_assets.contracts.features import FEATURE_SETS, LiveFeatureSet
from platform_assets.features.live import LIVE_WINDOWS
from resources.online_store import LiveStore
from resources.online_store.live import WindowRow

READ_WINDOWS = frozenset(
    name
    for feature_set in FEATURE_SETS.values()
    if isinstance(feature_set, LiveFeatureSet)
    for name in feature_set.windows
)
"""The definitions that some live feature set reads; the others are not kept."""

# Some 300 bytes each. Only a store that fails for long gets here; a key that is left out comes with its next change.
MAX_WAITING_KEYS = 500_000


class LiveFeatures:
    """What changed since the last write. `update` and `flush` may be called from different threads.

    Memory is one row per definition and key that changed since the last successful flush, up to the limit.
    """

    def __init__(self, store: LiveStore, *, max_keys: int = MAX_WAITING_KEYS) -> None:
        self._store = store
        self._max_keys = max_keys
        self._lock = threading.Lock()
        self._waiting: dict[str, dict[str, WindowRow]] = {name: {} for name in READ_WINDOWS}
        self._left_out = 0

    def update(self, definition_name: str, rows: Iterable[WindowRow]) -> None:
        """Remember the newest window of each key; rows are those of a record of `windows.v1`, kept as they are.

        Cheap enough for every micro-batch: 2,500 rows take about half a millisecond. Rows without a key and
        definitions that no live feature set reads are passed over.
        """
        if definition_name not in READ_WINDOWS:
            return
        with self._lock:
            # Looked up under the lock: `flush` takes the dictionary away, and what came into it then would be lost.
            self._remember(self._waiting[definition_name], rows)

    def flush(self) -> int:
        """Write what changed and return the number of rows.

        Raises:
            OnlineStoreError: not everything was written; what was not is kept for the next call.
        """
        written = 0
        for name in READ_WINDOWS:
            with self._lock:
                taken, self._waiting[name] = self._waiting[name], {}
            if not taken:
                continue
            try:
                self._store.put_live(LIVE_WINDOWS[name], taken.values())
            except BaseException:
                with self._lock:
                    newer, self._waiting[name] = self._waiting[name], taken
                    self._remember(taken, newer.values())
                raise
            written += len(taken)
        return written

    @property
    def waiting(self) -> int:
        """Rows that are not written yet."""
        return sum(map(len, self._waiting.values()))

    @property
    def left_out(self) -> int:
        """Rows that the limit on memory kept out, since the start."""
        return self._left_out

    def _remember(self, waiting: dict[str, WindowRow], rows: Iterable[WindowRow]) -> None:
        for row in rows:
            key = row[0]
            if key is None:
                continue
            kept = waiting.get(key)
            if kept is None and len(waiting) >= self._max_keys:
                self._left_out += 1
            elif kept is None or row[2] >= kept[2]:
                waiting[key] = row
