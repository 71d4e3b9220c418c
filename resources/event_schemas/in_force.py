"""Judges payloads by the registered schemas, at the door and in the stream.

An event is judged by the version that was in force when the door received it. So both come to one verdict, a record
that is read again is judged as it was before, and a new version says nothing about events from before it.
"""

import datetime as dt
import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any

from platform_assets.contracts.payloads import PAYLOAD_CONTRACTS
from resources.event_schemas.compiled import CompiledSchema
from resources.event_schemas.folder import Listing, SchemaFolder

# With the time that a registration takes to come into force (ANALYTICS_SCHEMAS__IN_FORCE_AFTER_S) all have it by then.
LOOK_INTERVAL_S = 0.5

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)

logger = logging.getLogger(__name__)


class SchemasInForce:
    """What was registered at one moment. Never changed, so threads may share it."""

    def __init__(
        self, schemas: Mapping[str, Iterable[CompiledSchema]] | None = None, *, refuses_unknown: bool = False
    ) -> None:
        """With `refuses_unknown` an event name without a schema or built-in contract is a fault."""
        newest_first = {name: sorted(found, key=_number, reverse=True) for name, found in (schemas or {}).items()}
        self._versions = {
            name: [((schema.version.in_force_from - _EPOCH) // _MICROSECOND, schema) for schema in found]
            for name, found in newest_first.items()
        }
        self.names = frozenset(self._versions)
        self._refuses_unknown = refuses_unknown

    def fault(self, event_name: str, payload: dict[str, Any], received_us: int) -> str | None:
        """Why the event cannot be taken; None where it can. The time is in microseconds since the epoch.

        The built-in contracts are not asked here: `decode_event` and `decode_new_event` do that.
        """
        versions = self._versions.get(event_name)
        if versions is not None:
            for in_force_from_us, schema in versions:
                if in_force_from_us <= received_us:
                    return schema.fault(payload)
        return self._unknown(event_name) if self._refuses_unknown else None

    def _unknown(self, event_name: str) -> str | None:
        if event_name in PAYLOAD_CONTRACTS:
            return None
        return (
            f"No schema of {event_name} is in force, and unknown event names are refused here; register one with "
            f"POST /v1/schemas/{event_name}, or set ANALYTICS_API__UNKNOWN_EVENTS=accept"
        )


NO_SCHEMAS = SchemasInForce()


class WatchedSchemas:
    """The schemas of a folder, kept up to date by looking at what is in it."""

    def __init__(self, folder: SchemaFolder, *, refuses_unknown: bool = False) -> None:
        """Raises OSError where the folder is there and cannot be read."""
        self._folder = folder
        self._refuses_unknown = refuses_unknown
        self._listing: Listing = ()
        self._unreadable = False
        self.current = SchemasInForce(refuses_unknown=refuses_unknown)
        self._take(folder.listing())
        self._looked = time.monotonic()

    def newest(self) -> SchemasInForce:
        """For a process that reads in batches: look first, if the last look was half a second ago."""
        if time.monotonic() - self._looked >= LOOK_INTERVAL_S:
            self.look()
        return self.current

    def look(self) -> None:
        """Take what is new. While the folder cannot be read, what was in force stays so."""
        self._looked = time.monotonic()
        try:
            listing = self._folder.listing()
            if listing != self._listing:
                self._take(listing)
        except OSError as error:
            if not self._unreadable:
                logger.error("The folder of schemas cannot be read; those known stay in force", exc_info=error)
            self._unreadable = True
        else:
            self._unreadable = False

    def _take(self, listing: Listing) -> None:
        # Listed before it is read: what comes in between makes the next look differ.
        contents = self._folder.read()
        for name, fault in contents.faults.items():
            logger.error("A schema cannot be read and is not in force", extra={"file": name, "fault": fault})
        if gone := sorted({name for name, *_ in self._listing} - {name for name, *_ in listing}):
            logger.warning("Schemas are gone and no longer in force", extra={"files": gone})
        self._listing = listing
        self.current = SchemasInForce(contents.schemas, refuses_unknown=self._refuses_unknown)


def microseconds_of(time: dt.datetime) -> int:
    """A time of the door as `SchemasInForce.fault` takes it."""
    return (time - _EPOCH) // _MICROSECOND


def _number(schema: CompiledSchema) -> int:
    return schema.version.version
