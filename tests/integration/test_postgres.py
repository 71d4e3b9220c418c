"""Dagster's runs and events on a real Postgres, chosen by a setting."""

import time
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from tests.integration.conftest import Platform
from tests.postgres_server import running_postgres

pytestmark = pytest.mark.integration


@pytest.fixture
def postgres() -> Iterator[str]:
    with running_postgres() as address:
        yield address


def test_platform_keeps_its_runs_in_postgres(postgres: str, tmp_path: Path) -> None:
    platform = Platform(tmp_path / "data", ANALYTICS_DAGSTER__POSTGRES_URL=postgres)
    try:
        platform.start("--no-demo", "--detach")
        platform.wait(lambda status: status["ready"], "ready", 180)
        assert platform.send("one").status_code == 202
        with psycopg2.connect(postgres) as connection, connection.cursor() as cursor:
            deadline = time.monotonic() + 240  # 100 s were seen beside two other tests
            while True:
                cursor.execute("SELECT status FROM runs WHERE pipeline_name = 'warehouse_job'")
                if ("SUCCESS",) in cursor.fetchall():
                    break
                connection.rollback()
                assert time.monotonic() < deadline, "no run of the sensor succeeded"
                time.sleep(1)
        assert not list((platform.data_dir / "dagster").rglob("runs.db"))
        assert postgres not in (platform.data_dir / "dagster" / "dagster.yaml").read_text()
    finally:
        platform.destroy()
