"""What a run starts is ended with it, whenever it is interrupted."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from streaming.benchmark.processes import child_process

_start = subprocess.Popen
WAITS = [sys.executable, "-c", "import time; time.sleep(60)"]


def test_interrupt_in_the_moment_in_which_a_process_starts_ends_that_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the handler that the benchmark has for SIGTERM; a shell's background jobs ignore SIGINT, and so would this."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: Any, **options: Any) -> "subprocess.Popen[bytes]":
        started.append(_start(*arguments, **options))
        signal.raise_signal(signal.SIGTERM)
        return started[0]

    monkeypatch.setattr(subprocess, "Popen", start)
    entered = False
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), child_process("job", WAITS, tmp_path / "job.log"):
            entered = True
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not entered
    assert started[0].returncode == -signal.SIGTERM
