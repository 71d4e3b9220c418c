"""The event schemas in this process: those in force, kept up to date beside the requests, and the registry."""

import asyncio
import contextlib
from typing import Any

from platform_assets.contracts.event_schemas.compatibility import Compatibility
from platform_assets.contracts.event_schemas.versions import SchemaVersion
from resources.event_schemas.folder import SchemaFolder
from resources.event_schemas.in_force import LOOK_INTERVAL_S, SchemasInForce, WatchedSchemas
from resources.event_schemas.registry import KnownSchema, Outcome, SchemaRegistry
from resources.identity.actor import Actor
from resources.identity.audit import AuditLog
from resources.settings import Settings
from resources.settings.api import UnknownEvents


class Schemas:
    """One per process. The folder is only looked at on threads: it may be a network's."""

    def __init__(self, settings: Settings, audit: AuditLog) -> None:
        """Raises OSError where the folder is there and cannot be read."""
        folder = SchemaFolder(settings.schemas_dir)
        refuses_unknown = settings.api.unknown_events is UnknownEvents.REJECT
        self._watched = WatchedSchemas(folder, refuses_unknown=refuses_unknown)
        self._registry = SchemaRegistry(folder, in_force_after_s=settings.schemas.in_force_after_s)
        self._audit = audit
        self._watch: asyncio.Task[None] | None = None

    @property
    def in_force(self) -> SchemasInForce:
        """What events are judged by, at most half a second old."""
        return self._watched.current

    def start(self) -> None:
        """Keep `in_force` up to date from now on."""
        self._watch = asyncio.create_task(self._keep_looking(), name="event-schemas-watch")

    async def stop(self) -> None:
        """No longer look."""
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch

    async def known(self) -> tuple[dict[str, list[KnownSchema]], dict[str, str]]:
        """As `SchemaRegistry.known`."""
        return await asyncio.to_thread(self._registry.known)

    async def find(self, event_name: str, version: int | None) -> KnownSchema:
        """As `SchemaRegistry.find`."""
        return await asyncio.to_thread(self._registry.find, event_name, version)

    async def register(
        self, event_name: str, document: dict[str, Any], *, promise: Compatibility, by: Actor, dry_run: bool
    ) -> tuple[SchemaVersion, Outcome]:
        """As `SchemaRegistry.register`; what is registered stands in the audit log.

        Raises:
            IdentityUnavailable: the audit log cannot be written, besides what the registry raises.
        """

        def register(dry_run: bool) -> tuple[SchemaVersion, Outcome]:
            return self._registry.register(event_name, document, promise=promise, by=by.id, dry_run=dry_run)

        # Looked at first: only what would be registered waits for its turn in the audit log.
        version, outcome = await asyncio.to_thread(register, True)
        if dry_run or outcome is Outcome.UNCHANGED:
            return version, outcome
        async with self._audit.change(by) as change:
            version, outcome = await asyncio.to_thread(register, False)
            if outcome is Outcome.REGISTERED:
                change.record("schema.registered", event_name, version=version.version, compatibility=promise.value)
        await asyncio.to_thread(self._watched.look)
        return version, outcome

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK_INTERVAL_S)
            await asyncio.to_thread(self._watched.look)
