"""The stream worker with one fault in its disk: `python worker_at_fault.py ACTION STEP FIRST AMOUNT`.

The steps of a file are `write`, `sync-file`, `rename` and `sync-folder`, in this order. From the FIRST such step of the
process on, ACTION is done instead of it or before it:

    kill  the process is killed before the step; AMOUNT means nothing
    fail  the step fails with an I/O error, AMOUNT times
    slow  the step takes AMOUNT seconds more, from then on
"""

import errno
import os
import signal
import stat
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from streaming.__main__ import main

_KIND, _STEP, _FIRST, _AMOUNT = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
_done: Counter[str] = Counter()


def _at_fault(step: str) -> None:
    _done[step] += 1
    if step != _STEP or _done[step] < _FIRST:
        return
    if _KIND == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif _KIND == "slow":
        time.sleep(_AMOUNT)
    elif _done[step] < _FIRST + _AMOUNT:
        raise OSError(errno.EIO, f"{os.strerror(errno.EIO)} (injected)")


def _patched(original: Callable[..., Any], step_of: Callable[..., str]) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        _at_fault(step_of(*arguments))
        return original(*arguments, **options)

    return call


def _kind_of_sync(descriptor: int) -> str:
    return "sync-folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "sync-file"


os.fsync = _patched(os.fsync, _kind_of_sync)
Path.replace = _patched(Path.replace, lambda *_: "rename")  # type: ignore[method-assign]
pq.write_table = _patched(pq.write_table, lambda *_: "write")
sys.argv[1:] = []
sys.exit(main())
