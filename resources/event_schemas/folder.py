"""One flat folder with a file per version, `<event_name>.v<version>.json`, never changed once it is there.

Any number of processes read it, and know from a listing whether there is something new. Publishing takes a name
that was free, so of two processes that register the same version one is told. Where the folder is mounted from
elsewhere (a ConfigMap, a read-only volume) the files come from there; a file's name fits as a ConfigMap's key.
"""

import contextlib
import errno
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from platform_assets.contracts.event_schemas.keywords import UnsupportedSchema
from platform_assets.contracts.event_schemas.versions import SchemaVersion, decode_version, encode_version
from platform_assets.contracts.payloads import PAYLOAD_CONTRACTS
from resources import durable_files
from resources.event_schemas.compiled import CompiledSchema, compile_version

_FILE = re.compile(r"(?P<event>[A-Za-z][A-Za-z0-9_.-]{0,127})\.v(?P<version>[1-9][0-9]{0,4})\.json\Z")
_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}


Listing = tuple[tuple[str, int, int], ...]
"""Names with modification time and size: a file that was broken may be repaired in place."""


class SchemasReadOnly(RuntimeError):
    """The folder cannot be written here."""


class VersionTaken(RuntimeError):
    """Somebody else registered this version first."""


@dataclass(frozen=True)
class Contents:
    """The readable versions by event name, ascending, and for each other file what is wrong with it."""

    schemas: dict[str, list[CompiledSchema]] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)


class SchemaFolder:
    """The folder of one deployment."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def listing(self) -> Listing:
        """The files that are there, to be compared with a later look; none in a folder that is not. Raises OSError."""
        try:
            entries = os.scandir(self.root)
        except FileNotFoundError:
            return ()
        found: list[tuple[str, int, int]] = []
        with entries:
            for entry in entries:
                if _FILE.match(entry.name):
                    # One that goes while it is looked at, or a link to nothing, must not hide the others.
                    with contextlib.suppress(FileNotFoundError):
                        stat = entry.stat()
                        found.append((entry.name, stat.st_mtime_ns, stat.st_size))
        return tuple(sorted(found))

    def read(self, event_name: str | None = None) -> Contents:
        """Every file, or those of one event. One that cannot be read leaves the others as they are."""
        contents = Contents()
        names = [name for name, *_ in self.listing()]
        if event_name is not None:
            names = [name for name in names if name.rpartition(".v")[0] == event_name]
        for name in names:
            try:
                schema = self._read(name)
            except (OSError, ValueError) as error:
                contents.faults[name] = str(error)
            else:
                contents.schemas.setdefault(schema.version.event_name, []).append(schema)
        for schemas in contents.schemas.values():
            schemas.sort(key=lambda schema: schema.version.version)
        return contents

    def publish(self, version: SchemaVersion) -> None:
        """Put a version into the folder, whole and to stay.

        Raises:
            SchemasReadOnly: this process may not write here; the message says where files are to be put instead.
            VersionTaken: the version is there already.
            OSError: the disk is full or broken.
        """
        path = self.root / f"{version.event_name}.v{version.version}.json"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            durable_files.create(path, encode_version(version))
        except FileExistsError:
            raise VersionTaken(
                f"Version {version.version} of {version.event_name} was registered in the meantime; "
                "look at it and register yours again"
            ) from None
        except OSError as error:
            if error.errno in _READ_ONLY:
                raise SchemasReadOnly(
                    "The folder of schemas is read-only in this deployment; put a new version's file "
                    f"({path.name}, as `analytics schemas register` writes it elsewhere) where the folder is "
                    "mounted from"
                ) from error
            raise

    def _read(self, name: str) -> CompiledSchema:
        found = _FILE.match(name)
        try:
            version = decode_version((self.root / name).read_bytes())
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError(f"it is no schema version: {error}") from None
        if found is None or (version.event_name, str(version.version)) != (found["event"], found["version"]):
            raise ValueError(f"it holds version {version.version} of {version.event_name}; name it after that")
        if version.event_name in PAYLOAD_CONTRACTS:
            raise ValueError(f"{version.event_name} has a built-in contract; take the file away")
        try:
            return compile_version(version)
        except UnsupportedSchema as error:
            raise ValueError(f"its schema is not supported: {error}") from None
