"""Processes are known by pid and start time, and end with everything they started."""

import sys
import time
from pathlib import Path

import psutil

from deployments.local.processes import Command, ProcessRecord, RunningProcess, left_over_groups

SLEEPER = "import time; time.sleep(60)"
PARENT = (
    "import subprocess, sys, time; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
    "print(child.pid, flush=True); time.sleep(60)"
)


def command(code: str, name: str = "test", **environment: str) -> Command:
    return Command(name, (sys.executable, "-c", code), environment)


def first_line(path: Path) -> str:
    deadline = time.monotonic() + 10
    while not (path.exists() and path.read_text().endswith("\n")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return path.read_text().strip()


def ended(process: RunningProcess) -> int:
    deadline = time.monotonic() + 10
    while (code := process.exit_code()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return code


def test_output_and_exit_code_are_kept(tmp_path: Path) -> None:
    process = RunningProcess.start(command("import sys; print('said'); sys.exit(3)"), tmp_path / "p.log")
    assert ended(process) == 3
    assert (tmp_path / "p.log").read_text() == "said\n"


def test_command_is_told_its_environment(tmp_path: Path) -> None:
    process = RunningProcess.start(command("import os; print(os.environ['MARK'])", MARK="7"), tmp_path / "p.log")
    ended(process)
    assert (tmp_path / "p.log").read_text() == "7\n"


def test_live_process_is_adopted_by_its_record(tmp_path: Path) -> None:
    process = RunningProcess.start(command(SLEEPER), tmp_path / "p.log")
    adopted = RunningProcess.adopt(process.record)
    assert adopted is not None
    assert adopted.exit_code() is None
    adopted.end_group()
    ended(process)
    assert adopted.exit_code() == -1


def test_pid_with_another_start_time_is_not_adopted(tmp_path: Path) -> None:
    process = RunningProcess.start(command(SLEEPER), tmp_path / "p.log")
    impostor = ProcessRecord(process.pid, process.record.started_at - 60, process.record.fingerprint)
    assert RunningProcess.adopt(impostor) is None
    process.end_group()
    ended(process)
    assert RunningProcess.adopt(process.record) is None


def test_ending_the_group_ends_what_the_process_started(tmp_path: Path) -> None:
    process = RunningProcess.start(command(PARENT), tmp_path / "p.log")
    child = psutil.Process(int(first_line(tmp_path / "p.log")))
    process.end_group()
    ended(process)
    child.wait(5)
    assert not child.is_running()


def test_orphans_of_a_killed_leader_are_found_by_its_group(tmp_path: Path) -> None:
    process = RunningProcess.start(command(PARENT), tmp_path / "p.log")
    child = int(first_line(tmp_path / "p.log"))
    psutil.Process(process.pid).kill()
    ended(process)
    assert [found.pid for found in left_over_groups({"parent": process.record})["parent"]] == [child]
    process.end_group()


def test_fingerprint_changes_with_the_command_and_its_environment() -> None:
    fingerprints = {command("a").fingerprint, command("b").fingerprint, command("a", X="1").fingerprint}
    assert len(fingerprints) == 3
    assert command("a").fingerprint == command("a").fingerprint
