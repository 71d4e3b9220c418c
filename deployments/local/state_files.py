"""Small JSON files that survive a kill: written whole or not at all. A power cut may cost the last half second."""

import os
from pathlib import Path
from typing import TypeVar

import msgspec

T = TypeVar("T")


def write_json(path: Path, value: object) -> None:
    """Replace a file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")
    temporary.replace(path)


def read_json(path: Path, kind: type[T]) -> T | None:
    """Read a file that `write_json` wrote, or None where there is none.

    Raises:
        msgspec.DecodeError: the file is not what it should be.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    return msgspec.json.decode(content, type=kind)
