"""The marks of acknowledged offsets outlive the process that made them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from resources.event_log.acknowledged import (
    Acknowledged,
    AcknowledgedOffsets,
    forget_acknowledged,
    read_acknowledged,
)


def test_marks_only_advance(tmp_path: Path) -> None:
    with AcknowledgedOffsets(tmp_path, "events.v1", "log-a", 2) as marks:
        marks.advance(0, 10)
        marks.advance(0, 5)
        marks.advance(1, 3)
    assert read_acknowledged(tmp_path) == [Acknowledged("events.v1", "log-a", (10, 3))]


def test_marks_survive_kill_9(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys, time\n"
        "from resources.event_log.acknowledged import AcknowledgedOffsets\n"
        "AcknowledgedOffsets(pathlib.Path(sys.argv[1]), 'events.v1', 'log-a', 1).advance(0, 42)\n"
        "print('marked', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"marked\n"
        os.kill(process.pid, signal.SIGKILL)
    assert read_acknowledged(tmp_path) == [Acknowledged("events.v1", "log-a", (42,))]


def test_marks_have_their_room_on_the_disk_before_they_are_used(tmp_path: Path) -> None:
    """A mapped page without a block behind it is SIGBUS on a full disk."""
    with AcknowledgedOffsets(tmp_path, "events.v1", "log-a", 4):
        (path,) = (tmp_path / "events.v1" / "log-a").iterdir()
        assert path.stat().st_size == 32
        assert path.stat().st_blocks > 0
    with AcknowledgedOffsets(tmp_path, "events.v1", "log-a", 4):
        assert path.stat().st_size == 32


def test_highest_mark_of_several_processes_counts(tmp_path: Path) -> None:
    with AcknowledgedOffsets(tmp_path, "events.v1", "log-a", 2) as marks:
        marks.advance(0, 10)
    mine = next(tmp_path.rglob("*.offsets"))
    other = mine.with_name("1.offsets")
    other.write_bytes((7).to_bytes(8, "little") + (9).to_bytes(8, "little"))
    assert read_acknowledged(tmp_path)[0].next_offsets == (10, 9)


def test_forgotten_log_is_gone(tmp_path: Path) -> None:
    AcknowledgedOffsets(tmp_path, "events.v1", "log-a", 1).close()
    forget_acknowledged(tmp_path, "events.v1", "log-a")
    assert read_acknowledged(tmp_path) == []
