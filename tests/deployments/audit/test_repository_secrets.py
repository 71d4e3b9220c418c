"""A secret in the repository fails the check; a judged one does not (security.md 44)."""

import secrets
import subprocess
from pathlib import Path

import pytest

from deployments.audit.repository_secrets import BASELINE, main

HEADER = "-----BEGIN " + "PRIVATE KEY-----"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one innocent file."""
    (tmp_path / "innocent.py").write_text('TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"\nname = "password"\n')
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    track(tmp_path)
    return tmp_path


def track(repository: Path) -> None:
    subprocess.run(["git", "add", "--all"], cwd=repository, check=True)


@pytest.mark.parametrize(
    ("name", "content"),
    [  # in parts, so that they are not found here
        ("key.pem", f"{HEADER}\nMC4CAQAwBQYDK2VwBCIEI\n"),
        ("settings.py", 'PASSWORD = "{made_up}"\n'),
        ("chart.yaml", "postgres: postgresql://app:{made_up}@db/app\n"),
        ("cloud.ini", "aws_access_key_id = AKIA" + "QWERTYUIOPASDFGH\n"),
        ("client.js", 'const key = "wk_{made_up}";\n'),
    ],
)
def test_a_secret_is_found_with_its_place_and_not_shown(
    repository: Path, capsys: pytest.CaptureFixture[str], name: str, content: str
) -> None:
    assert main(["--root", str(repository)]) == 0
    made_up = secrets.token_urlsafe(32)
    (repository / name).write_text("\n" + content.format(made_up=made_up))
    track(repository)
    assert main(["--root", str(repository)]) == 1
    told = capsys.readouterr().out
    assert f"{name}:2: " in told
    assert content.rsplit(maxsplit=1)[-1].strip('";') not in told


def test_a_judged_finding_is_passed_wherever_its_line_moves_and_a_second_one_is_not(repository: Path) -> None:
    judged = f'PASSWORD = "{secrets.token_urlsafe(16)}"\n'
    (repository / "settings.py").write_text(judged)
    track(repository)
    assert main(["--root", str(repository), "--accept"]) == 0
    assert judged.split('"')[1] not in (repository / BASELINE).read_text()
    (repository / "settings.py").write_text("\n" * 20 + judged)
    assert main(["--root", str(repository)]) == 0
    (repository / "settings.py").write_text(judged + f'TOKEN_SECRET = "{secrets.token_urlsafe(16)}"\n')
    assert main(["--root", str(repository)]) == 1


def test_a_pass_phrase_of_a_test_is_innocent_and_a_random_one_is_not(repository: Path) -> None:
    tests = repository / "tests"
    tests.mkdir()
    (tests / "test_it.py").write_text('PASSWORD = "a password of many words"\n')
    track(repository)
    assert main(["--root", str(repository)]) == 0
    (tests / "test_it.py").write_text(f'PASSWORD = "{secrets.token_urlsafe(48)}"\n')
    assert main(["--root", str(repository)]) == 1
