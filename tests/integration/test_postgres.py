"""Dagster's runs and events on a real Postgres, chosen by a setting."""

import time
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from deployments.local.dagster_client import DagsterClient
from tests.integration.conftest import Platform
from tests.postgres_server import running_postgres

pytestmark = pytest.mark.integration

# The shortest of the jobs: what a run does is not the matter here.
JOB = "compaction_job"


@pytest.fixture
def postgres() -> Iterator[str]:
    with running_postgres() as address:
        yield address


def test_platform_keeps_its_runs_in_postgres(postgres: str, tmp_path: Path) -> None:
    """The runs that are started through the webserver, their events, and the daemon's ticks."""
    platform = Platform(tmp_path / "data", ANALYTICS_DAGSTER__POSTGRES_URL=postgres)
    try:
        platform.start("--no-demo", "--detach")
        platform.wait(lambda status: status["ready"], "ready", 180)
        dagster = DagsterClient(platform.address("dagster"))
        run_id = dagster.launch(JOB)
        deadline = time.monotonic() + 120
        while not dagster.run(run_id).finished:
            assert time.monotonic() < deadline, "the run has not come to its end"
            time.sleep(1)
        with psycopg2.connect(postgres) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT pipeline_name, status FROM runs WHERE run_id = %s", [run_id])
            assert cursor.fetchall() == [(JOB, "SUCCESS")]
            cursor.execute("SELECT count(*) FROM event_logs WHERE run_id = %s", [run_id])
            assert cursor.fetchone() > (0,)
            cursor.execute("SELECT count(*) FROM job_ticks")
            while cursor.fetchone() == (0,):
                assert time.monotonic() < deadline, "no sensor has ticked"
                time.sleep(1)
                cursor.execute("SELECT count(*) FROM job_ticks")
        assert not list((platform.data_dir / "dagster").rglob("runs.db"))
        assert postgres not in (platform.data_dir / "dagster" / "dagster.yaml").read_text()
    finally:
        platform.destroy()
