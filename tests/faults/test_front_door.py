"""The front door killed, ended and left without a broker (F1, F2, F8, F9, F12): the client's ledger holds."""

import resource
from collections.abc import Iterator
from functools import partial

import pyarrow.parquet as pq
import pytest

from platform_assets.contracts.topics import REJECTED
from tests.faults import invariants
from tests.faults.door import Door
from tests.faults.http_ledger import HttpLedger
from tests.faults.ledger import Fate
from tests.faults.scene import FEW_ROUNDS, Scene
from tests.faults.waiting import wait_until

pytestmark = pytest.mark.integration

BACK_WITHIN_S = 5.0
DOOR_MEMORY_MB = 250.0


@pytest.fixture
def door(scene: Scene) -> Iterator[Door]:
    door = Door(scene.broker.address, scene.workers.root)
    door.start()
    yield door
    door.kill()


def check_ledger(scene: Scene, ledger: HttpLedger) -> None:
    """What was acknowledged has landed, what was refused is recorded as such, once each; nothing else is there."""
    ledger.finish()
    acknowledged, refused = ledger.ids(Fate.ACKNOWLEDGED), ledger.ids(Fate.REFUSED)

    def missing() -> int:
        landed = {row.event_id for row in invariants.landed_events(scene.zone)}
        return len(acknowledged - landed) + len(refused - rejected_ids(scene))

    wait_until(lambda: not missing(), lambda: f"{missing()} still missing\n{scene.workers.logs()}", 60, every_s=0.5)
    landed = invariants.landed_events(scene.zone)
    assert not invariants.check_events(ledger, landed)
    unknown = ledger.ids(Fate.UNKNOWN)
    assert rejected_ids(scene) <= refused | unknown, "I8: something is recorded as refused that was not"
    assert not ledger.without_retry_after, "a 429 or 503 did not say when to come back"
    assert ledger.answers.keys() <= {202, 207, 422, 429, 503}, dict(ledger.answers)
    scene.notes.append(
        f"{len(acknowledged)} acknowledged, {len(refused)} refused, {len(unknown)} unknown, {len(landed)} landed; "
        f"answers {dict(sorted(ledger.answers.items()))}, {ledger.lost_connections} connections lost"
    )


def rejected_ids(scene: Scene) -> set[str]:
    found: set[str] = set()
    for file in scene.zone.files(REJECTED.name):
        found |= set(pq.read_table(scene.zone.root / file.path, columns=["event_id"])["event_id"].to_pylist())
    return found


def test_door_that_is_killed_loses_no_acknowledged_event(scene: Scene, door: Door) -> None:
    """F1: kill -9 under load, again and again; back within five seconds, the ledger exact."""
    scene.workers.start_ready()
    ledger = HttpLedger([door.port], scene.seed).start()
    for _ in range(scene.rounds):
        ledger.wait_acknowledged(400)
        scene.moment(0.5)
        door.kill()
        scene.recoveries_s.append(door.start())
    ledger.wait_acknowledged(400)
    check_ledger(scene, ledger)
    assert max(scene.recoveries_s) < BACK_WITHIN_S


@pytest.mark.parametrize("scene", ["embedded"], indirect=True)
def test_doors_that_are_ended_in_turn_fail_no_request(scene: Scene, door: Door) -> None:
    """F2: SIGTERM to one of two; it says that it is not ready before it closes, and answers what it has."""
    settings = {"ANALYTICS_API__DRAIN_DELAY_S": "1.5"}
    doors = [Door(scene.broker.address, scene.workers.root, f"door-{number}", **settings) for number in range(2)]
    try:
        for other in doors:
            other.start()
        scene.workers.start_ready()
        ledger = HttpLedger([other.port for other in doors], scene.seed).start()
        for number in range(2 * scene.repeats):
            leaving = doors[number % 2]
            ledger.wait_acknowledged(400)
            leaving.terminate()
            took = wait_until(partial(is_leaving, leaving), "readiness fails", 1.5)
            assert leaving.status("/health/live") == 200, "it still answers when it is no longer ready"
            scene.recoveries_s.append(took)
            assert leaving.ended() == 0, leaving.log[-3000:]
            leaving.start()
        ledger.wait_acknowledged(400)
        check_ledger(scene, ledger)
        assert ledger.answers.keys() <= {202, 207, 422}, dict(ledger.answers)
    finally:
        for other in doors:
            other.kill()


def is_leaving(door: Door) -> bool:
    return door.status("/health/ready") == 503


def test_broker_that_is_gone_is_a_503_and_memory_stays_bounded(scene: Scene, door: Door) -> None:
    """F8, F9: stopped under load for a minute (a few seconds in CI); no false 202, all of it once it is back."""
    gone_s = 60.0 if scene.rounds > FEW_ROUNDS else 14.0
    scene.workers.start_ready()
    ledger = HttpLedger([door.port], scene.seed, connections=16, rate=200).start()
    ledger.wait_acknowledged(1000)
    if scene.broker.keeps_its_log:
        scene.broker.kill()
    else:
        scene.broker.stop()
    most_mb = 0.0

    def refused() -> bool:
        nonlocal most_mb
        most_mb = max(most_mb, door.rss_mb)
        return ledger.answers[503] >= 16

    wait_until(refused, lambda: f"503 answers, so far {dict(ledger.answers)}", gone_s + 15)
    scene.pass_time(gone_s / 2)
    most_mb = max(most_mb, door.rss_mb)
    assert door.status("/health/ready") == 503
    assert door.status("/health/live") == 200
    if scene.broker.keeps_its_log:
        scene.broker.start()
    else:
        scene.broker.resume()
    scene.recoveries_s.append(ledger.wait_acknowledged(1000, 60))
    check_ledger(scene, ledger)
    assert most_mb < DOOR_MEMORY_MB, f"the door held {most_mb:.0f} MB"


@pytest.mark.parametrize("scene", ["kafka"], indirect=True)
def test_broker_whose_disk_is_full_is_a_503_and_never_a_202(scene: Scene, door: Door) -> None:
    """F12: the broker's files end; what it cannot write it does not acknowledge, nor does the door."""
    scene.workers.start_ready()
    ledger = HttpLedger([door.port], scene.seed).start()
    ledger.wait_acknowledged(400)
    unlimited = resource.prlimit(scene.broker.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    wait_until(lambda: ledger.answers[503] >= 4, lambda: f"503 answers, so far {dict(ledger.answers)}", 60)
    assert door.status("/health/live") == 200
    # Kafka takes its folder offline and ends; an operator makes room and starts it again.
    resource.prlimit(scene.broker.pid, resource.RLIMIT_FSIZE, unlimited)
    scene.broker.kill()
    scene.broker.start()
    scene.recoveries_s.append(ledger.wait_acknowledged(400, 60))
    check_ledger(scene, ledger)
