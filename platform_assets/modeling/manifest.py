"""What stands beside an exported model: where it came from, what it reads, and the digests that bind them."""

import datetime as dt
import hashlib
import os
import re
import secrets
from pathlib import Path
from typing import Annotated

import msgspec

FORMAT = "skops-1"
MODEL_FILE = "model.skops"
MANIFEST_FILE = "manifest.json"
POINTER_FILE = "champion.json"

Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """A few inputs with the probabilities that the trained model gave: a loaded model must give them again."""

    rows: list[list[float | None]]
    probabilities: list[float]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """One exported model. `feature_names` is the order of the input vector; `metrics` are of the evaluation rows."""

    format: str
    model: str
    version: str
    run_id: str
    algorithm: str
    feature_set: str
    feature_set_version: int
    feature_names: list[str]
    model_sha256: Digest
    sklearn_version: str
    metrics: dict[str, float]
    trained_at: dt.datetime
    evaluation_cutoff: dt.date
    kind: str
    probe: Probe


class Pointer(msgspec.Struct, frozen=True, kw_only=True):
    """Which version serves."""

    version: str
    manifest_sha256: Digest


def digest(content: bytes) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    return hashlib.sha256(content).hexdigest()


def safe_name(name: str) -> str:
    """The name of a model or version as one part of a path.

    Raises:
        ValueError: it could leave its folder.
    """
    if not _SAFE_NAME.fullmatch(name):
        raise ValueError(f"{name!r} names no model or version: use letters, digits, dots, dashes and underscores.")
    return name


def write_durably(path: Path, content: bytes) -> None:
    """Put a file in place whole: temporary in the same folder, fsync, rename, fsync of the folder."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
