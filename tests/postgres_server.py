"""A Postgres server of the machine's own binaries, for as long as a block runs."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2

from tests.conftest import free_port

PASSWORD = "a-password-of-the-tests"


def _binary(name: str) -> str:
    found = shutil.which(name) or next(map(str, sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None)
    assert found, f"{name} is missing: install the Debian package postgresql"
    return found


@contextmanager
def running_postgres() -> Iterator[str]:
    """The address of a fresh server with a password."""
    # Not in pytest's folder: that is root's alone again with every other session that starts.
    with tempfile.TemporaryDirectory() as folder:
        yield from _serve(Path(folder))


def _serve(folder: Path) -> Iterator[str]:
    # Postgres refuses root, so root steps down.
    account = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
    if account is not None:
        os.chown(folder, account.pw_uid, account.pw_gid)
    user, group = (account.pw_uid, account.pw_gid) if account else (None, None)
    password, data, port = folder / "password", folder / "data", free_port()
    password.write_text(PASSWORD)
    password.chmod(0o644)
    subprocess.run(
        [_binary("initdb"), "-D", str(data), "-U", "analytics", "--auth=scram-sha-256", f"--pwfile={password}",
         "--no-sync"],
        check=True, capture_output=True, cwd=folder, user=user, group=group,
    )  # fmt: skip
    server = subprocess.Popen(
        [_binary("postgres"), "-D", str(data), "-p", str(port), "-k", str(folder), "-c", "listen_addresses=127.0.0.1",
         "-c", "fsync=off"],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, user=user, group=group,
    )  # fmt: skip
    try:
        address = f"postgresql://analytics:{PASSWORD}@127.0.0.1:{port}/postgres"
        _wait_until_it_answers(server, address)
        yield address
    finally:
        server.terminate()
        server.wait()


def _wait_until_it_answers(server: "subprocess.Popen[bytes]", address: str) -> None:
    # It listens a little before it lets anybody in.
    deadline = time.monotonic() + 30
    while True:
        try:
            psycopg2.connect(address).close()
        except psycopg2.OperationalError:
            assert server.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return
