"""What the Faust apps of the worker and the scorer have in common."""

from pathlib import Path
from typing import Any

import faust
from faust.tables import TableManager

from resources.settings import Settings
from streaming.microbatch import SCHEME

# Half a megabyte of compressed events is some 6,000; more of them in the way take memory and, cold, more time.
FETCH_BYTES = 1 << 19
WAITING_BATCHES = 2
METADATA_MAX_AGE_MS = 3_000

LEANS_ON: tuple[str, ...] = (
    "faust.tables.manager.TableManager.on_start",
    "faust.tables.manager.TableManager._update_channels",
)
"""Internals of Faust that `NoTables` relies on, as `streaming.microbatch.LEANS_ON`."""


class NoTables(TableManager):
    """Starts at once. Faust's own gives an app's tables a second to register before the consumer joins its group."""

    async def on_start(self) -> None:
        """Let the consumer subscribe. Raises RuntimeError where the app has a table after all."""
        if self:
            raise RuntimeError(f"Apps of micro-batches keep no Faust tables; this one has {', '.join(sorted(self))}")
        await self._update_channels()
        await self.recovery.start()


def new_app(app_id: str, settings: Settings, folder: Path, *, web_port: int, **options: Any) -> Any:
    """A Faust app on the transport of micro-batches, with its own files in a folder; nothing is contacted yet.

    `options` are Faust's own.
    """
    return faust.App(
        app_id,
        broker=[f"{SCHEME}://{server.strip()}" for server in settings.kafka.address.split(",")],
        datadir=folder,
        TableManager=NoTables,
        store="memory://",
        consumer_max_fetch_size=FETCH_BYTES,
        # A Kafka that has just restarted tells the group of no topics at first, and the leader hands out nothing; it
        # looks again this often. At the default of five minutes nothing landed meanwhile.
        consumer_metadata_max_age_ms=METADATA_MAX_AGE_MS,
        broker_session_timeout=settings.streaming.session_timeout_s,
        broker_heartbeat_interval=min(1.0, settings.streaming.session_timeout_s / 3),
        broker_commit_interval=2.0,
        stream_buffer_maxsize=WAITING_BATCHES,
        stream_recovery_delay=0.0,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_bind="127.0.0.1",
        web_host="127.0.0.1",
        web_port=web_port,
        worker_redirect_stdouts=False,
        **options,
    )
