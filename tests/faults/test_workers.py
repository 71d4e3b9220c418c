"""Workers that are killed, stopped, short of memory, or come and go: each offset lands once (F3, F22, F23)."""

import resource
import subprocess
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.faults import invariants
from tests.faults.ledger import Ledger
from tests.faults.scene import Scene
from tests.faults.waiting import wait_until
from tests.faults.workers import Worker

pytestmark = pytest.mark.integration

BEHIND = str(Path(__file__).with_name("worker_behind.py"))


def test_workers_killed_in_mid_stream_land_every_offset_once(scene: Scene) -> None:
    """F3, F17: two share the partitions; one after the other is killed, a new one joins, poison and repeats flow on."""
    log = scene.log()
    for _ in range(2):
        scene.workers.start_ready()
    ledger = Ledger(scene.broker.address, scene.seed, duplicates=0.01, poison=0.005).start()
    wait_until(lambda: sum(scene.positions(log).values()) > 1000, scene.workers.logs, 20)
    for _ in range(scene.rounds):
        scene.moment(1.0)
        scene.choices.choice(scene.workers.running).kill()
        scene.recover(ledger, log)
        scene.workers.start_ready()
    scene.check_everything_once(ledger)


def test_processes_that_decode_are_killed_with_batches_in_hand_and_nothing_is_missed(scene: Scene) -> None:
    """F3: the worker decodes what they had, and starts others; those of a worker that was killed end by themselves."""
    log = scene.log()
    worker = scene.workers.start(sys.executable, BEHIND)
    ledger = Ledger(scene.broker.address, scene.seed, duplicates=0.01, poison=0.005).start()
    for _ in range(scene.repeats):
        for number in range(3):
            wait_until(partial(has_decoders, worker, number + 1), scene.workers.logs, 20)
            scene.moment(0.5)
            victim = scene.choices.choice(decoders_of(worker))
            victim.kill()
            # Until the worker notices, it is one of its children.
            assert not psutil.wait_procs([victim], timeout=20)[1]
        wait_until(partial(has_decoders, worker, 4), scene.workers.logs, 20)
        orphans = decoders_of(worker)
        worker.kill()
        worker = scene.workers.start(sys.executable, BEHIND)
        scene.recover(ledger, log)
        assert not psutil.wait_procs(orphans, timeout=10)[1]
    scene.check_everything_once(ledger)


def has_decoders(worker: Worker, starts: int) -> bool:
    """It is behind, and processes have begun to decode for it so often."""
    return worker.log.count("decoder_process_started") == starts


def decoders_of(worker: Worker) -> list[psutil.Process]:
    """The processes that decode for it."""
    return psutil.Process(worker.process.pid).children()


def test_worker_that_slept_through_the_loss_of_its_partitions_overlaps_nothing(scene: Scene) -> None:
    """SIGSTOP for longer than the session, then SIGCONT: the sleeper drops its buffers or stops, and says so."""
    log = scene.log()
    scene.workers.start_ready()
    ledger = Ledger(scene.broker.address, scene.seed).start()
    for _ in range(scene.repeats):
        while len(scene.workers.running) < 2:
            scene.workers.start_ready()
        scene.moment(1.0)
        sleeper = scene.choices.choice(scene.workers.running)
        assignments = sleeper.assignments
        sleeper.stop()
        # The one that wakes up may be the first to write what both have taken: then the other one ends, if only soon.
        scene.recover(ledger, log, workers=2)
        scene.moment(1.0)
        sleeper.resume()
        wait_until(partial(has_noticed, sleeper, assignments), scene.workers.logs, 20)
    scene.drain(ledger, workers=1)
    for worker in scene.workers.all:
        assert worker.is_running or "PartitionTakenOver" in worker.log, worker.log
    scene.check_windows()
    assert not invariants.check_events(ledger, invariants.landed_events(scene.zone))
    scene.check_recovery_times()


def test_workers_that_come_and_go_land_every_offset_once(scene: Scene) -> None:
    """F23: every few seconds one joins, is killed, or leaves in good order."""
    scene.workers.start_ready()
    ledger = Ledger(scene.broker.address, scene.seed).start()
    for _ in range(scene.rounds * 2):
        change = scene.choices.choice(["join", "kill", "leave"])
        running = scene.workers.running
        if change == "join" or len(running) < 2:
            scene.workers.start()
        elif change == "kill":
            scene.choices.choice(running).kill()
        else:
            assert scene.choices.choice(running).end() in (0, -15)
        scene.moment(3.0)
    scene.recover(ledger, scene.log(), workers=1)
    scene.drain(ledger, workers=1)
    scene.check_windows()
    assert not invariants.check_events(ledger, invariants.landed_events(scene.zone))


def has_noticed(sleeper: Worker, assignments: int) -> bool:
    """It has stopped, or has joined the group anew and is not about to stop."""
    if not sleeper.is_running:
        return True
    return sleeper.assignments > assignments and sleeper.is_ready and "Crashed reason" not in sleeper.log


@pytest.mark.parametrize("scene", ["embedded"], indirect=True)
def test_worker_out_of_memory_is_as_good_as_killed(scene: Scene) -> None:
    """F22: a worker that buffers without bounds gets no more memory; what the next one finds is whole."""
    log = scene.log()
    ledger = Ledger(scene.broker.address, scene.seed, rate=4000).start()
    for _ in range(scene.repeats):
        greedy = scene.workers.start_ready(
            ANALYTICS_STREAMING__MAX_FILE_AGE_S="3600",
            ANALYTICS_STREAMING__MAX_FILE_ROWS="100000000",
            ANALYTICS_STREAMING__MAX_BUFFER_MB="100000",
        )
        limit = psutil.Process(greedy.process.pid).memory_info().vms + (scene.choices.randint(1, 10) << 20)
        resource.prlimit(greedy.process.pid, resource.RLIMIT_AS, (limit, limit))
        # A thread that dies of it may leave the process standing still; the kernel's own way is SIGKILL.
        with suppress(subprocess.TimeoutExpired):
            greedy.process.wait(10)
        scene.notes.append(f"ended with {greedy.process.poll()}")
        greedy.kill()
    scene.workers.start_ready()
    scene.recover(ledger, log)
    scene.drain(ledger)
    scene.check_windows()
    assert not invariants.check_events(ledger, invariants.landed_events(scene.zone))
