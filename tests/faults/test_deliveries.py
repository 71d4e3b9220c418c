"""Positions that are wound back, and records that come twice (F15)."""

import pytest
from confluent_kafka import Consumer, TopicPartition

from platform_assets.contracts.topics import EVENTS
from streaming.app import APP_ID
from tests.faults.ledger import Ledger
from tests.faults.scene import Scene
from tests.faults.waiting import wait_until
from tests.faults.workers import SESSION_TIMEOUT_S

pytestmark = pytest.mark.integration


def test_rewound_offsets_and_repeated_events_land_every_offset_once(scene: Scene) -> None:
    """F15: between two lives of the worker the group is set back to 0 and some newest files are taken away."""
    log = scene.log()
    ledger = Ledger(scene.broker.address, scene.seed, duplicates=0.1).start()
    for _ in range(scene.repeats):
        worker = scene.workers.start_ready()
        scene.recover(ledger, log)
        assert worker.end() == 0
        rewind_group(scene)
        for partition in range(EVENTS.partitions):
            files = [file for file in scene.zone.files(EVENTS.name, log) if file.partition == partition]
            for file in files[len(files) - scene.choices.randint(0, 3) :]:
                (scene.zone.root / file.path).unlink()
    scene.workers.start_ready()
    scene.recover(ledger, log)
    scene.check_everything_once(ledger)


def rewind_group(scene: Scene) -> None:
    """Commit offset 0 for every partition, as a member: the embedded broker takes it from no one else."""
    consumer = Consumer(
        {
            "bootstrap.servers": scene.broker.address,
            "group.id": APP_ID,
            "session.timeout.ms": int(SESSION_TIMEOUT_S * 1000),
        }
    )
    try:
        consumer.subscribe([EVENTS.name])
        wait_until(lambda: consumer.poll(0.1) is not None or bool(consumer.assignment()), "a member of the group", 20)
        places = [TopicPartition(EVENTS.name, partition, 0) for partition in range(EVENTS.partitions)]
        consumer.commit(offsets=places, asynchronous=False)
    finally:
        consumer.close()
