"""What `analytics schemas check` looks at: that no contract and no version breaks what an earlier state promised."""

import itertools
import subprocess
from pathlib import Path

import msgspec

from platform_assets.contracts.event_schemas.built_in import (
    SNAPSHOT,
    broken_promises,
    built_in_schemas,
    decode_snapshot,
    encode_snapshot,
)
from platform_assets.contracts.event_schemas.compatibility import violations_of
from resources.event_schemas.folder import SchemaFolder

_NEW_NAME = "give what is different a new event name, or undo the edit"


class CannotCompare(RuntimeError):
    """The state to compare with cannot be read; the message says why."""


def check_built_in(snapshot: bytes) -> list[str]:
    """How the built-in contracts break what the snapshot promises; none if they keep it.

    Raises:
        CannotCompare: this is no snapshot.
    """
    try:
        before = decode_snapshot(snapshot)
    except msgspec.DecodeError as error:
        raise CannotCompare(f"The snapshot cannot be read: {error}") from None
    return [
        f"built-in {name}, {violation}; or {_NEW_NAME}"
        for name, violations in broken_promises(before, built_in_schemas()).items()
        for violation in violations
    ]


def is_current(snapshot: bytes) -> bool:
    """Whether the snapshot says what the contracts say now."""
    return snapshot == encode_snapshot(built_in_schemas())


def update_snapshot(path: Path = SNAPSHOT) -> None:
    """Agree on the contracts as they are."""
    path.write_bytes(encode_snapshot(built_in_schemas()))


def check_folder(root: Path) -> list[str]:
    """What is wrong in a folder of versions: unreadable files, gaps, and promises that do not hold."""
    contents = SchemaFolder(root).read()
    faults = [f"{name}: {fault}" for name, fault in contents.faults.items()]
    for name, schemas in contents.schemas.items():
        if schemas[0].version.version != 1:
            faults.append(f"{name} begins with version {schemas[0].version.version}; begin with 1")
        for before, after in itertools.pairwise(schemas):
            told = after.version
            if told.version != before.version.version + 1:
                faults.append(f"{name} v{told.version} follows v{before.version.version}; leave no version out")
            faults.extend(
                f"{name} v{told.version}, {violation}"
                for violation in violations_of(before.shape, after.shape, told.compatibility)
            )
    return faults


def check_unchanged(root: Path, ref: str) -> list[str]:
    """Which versions in a folder are not what they were at a Git revision: a version never changes.

    Raises:
        CannotCompare: the folder is in no repository, or there is no such revision.
    """
    committed = _git(root, "ls-tree", "--name-only", "--end-of-options", ref, "./").decode().splitlines()
    faults: list[str] = []
    for name in committed:
        path = root / name
        if not name.endswith(".json"):
            continue
        if not path.exists():
            faults.append(f"{name} was there at {ref} and is gone; a version stays")
        elif path.read_bytes() != _git(root, "show", "--end-of-options", f"{ref}:./{name}"):
            faults.append(f"{name} is not what it was at {ref}; a version never changes: register the next one")
    return faults


def snapshot_at(ref: str, path: Path = SNAPSHOT) -> bytes:
    """The snapshot of a Git revision. Raises CannotCompare."""
    return _git(path.parent, "show", "--end-of-options", f"{ref}:./{path.name}")


def _git(folder: Path, *arguments: str) -> bytes:
    try:
        finished = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, check=False)  # noqa: S607
    except OSError as error:
        raise CannotCompare(f"git cannot be run in {folder}: {error.strerror}") from None
    if finished.returncode:
        raise CannotCompare(f"git {arguments[0]}: {finished.stderr.decode(errors='replace').strip()}")
    return finished.stdout
