"""Disks that fail, fill up or are slow, and a sink that is killed between two steps (F4, F11, F13, F14, F19)."""

import errno
import resource
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath

import psutil
import pytest

from platform_assets.contracts.topics import EVENTS
from tests.faults import invariants
from tests.faults.ledger import Ledger
from tests.faults.scene import Scene
from tests.faults.waiting import wait_until
from tests.faults.workers import Worker

pytestmark = pytest.mark.integration

STEPS = ("write", "sync-file", "rename", "sync-folder")
FAULT = str(Path(__file__).with_name("worker_at_fault.py"))


def start_at_fault(scene: Scene, action: str, step: str, first: int, amount: float = 0) -> Worker:
    return scene.workers.start(sys.executable, FAULT, action, step, str(first), str(amount))


def test_sink_killed_between_two_steps_lands_every_offset_once(scene: Scene) -> None:
    """F4: write, sync, rename, sync the folder; the process is killed before one of them."""
    log = scene.log()
    ledger = Ledger(scene.broker.address, scene.seed).start()
    steps = list(STEPS)
    for number in range(scene.rounds):
        if number % len(steps) == 0:
            scene.choices.shuffle(steps)
        worker = start_at_fault(scene, "kill", steps[number % len(steps)], scene.choices.randint(1, 12))
        worker.process.wait(30)
        assert worker.process.returncode == -9, worker.log[-3000:]
    scene.workers.start_ready()
    scene.recover(ledger, log)
    scene.drain(ledger)
    scene.check_windows()
    assert not invariants.check_events(ledger, invariants.landed_events(scene.zone))
    scene.check_recovery_times()


@pytest.mark.parametrize("scene", ["embedded"], indirect=True)
def test_failing_sync_pauses_the_worker_and_loses_nothing(scene: Scene) -> None:
    """F13: the disk answers with an I/O error for a while; the worker keeps its buffers and says what it waits for."""
    log = scene.log()
    ledger = Ledger(scene.broker.address, scene.seed).start()
    for _ in range(scene.repeats):
        step = scene.choices.choice(["sync-file", "sync-folder", "rename"])
        worker = start_at_fault(scene, "fail", step, scene.choices.randint(20, 40), 2)
        wait_until(partial(has_met_the_fault, worker), scene.workers.logs, 30)
        scene.recover(ledger, log)
        assert worker.end() == 0
    scene.workers.start_ready()
    scene.drain(ledger)
    scene.check_windows()
    assert not invariants.check_events(ledger, invariants.landed_events(scene.zone))


def has_met_the_fault(worker: Worker) -> bool:
    """A file of the sink, or a checkpoint, could not be written; both are tried again."""
    return "Input/output error (injected)" in worker.log


@pytest.mark.parametrize("scene", ["embedded"], indirect=True)
def test_short_writes_pause_the_worker_and_corrupt_nothing(scene: Scene) -> None:
    """F13: every file ends after 4 KB, as on a quota, until the limit is lifted."""
    log = scene.log()
    worker = scene.workers.start_ready()
    ledger = Ledger(scene.broker.address, scene.seed).start()
    scene.recover(ledger, log)
    unlimited = resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    wait_until(lambda: "File too large" in paused_reason(worker), scene.workers.logs, 20)
    assert not worker.is_ready
    resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE, unlimited)
    scene.recover(ledger, log)
    wait_until(lambda: worker.is_ready, scene.workers.logs, 20)
    scene.drain(ledger)
    scene.check_windows()
    assert not invariants.check_events(ledger, invariants.landed_events(scene.zone))


@pytest.fixture
def small_disk(tmp_path: Path, rounds: int) -> Iterator[Path]:
    """A file system of its own as the data folder, of 8 MB and what the events of more rounds take."""
    folder = tmp_path / "data"
    folder.mkdir()
    size = f"size={8 + 2 * rounds}m"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"A small file system cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("scene", ["embedded"], indirect=True)
def test_full_disk_pauses_the_worker_until_there_is_room(small_disk: Path, scene: Scene) -> None:
    """F11: paused and not ready while it is full; it goes on by itself."""
    log = scene.log()
    worker = scene.workers.start_ready()
    ledger = Ledger(scene.broker.address, scene.seed).start()
    for _ in range(scene.repeats):
        scene.recover(ledger, log)
        scene.moment(1.0)
        ballast = small_disk / "ballast"
        fill(ballast)
        wait_until(lambda: "No space left on device" in paused_reason(worker), scene.workers.logs, 20)
        assert not worker.is_ready
        ballast.unlink()
    scene.recover(ledger, log)
    scene.drain(ledger)
    scene.check_windows()
    assert worker.end() == 0
    assert not invariants.check_events(ledger, invariants.landed_events(scene.zone))
    scene.check_recovery_times()


def fill(ballast: Path) -> None:
    """Take all the room that there is, whoever else takes of it meanwhile."""
    with ballast.open("wb", buffering=0) as file:
        while True:
            try:
                file.write(bytes(64 << 10))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                return


def paused_reason(worker: Worker) -> str:
    """Why nothing lands at the moment, as its pages say; empty while it does."""
    return str(((worker.page("/partitions") or {}).get("paused") or {"reason": ""})["reason"])


def test_torn_files_are_found_and_landed_again_from_the_log(scene: Scene) -> None:
    """F14: the newest file of each partition is cut short or emptied under its finished name."""
    log = scene.log()
    ledger = Ledger(scene.broker.address, scene.seed).start()
    torn: list[PurePosixPath] = []
    for _ in range(scene.repeats):
        worker = scene.workers.start_ready()
        scene.recover(ledger, log)
        assert all(f"file_torn path={path}" in worker.log for path in torn)
        assert worker.end() == 0
        torn = [tear(scene, log, partition) for partition in range(EVENTS.partitions)]
    worker = scene.workers.start_ready()
    assert all(f"file_torn path={path}" in worker.log for path in torn)
    scene.drain(ledger)
    scene.check_windows()
    assert not invariants.check_events(ledger, invariants.landed_events(scene.zone))


def tear(scene: Scene, log: str, partition: int) -> PurePosixPath:
    """Cut the newest file of a partition, anywhere; returns its path below the root."""
    newest = [file for file in scene.zone.files(EVENTS.name, log) if file.partition == partition][-1]
    path = scene.zone.root / newest.path
    whole = path.read_bytes()
    path.write_bytes(whole[: scene.choices.choice([0, 5, len(whole) // 2, len(whole) - 1])])
    return newest.path


@pytest.mark.parametrize("scene", ["embedded"], indirect=True)
def test_slow_disk_bounds_memory_and_the_backlog_is_caught_up(scene: Scene) -> None:
    """F19: a backlog, and every sync takes 100 ms; the worker's memory stays below 500 MB."""
    log = scene.log()
    ledger = Ledger(scene.broker.address, scene.seed)
    ledger.send(100_000)
    worker = start_at_fault(scene, "slow", "sync-file", 1, 0.1)
    process = psutil.Process(worker.process.pid)
    peak = 0

    def caught_up() -> bool:
        nonlocal peak
        peak = max(peak, process.memory_info().rss)
        return all(scene.positions(log)[partition] >= end for partition, end in ledger.ends.items())

    took = wait_until(caught_up, scene.workers.logs, 60)
    scene.notes.append(f"100,000 events in {took:.1f} s from the start, peak {peak >> 20} MB")
    assert peak < 500 << 20
    scene.drain(ledger)
    scene.check_windows()
    assert not invariants.check_events(ledger, invariants.landed_events(scene.zone))
