"""Files that are there whole or not at all, and stay after a power cut: sync, rename, sync the folder."""

import os
import threading
from pathlib import Path


def sync(path: Path) -> None:
    """Have a file's content, or a folder's names, on the disk before this returns."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace(path: Path, content: bytes) -> None:
    """Put new content under a name; a reader finds the old or the new."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        sync(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)


def create(path: Path, content: bytes) -> None:
    """Put a new file under a name that was free; of several that try, one succeeds.

    Raises:
        FileExistsError: the name is taken; what stands under it is left alone.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        temporary.write_bytes(content)
        sync(temporary)
        os.link(temporary, path)  # unlike a rename it never replaces
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)
