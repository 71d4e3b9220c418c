"""Brokers that die or sleep, and networks that are cut or slow (F7, F9, F10)."""

import pytest

from resources.event_log.topics import ensure_topics
from tests.faults import invariants
from tests.faults.ledger import Fate, Ledger
from tests.faults.scene import FEW_ROUNDS, Scene

pytestmark = pytest.mark.integration


def test_broker_killed_and_started_again_loses_nothing_that_it_keeps(scene: Scene) -> None:
    """F7: exact on Kafka. The embedded broker forgets: what nobody had landed of it is counted, the rest is exact."""
    ledger = Ledger(scene.broker.address, scene.seed, rate=1000, delivery_timeout_s=15).start()
    scene.workers.start_ready()
    forgotten: set[str] = set()
    for _ in range(scene.rounds):
        scene.recover(ledger, scene.log(), workers=1)
        scene.moment(1.0)
        scene.broker.kill()
        if not scene.broker.keeps_its_log:
            ledger.abandon()
            forgotten |= ledger.ids(Fate.ACKNOWLEDGED)
        scene.broker.start()
        if not scene.broker.keeps_its_log:
            ensure_topics(scene.broker.address)
            ledger.start()
        ledger.wait_acknowledged(500)
    scene.recover(ledger, scene.log(), workers=1)
    scene.drain(ledger, workers=1)
    scene.check_windows(merged=scene.broker.keeps_its_log)
    missing = invariants.check_events(
        ledger, invariants.landed_events(scene.zone), forgotten=not scene.broker.keeps_its_log, may_repeat=True
    )
    assert missing <= forgotten
    scene.notes.append(f"lost with the broker: {len(missing)} of {len(forgotten)} acknowledged")


def test_broker_that_sleeps_longer_than_the_session_doubles_nothing(scene: Scene) -> None:
    """F9: SIGSTOP, then SIGCONT; two workers, whose session expires meanwhile."""
    # In the short run still three times the session.
    stopped_s = 30.0 if scene.rounds > FEW_ROUNDS else 6.0
    log = scene.log()
    for _ in range(2):
        scene.workers.start_ready()
    ledger = Ledger(scene.broker.address, scene.seed, delivery_timeout_s=stopped_s + 30).start()
    scene.moment(2.0)
    scene.broker.stop()
    scene.pass_time(stopped_s)
    scene.broker.resume()
    ledger.wait_acknowledged(500)
    scene.recover(ledger, log, workers=2)
    scene.drain(ledger, workers=2)
    scene.check_windows()
    assert not invariants.check_events(ledger, invariants.landed_events(scene.zone))


def test_network_that_is_cut_stalled_or_slow_loses_and_doubles_nothing(proxied: Scene) -> None:
    """F10: between the broker and everybody else."""
    proxy = proxied.proxy
    assert proxy is not None
    log = proxied.log()
    proxied.workers.start_ready()
    ledger = Ledger(proxied.broker.address, proxied.seed, delivery_timeout_s=30).start()
    faults = ["cut", "stall", "slow"]
    for number in range(proxied.rounds):
        proxied.moment(1.0)
        if number % len(faults) == 0:
            proxied.choices.shuffle(faults)
        match faults[number % len(faults)]:
            case "cut":
                proxy.cut()
            case "stall":
                proxy.stall()
            case _:
                proxy.slow(0.05 + 0.2 * proxied.choices.random())
        proxied.pass_time(1.0 + 3.0 * proxied.choices.random())
        proxy.heal()
        ledger.wait_acknowledged(200)
        proxied.recover(ledger, log, workers=1)
    proxied.drain(ledger, workers=1)
    proxied.check_windows()
    assert not invariants.check_events(ledger, invariants.landed_events(proxied.zone))
    proxied.check_recovery_times()
