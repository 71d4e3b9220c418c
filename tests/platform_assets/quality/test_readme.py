"""What the README shows can be done as it says."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from click.testing import CliRunner

from deployments.cli import main
from platform_assets import quality
from platform_assets.quality.anomalies import MIN_DAYS, MIN_WEEKS, THRESHOLD, WINDOW_DAYS
from platform_assets.quality.expectations import AnyExpectation
from resources.settings import Settings
from resources.warehouse import Warehouse

README = Path(str(quality.__file__)).with_name("README.md")
USERS = "user_id,age,plan,phone\nu1,30,free,+15551234567\nu2,40,paid,15551234567\n"


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Users as the README has them, its suite, and a warehouse in which nothing is held."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "users.csv").write_text(USERS)
    (tmp_path / "users.yaml").write_text(block("yaml"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANALYTICS_DATA_DIR", str(tmp_path / "state"))
    with Warehouse.of(Settings(data_dir=tmp_path / "state")).write("test") as connection:
        connection.execute("CREATE SCHEMA raw")
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_commands_of_the_readme_run() -> None:
    lines = [shlex.split(line, comments=True) for line in block("console").splitlines()]
    for program, *arguments in lines:
        assert program == "analytics"
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
    assert len(lines) == 3


def test_python_of_the_readme_runs(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", block("python")], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "True 100.00 % []\n"), done.stderr


def test_table_names_every_type_with_its_fields() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", README.read_text(), re.MULTILINE)
    told = {name: set(re.findall(r"`(\w+)`", fields)) for name, fields in rows}
    of_all = {"name", "severity", "mostly"}
    assert {name: fields - of_all for name, fields in told.items()} == {
        kind.__struct_config__.tag: set(kind.__struct_fields__) - of_all for kind in get_args(AnyExpectation)
    }


def test_numbers_of_the_readme_are_those_of_the_code() -> None:
    assert (WINDOW_DAYS, MIN_WEEKS) == (7 * 8, 4)
    text = " ".join(README.read_text().split())
    for words in ("eight weeks before it", "four weeks are known", f"at least {MIN_DAYS})", f"beyond {THRESHOLD}"):
        assert words in text
