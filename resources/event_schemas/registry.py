"""Registers a new version where it keeps its promise, and tells what there is, the built-in contracts included."""

import datetime as dt
import enum
from dataclasses import dataclass
from typing import Any

import msgspec

from platform_assets.contracts.event_schemas.built_in import built_in_schemas
from platform_assets.contracts.event_schemas.compatibility import Compatibility, Violation, violations_of
from platform_assets.contracts.event_schemas.versions import SchemaVersion, is_same_document
from platform_assets.contracts.events import Name
from resources.event_schemas.compiled import CompiledSchema, compile_version
from resources.event_schemas.folder import SchemaFolder

BUILT_IN_VERSION = 1


class UnknownSchema(LookupError):
    """There is no such event name or version among the schemas."""


class BuiltInSchema(ValueError):
    """The event name has a contract in the platform's code."""


class DamagedSchemas(RuntimeError):
    """A file of this event name cannot be read, so nothing can be compared with it."""


class IncompatibleSchema(ValueError):
    """The schema breaks its promise about the version before; `violations` says how."""

    def __init__(self, before: SchemaVersion, promise: Compatibility, violations: list[Violation]) -> None:
        super().__init__(
            f"This schema is not {promise.value}-compatible with version {before.version} of {before.event_name}: "
            + "; ".join(map(str, violations))
        )
        self.before = before
        self.violations = violations


class Outcome(enum.StrEnum):
    """What a registration came to."""

    REGISTERED = "registered"
    UNCHANGED = "unchanged"
    CHECKED = "checked"


@dataclass(frozen=True)
class KnownSchema:
    """A version of an event's schema; a built-in contract has no registration."""

    event_name: str
    version: int
    document: dict[str, Any]
    registered: SchemaVersion | None


class SchemaRegistry:
    """The schemas of one deployment."""

    def __init__(self, folder: SchemaFolder, *, in_force_after_s: float) -> None:
        self._folder = folder
        self._in_force_after = dt.timedelta(seconds=in_force_after_s)

    def known(self) -> tuple[dict[str, list[KnownSchema]], dict[str, str]]:
        """Every schema by event name, versions ascending; and by file name what cannot be read. Raises OSError."""
        contents = self._folder.read()
        built_in = {name: self._versions(name) for name in built_in_schemas()}
        registered = {name: [_known(schema) for schema in found] for name, found in contents.schemas.items()}
        return dict(sorted((built_in | registered).items())), contents.faults

    def find(self, event_name: str, version: int | None = None) -> KnownSchema:
        """One version, by default the newest.

        Raises:
            UnknownSchema: it is not there.
            OSError: the folder cannot be read.
        """
        versions = self._versions(event_name)
        if not versions:
            raise UnknownSchema(f"No schema of {event_name} is registered; its events are generic.")
        found = [known for known in versions if version in {None, known.version}]
        if not found:
            raise UnknownSchema(f"{event_name} has no version {version}; the newest is {versions[-1].version}.")
        return found[-1]

    def _versions(self, event_name: str) -> list[KnownSchema]:
        if (document := built_in_schemas().get(event_name)) is not None:
            return [KnownSchema(event_name, BUILT_IN_VERSION, document, None)]
        return [_known(schema) for schema in self._folder.read(event_name).schemas.get(event_name, [])]

    def register(
        self, event_name: str, document: Any, *, promise: Compatibility, by: str, dry_run: bool = False
    ) -> tuple[SchemaVersion, Outcome]:
        """Make this schema the next version, in force some seconds later. The newest version again is no new one.

        Raises:
            BuiltInSchema: the name belongs to a built-in contract.
            UnsupportedSchema: the schema or the name is outside what is supported.
            IncompatibleSchema: it breaks its promise.
            DamagedSchemas, SchemasReadOnly, VersionTaken, OSError: it cannot be stored.
        """
        if event_name in built_in_schemas():
            raise BuiltInSchema(f"{event_name} has a built-in contract, which changes with the platform's code only.")
        msgspec.convert(event_name, Name)
        contents = self._folder.read(event_name)
        for name, fault in contents.faults.items():
            raise DamagedSchemas(f"{name} cannot be read ({fault}); repair it first.")
        versions = contents.schemas.get(event_name, [])
        before = versions[-1] if versions else None
        now = dt.datetime.now(dt.UTC)
        proposed = compile_version(
            SchemaVersion(
                event_name=event_name,
                version=before.version.version + 1 if before else 1,
                compatibility=promise,
                registered_at=now,
                in_force_from=now + self._in_force_after,
                registered_by=by,
                document=document,
            )
        )
        if before is not None:
            if is_same_document(document, before.version.document):
                return before.version, Outcome.UNCHANGED
            if violations := violations_of(before.shape, proposed.shape, promise):
                raise IncompatibleSchema(before.version, promise, violations)
        if dry_run:
            return proposed.version, Outcome.CHECKED
        self._folder.publish(proposed.version)
        return proposed.version, Outcome.REGISTERED


def _known(schema: CompiledSchema) -> KnownSchema:
    version = schema.version
    return KnownSchema(version.event_name, version.version, version.document, version)
