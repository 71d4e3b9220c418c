"""The gate in front of ingestion: a file that pauses every door on this data folder.

The local supervisor closes it to drain, or to recycle the embedded broker, and opens it again:

    gate.close("recycling the broker")   # new requests get 503 and Retry-After
    ...wait until each door reports no request in flight (/health/ready, parts.ingestion.in_flight)...
    ...drain, end the broker, start the new one, make its topics...
    gate.open()                          # doors connect anew before they append again

Opening it leaves a new generation behind. A door that sees another generation than the one it connected under knows
that the broker may have forgotten its log meanwhile.
"""

import os
import uuid
from pathlib import Path

from resources.settings.tree import Settings

RETRY_AFTER_S = 1


class IngestionGate:
    """The gate of one data folder. Every call is a file system call or two: microseconds."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._paused = state_dir / "ingestion.paused"
        self._generation = state_dir / "ingestion.generation"
        self._read: tuple[tuple[int, int], str] | None = None

    @classmethod
    def of(cls, settings: Settings) -> "IngestionGate":
        """The gate of the data folder that the settings name."""
        return cls(settings.state_dir)

    def is_open(self) -> bool:
        """Whether events are taken now."""
        # Path.exists costs three times as much, and this stands in every request's way.
        try:
            os.stat(self._paused)  # noqa: PTH116
        except FileNotFoundError:
            return True
        return False

    def reason(self) -> str | None:
        """Why the gate is closed; None while it is open."""
        try:
            return self._paused.read_text()
        except FileNotFoundError:
            return None

    def generation(self) -> str:
        """Changes each time the gate opens after a pause; empty before the first."""
        # Every request asks. The file is only ever replaced as a whole, so it is read once and looked at after that.
        try:
            found = os.stat(self._generation)  # noqa: PTH116
            version = (found.st_ino, found.st_mtime_ns)
            if self._read is None or self._read[0] != version:
                self._read = (version, self._generation.read_text())
        except FileNotFoundError:
            return ""
        return self._read[1]

    def close(self, reason: str) -> None:
        """Pause ingestion. `reason` is shown to the clients."""
        self._write(self._paused, reason)

    def open(self) -> None:
        """Take events again. Opening an open gate changes nothing."""
        if self.is_open():
            return
        # The generation first: a door that finds the gate open must find the new one.
        self._write(self._generation, uuid.uuid4().hex)
        self._paused.unlink(missing_ok=True)

    def _write(self, path: Path, text: str) -> None:
        self._state_dir.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        temporary.write_text(text)
        temporary.replace(path)
