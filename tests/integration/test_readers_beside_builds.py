"""Readers of metrics over HTTP while marts are built and published again and again."""

import asyncio
from pathlib import Path

import pytest

from deployments.readers.builds import Answers, right_answers
from deployments.readers.questions import questions
from deployments.readers.reading import Readings, read
from resources.settings import ApiSettings, KafkaSettings, Settings
from tests.conftest import free_port
from tests.published_marts import publish_marts
from tests.served_api import served_api

pytestmark = pytest.mark.integration

BUILDS = 8


async def test_every_answer_is_right_for_the_one_snapshot_that_it_names(tmp_path: Path) -> None:
    """No error, no lock, nothing mixed: each build multiplies all money, so an answer of two builds would show."""
    settings = Settings(
        data_dir=tmp_path, kafka=KafkaSettings(bootstrap_servers="127.0.0.1:1"), api=ApiSettings(port=free_port())
    )
    asked = questions()
    truths: dict[str, Answers] = {}
    readings, until = Readings(), asyncio.Event()

    def build(factor: int) -> None:
        snapshot = publish_marts(settings, factor)
        truths[snapshot.version] = right_answers(settings, snapshot, asked)

    async def build_again() -> None:
        for factor in range(2, BUILDS + 1):
            await asyncio.to_thread(build, factor)
        until.set()

    build(1)
    log_path = tmp_path / "api.log"
    with log_path.open("wb") as log, served_api(settings, log=log):
        building = asyncio.create_task(build_again())
        await read(settings.api.port, asked, readers=4, a_second=80, until=until, readings=readings)
        await building
    wrong = [
        (version, path)
        for version, path, rows in readings.answers
        if version not in truths or truths[version][path] != rows
    ]
    assert wrong == []
    assert set(readings.statuses) == {200}
    assert readings.lost == 0
    assert len({version for version, _, _ in readings.answers}) > 2
    assert "lock" not in log_path.read_text().lower()
