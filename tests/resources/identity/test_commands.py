"""The commands, and the first start."""

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from deployments.cli import main
from resources.identity.bootstrap import make_first_credentials
from resources.identity.first_credentials import announce_first_credentials, first_credentials_file
from resources.settings import Settings

PASSWORD = "correct horse battery\n"


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder."""
    monkeypatch.setenv("ANALYTICS_DATA_DIR", str(tmp_path))
    return tmp_path


def run(*arguments: str, given: str = "") -> Result:
    return CliRunner().invoke(main, arguments, input=given)


def test_users_are_added_listed_changed_and_closed(data_dir: Path) -> None:
    assert run("users", "add", "ada", "--role", "admin", given=PASSWORD * 2).exit_code == 0
    assert run("users", "add", "shop", "--role", "engineer", "--service").exit_code == 0
    assert run("users", "set-role", "shop", "viewer").exit_code == 0
    assert run("users", "deactivate", "shop").exit_code == 0
    listed = run("users", "list").output
    assert "ada" in listed
    assert "viewer" in listed
    last = run("users", "deactivate", "ada")
    assert (last.exit_code, "last administrator" in last.output) == (1, True)


def test_a_fault_is_told_without_a_traceback(data_dir: Path) -> None:
    for arguments in (("users", "set-role", "nobody", "viewer"), ("keys", "revoke", "key_x")):
        result = run(*arguments)
        assert (result.exit_code, result.output.startswith("Error: There is no such")) == (1, True)


def test_a_key_is_made_for_an_owner_and_revoked(data_dir: Path) -> None:
    run("users", "add", "shop", "--role", "engineer", "--service")
    made = run("keys", "create", "web", "--owner", "shop", "--write", "--days", "30")
    assert made.stdout.strip().startswith("wk_")
    key_id = made.stderr.split()[0]
    assert made.stdout.strip() not in run("keys", "list").output
    assert run("keys", "revoke", key_id).exit_code == 0


def test_rotation_keeps_the_old_public_key(data_dir: Path) -> None:
    run("users", "list")
    assert run("keys", "rotate-signing").exit_code == 0
    names = sorted(path.name for path in (data_dir / "identity" / "signing-keys").iterdir())
    assert [name.endswith(".pub.pem") for name in names] == [True, False]


def test_audit_shows_and_verifies_and_names_what_is_broken(data_dir: Path) -> None:
    run("users", "add", "shop", "--role", "engineer", "--service")
    (line,) = run("audit", "show").stdout.splitlines()
    assert json.loads(line)["actor"].startswith("operator:")
    assert run("audit", "verify").exit_code == 0
    head = data_dir / "identity" / "audit-head"
    head.write_text(f"{7:020d} {'f' * 64}\n")
    broken = run("audit", "verify")
    assert broken.exit_code == 1
    assert "Entry 2" in broken.output


def test_the_first_start_makes_random_credentials_and_tells_them_once(data_dir: Path) -> None:
    settings = Settings(data_dir=data_dir)
    assert make_first_credentials(settings)
    assert not make_first_credentials(settings)
    file = first_credentials_file(settings)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    announced = announce_first_credentials(settings)
    assert announced == file.read_text()
    assert announce_first_credentials(settings) is None
    fields = dict(line.rsplit(maxsplit=1) for line in announced.splitlines())
    assert len(fields["password"]) == 24
    assert fields["write key"].startswith("wk_")


def test_two_first_starts_make_different_credentials(tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        settings = Settings(data_dir=tmp_path / name)
        make_first_credentials(settings)
        made.append(first_credentials_file(settings).read_text().split())
    assert not (set(made[0]) & set(made[1])) - {"user", "name", "admin", "password", "write", "key"}
