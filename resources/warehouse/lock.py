"""The lock around every opening of the warehouse file, held by the kernel for a process and gone when it is killed.

DuckDB refuses a writer while any other process has the file open, and the reverse. So a writer takes the lock alone
and readers share it; whoever has to wait waits here, and no process ever sees DuckDB's own lock error.
"""

import contextlib
import datetime as dt
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

_RETRY_S = 0.05
_NOTE_BYTES = 300


class LockTimeout(TimeoutError):
    """The lock was not free in time; the message names who holds it and what to do."""


@contextlib.contextmanager
def writer_lock(path: Path, *, timeout_s: float, purpose: str) -> Iterator[None]:
    """Hold the lock alone. `purpose` tells those who wait what it is held for.

    Raises:
        LockTimeout: somebody held it for the whole of `timeout_s`.
    """
    with _held(path, fcntl.LOCK_EX, timeout_s) as descriptor:
        note = f"process {os.getpid()} since {dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M:%S} UTC: {purpose}"
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, note.encode()[:_NOTE_BYTES], 0)
        try:
            yield
        finally:
            os.ftruncate(descriptor, 0)


@contextlib.contextmanager
def reader_lock(path: Path, *, timeout_s: float) -> Iterator[None]:
    """Hold the lock beside other readers, and keep writers out.

    Raises:
        LockTimeout: a writer held it for the whole of `timeout_s`.
    """
    with _held(path, fcntl.LOCK_SH, timeout_s):
        yield


@contextlib.contextmanager
def _held(path: Path, mode: int, timeout_s: float) -> Iterator[int]:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not inherited: a child that outlives a killed holder must not keep the lock for it.
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
    try:
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise LockTimeout(_explain(path, timeout_s)) from None
                time.sleep(_RETRY_S)
        yield descriptor
    finally:
        os.close(descriptor)


def _explain(path: Path, timeout_s: float) -> str:
    holder = path.read_text(errors="replace").strip() or "one or more readers"
    return (
        f"The warehouse was not free within {timeout_s:g} s; {path} is held by {holder}. Wait for it, end "
        "that process, or allow more time with ANALYTICS_WAREHOUSE__LOCK_TIMEOUT_S; an ended process holds no lock."
    )
