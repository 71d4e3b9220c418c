"""Sends lineage events to the catalogue that the settings name, by OpenLineage's own client.

Only a process beside the runs may call this: a catalogue that is slow costs it the time-out, and never a run.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from resources.settings import Settings
from resources.settings.lineage import LineageEvents

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent
    from openlineage.client.transport import Transport


class CatalogueUnreachable(RuntimeError):
    """An event could not be sent; those behind it were not tried."""


class LineageEmitter:
    """Sends events in their order and stops at the first that cannot be sent."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def send(self, events: "Iterable[RunEvent]") -> int:
        """Send events; returns how many.

        Raises:
            CatalogueUnreachable: naming the catalogue and the cause; the rest is not tried, since each would wait.
        """
        from openlineage.client import OpenLineageClient

        transport = self._transport()
        if transport is None:
            return 0
        client = OpenLineageClient(transport=transport)
        sent = 0
        try:
            for event in events:
                client.emit(event)
                sent += 1
        # The client raises what its transport does: requests' errors, operating system errors and its own.
        except Exception as error:
            raise CatalogueUnreachable(
                f"{self._target()} took {sent} lineage events and then failed: {type(error).__name__}: {error}"
            ) from error
        return sent

    def _transport(self) -> "Transport | None":
        from openlineage.client.transport.file import FileConfig, FileTransport
        from openlineage.client.transport.http import ApiKeyTokenProvider, HttpConfig, HttpTransport

        chosen = self._settings.lineage
        if chosen.events is LineageEvents.FILE:
            path = self._path()
            path.parent.mkdir(parents=True, exist_ok=True)
            return FileTransport(FileConfig(log_file_path=str(path), append=True))
        if chosen.events is LineageEvents.HTTP and chosen.url is not None:
            config = HttpConfig(url=chosen.url, timeout=chosen.timeout_s, retry={"total": 0})
            if chosen.api_key is not None:
                config.auth = ApiKeyTokenProvider({"apiKey": chosen.api_key.get_secret_value()})
            return HttpTransport(config)
        return None

    def _path(self) -> Path:
        return self._settings.lineage.file or self._settings.root / "lineage" / "events.jsonl"

    def _target(self) -> str:
        if self._settings.lineage.events is LineageEvents.FILE:
            return f"The file {self._path()}"
        return "The catalogue of ANALYTICS_LINEAGE__URL"
