"""Who may open the warehouse, and what those who wait are told."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from resources.warehouse.lock import LockTimeout, reader_lock, writer_lock

HOLDER = """
import sys, time
from pathlib import Path
from resources.warehouse.lock import writer_lock
with writer_lock(Path(sys.argv[1]), timeout_s=5, purpose="a long build"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "warehouse" / "analytics.duckdb.lock"


def hold_in_another_process(path: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_second_writer_times_out_and_is_told_who_holds_the_lock_and_what_to_do(path: Path) -> None:
    holder = hold_in_another_process(path)
    try:
        with (
            pytest.raises(
                LockTimeout, match=rf"process {holder.pid} since .* UTC: a long build\. Wait .*LOCK_TIMEOUT_S"
            ),
            writer_lock(path, timeout_s=0.2, purpose="me"),
        ):
            pytest.fail("two writers held the lock")
    finally:
        holder.kill()
        holder.wait()


def test_lock_of_a_killed_holder_is_free_at_once(path: Path) -> None:
    holder = hold_in_another_process(path)
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    started = time.monotonic()
    with writer_lock(path, timeout_s=5, purpose="me"):
        assert time.monotonic() - started < 1


def test_second_writer_goes_on_when_the_first_has_finished(path: Path) -> None:
    order: list[str] = []
    waiting = threading.Event()

    def second() -> None:
        waiting.set()
        with writer_lock(path, timeout_s=5, purpose="second"):
            order.append("second")

    with writer_lock(path, timeout_s=1, purpose="first"):
        thread = threading.Thread(target=second)
        thread.start()
        waiting.wait()
        time.sleep(0.15)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_readers_share_the_lock_and_keep_a_writer_out(path: Path) -> None:
    with (
        reader_lock(path, timeout_s=0),
        reader_lock(path, timeout_s=0),
        pytest.raises(LockTimeout, match="one or more readers"),
        writer_lock(path, timeout_s=0.1, purpose="me"),
    ):
        pytest.fail("a writer came in beside readers")
    with writer_lock(path, timeout_s=0, purpose="me"):
        assert "me" in path.read_text()
    assert path.read_text() == ""
