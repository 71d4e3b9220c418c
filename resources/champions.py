"""The champion of each model, loaded off the event loop and swapped when another is promoted.

For every process that serves: the API and the scorer. Importing this does not import scikit-learn; a load does.
"""

import asyncio
import contextlib
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from platform_assets.modeling.export import ServableModel

# How soon a promotion is seen. A look is one stat.
CHECK_INTERVAL_S = 1.0
# A champion that failed to load is tried again: the cause may have been the machine's, not the file's.
RETRY_INTERVAL_S = 30.0

logger = logging.getLogger(__name__)

Signature = tuple[int, int, int]


class Champion:
    """One model's champion. Whoever serves reads `current`; a task keeps it current.

    A champion that cannot be loaded leaves the one before it in place and is logged once; a pointer that
    went away leaves it too.
    """

    def __init__(self, models_dir: Path, model: str) -> None:
        self.model = model
        self.fault: str | None = None
        self.current: ServableModel | None = None
        self._models_dir = models_dir
        self._pointer = models_dir / model / "champion.json"
        self._seen: Signature | None = None
        self._tried_at = 0.0
        self._looked = asyncio.Event()
        self._watcher: asyncio.Task[None] | None = None

    @property
    def has_looked(self) -> bool:
        """Whether the first look is over, so that `current` means something."""
        return self._looked.is_set()

    def start(self) -> None:
        """Load in the background and keep watch."""
        self._watcher = asyncio.create_task(self._watch(), name=f"champion-{self.model}")

    async def stop(self) -> None:
        """End the watch."""
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher

    async def first_look(self, timeout_s: float) -> None:
        """Wait until the first look is over.

        Raises:
            TimeoutError: it takes longer than that.
        """
        await asyncio.wait_for(self._looked.wait(), timeout_s)

    async def _watch(self) -> None:
        while True:
            await asyncio.to_thread(self._look)
            self._looked.set()
            await asyncio.sleep(CHECK_INTERVAL_S)

    def _look(self) -> None:
        try:
            signature = self._sign()
            if signature is None or (signature == self._seen and not self._is_retry_due()):
                return
            self._seen = signature
            self._load()
        except Exception as error:
            # CorruptModel, or whatever else a damaged disk leads to: the one before goes on serving.
            self._tried_at = time.monotonic()
            if self.fault != str(error):
                self.fault = str(error)
                serving = self.current and self.current.manifest.version
                logger.exception(
                    "A champion of %s could not be loaded; still serving: %s",
                    self.model,
                    serving,
                    extra={"model": self.model, "still_serving": serving},
                )

    def _is_retry_due(self) -> bool:
        return self.fault is not None and time.monotonic() - self._tried_at >= RETRY_INTERVAL_S

    def _load(self) -> None:
        # Here, not above: scikit-learn takes a second or two to import, and the process opens its door meanwhile.
        from platform_assets.modeling.export import load_champion

        loaded = load_champion(self._models_dir, self.model)
        if loaded is None:
            return
        previous = self.current and self.current.manifest.version
        self.current, self.fault = loaded, None
        logger.info(
            "Champion of %s loaded: version %s after %s",
            self.model,
            loaded.manifest.version,
            previous,
            extra={"model": self.model, "version": loaded.manifest.version, "previous": previous},
        )

    def _sign(self) -> Signature | None:
        """Tells one pointer file from the next: each is a new file, put in place by a rename."""
        try:
            status = os.stat(self._pointer)  # noqa: PTH116
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size
