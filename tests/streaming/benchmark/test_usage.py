"""What a process used counts with what its children did."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from streaming.benchmark.usage import cpu_s, memory_mb, peak_memory_mb

# A child works and holds 50 MB until it is told to end; then the parent says so and waits.
SCRIPT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c",
    "import sys, time; held = b'x' * 50_000_000; began = time.process_time()\\n"
    "while time.process_time() - began < 0.3: pass\\n"
    "print(flush=True); sys.stdin.readline()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline(); print(flush=True)
sys.stdin.readline()
child.communicate(b"\\n"); print(flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def parent() -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_memory_of_children_counts_while_they_are_there_and_their_time_for_good(
    parent: "subprocess.Popen[str]",
) -> None:
    with_child = [found(parent.pid) or 0.0 for found in (memory_mb, peak_memory_mb)]
    assert 50 < with_child[0] <= with_child[1] < 120
    assert (cpu_s(parent.pid) or 0) >= 0.3
    assert parent.stdin is not None
    assert parent.stdout is not None
    parent.stdin.write("\n")
    parent.stdin.flush()
    parent.stdout.readline()
    assert (memory_mb(parent.pid) or 0) < with_child[0] - 45
    assert (cpu_s(parent.pid) or 0) >= 0.3


def test_nothing_is_known_of_a_process_that_has_ended() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert [found(process.pid) for found in (cpu_s, memory_mb, peak_memory_mb)] == [None, None, None]
