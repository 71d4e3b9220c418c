"""Dagster's runs and events on a real Postgres, chosen by a setting."""

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from tests.conftest import free_port
from tests.integration.conftest import Platform

pytestmark = pytest.mark.integration


def _binary(name: str) -> str:
    found = shutil.which(name) or next(map(str, sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None)
    assert found, f"{name} is missing: install the Debian package postgresql"
    return found


@pytest.fixture
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a fresh server that ends with the test. Postgres refuses root, so root steps down."""
    folder = tmp_path_factory.mktemp("postgres")
    account = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
    if account is not None:
        for path in (folder, *list(folder.parents)[:2]):
            path.chmod(0o755)
        os.chown(folder, account.pw_uid, account.pw_gid)
    port = free_port()
    user, group = (account.pw_uid, account.pw_gid) if account else (None, None)
    data = folder / "data"
    subprocess.run(
        [_binary("initdb"), "-D", str(data), "-U", "dagster", "--auth=trust", "--no-sync"],
        check=True, capture_output=True, cwd=folder, user=user, group=group,
    )  # fmt: skip
    server = subprocess.Popen(
        [_binary("postgres"), "-D", str(data), "-p", str(port), "-k", str(folder), "-c", "listen_addresses=127.0.0.1"],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, user=user, group=group,
    )  # fmt: skip
    address = f"postgresql://dagster@127.0.0.1:{port}/postgres"
    deadline = time.monotonic() + 30
    while True:
        try:
            psycopg2.connect(address).close()
            break
        except psycopg2.OperationalError:
            assert time.monotonic() < deadline
            assert server.poll() is None
            time.sleep(0.1)
    yield address
    server.terminate()
    server.wait()


def test_platform_keeps_its_runs_in_postgres(postgres: str, tmp_path: Path) -> None:
    platform = Platform(tmp_path / "data", ANALYTICS_DAGSTER__POSTGRES_URL=postgres)
    try:
        platform.start("--no-demo", "--detach")
        platform.wait(lambda status: status["ready"], "ready", 180)
        assert platform.send("one").status_code == 202
        with psycopg2.connect(postgres) as connection, connection.cursor() as cursor:
            deadline = time.monotonic() + 120
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
