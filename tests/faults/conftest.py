"""Fixtures of the fault tests: seed, rounds, brokers and the scene; and the seeds and times at the end of a run.

`FAULT_ROUNDS` is how often a fault strikes in one test (3), `FAULT_SEED` repeats a run. Without it the seed is the
same every time for the few rounds that run with the other tests, and new each time for more.
"""

import os
import random
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from resources.event_log.topics import ensure_topics
from tests.faults.brokers import BROKERS
from tests.faults.proxy import Proxy
from tests.faults.scene import FEW_ROUNDS, Scene
from tests.faults.workers import Workers

_PROPERTY = "fault"


@pytest.fixture
def rounds() -> int:
    """How often the fault strikes."""
    return int(os.environ.get("FAULT_ROUNDS", FEW_ROUNDS))


@pytest.fixture
def seed(request: pytest.FixtureRequest, rounds: int) -> int:
    """Where every random choice of the test comes from."""
    given = os.environ.get("FAULT_SEED")
    if given is not None:
        return int(given)
    return zlib.crc32(request.node.name.encode()) if rounds == FEW_ROUNDS else random.SystemRandom().randrange(1 << 31)


@pytest.fixture(params=list(BROKERS))
def scene(
    request: pytest.FixtureRequest, tmp_path: Path, seed: int, rounds: int, record_property: Any
) -> Iterator[Scene]:
    """A running broker with empty topics; no workers yet."""
    with ExitStack() as ending:
        broker = BROKERS[request.param](tmp_path)
        ending.callback(broker.kill)
        broker.start()
        yield from _play(Scene(broker, Workers(broker.address, tmp_path), seed, rounds), record_property)


@pytest.fixture(params=list(BROKERS))
def proxied(
    request: pytest.FixtureRequest, tmp_path: Path, seed: int, rounds: int, record_property: Any
) -> Iterator[Scene]:
    """The same behind a proxy, which every client is sent to."""
    with ExitStack() as ending:
        proxy = Proxy()
        ending.callback(proxy.close)
        broker = BROKERS[request.param](tmp_path, proxy.port)
        ending.callback(broker.kill)
        broker.start()
        proxy.forward_to(broker.port)
        yield from _play(Scene(broker, Workers(broker.address, tmp_path), seed, rounds, proxy), record_property)


def _play(scene: Scene, record_property: Any) -> Iterator[Scene]:
    ensure_topics(scene.broker.address)
    try:
        yield scene
    finally:
        scene.workers.close()
        times = " ".join(f"{seconds:.1f}" for seconds in scene.recoveries_s) or "-"
        notes = "".join(f"; {note}" for note in scene.notes)
        record_property(_PROPERTY, f"seed={scene.seed} rounds={scene.rounds} recovery_s: {times}{notes}")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """One line per test: its seed, and how long each recovery took."""
    lines = [
        f"{report.nodeid.rpartition('/')[2]} {value}"
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "teardown"
        for name, value in report.user_properties
        if name == _PROPERTY
    ]
    if lines:
        terminalreporter.section("faults")
        for line in lines:
            terminalreporter.write_line(line)
