"""The repository's own rules: what stands at the top, and that no registry or machine is named."""

import re
import subprocess
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

FOLDERS = {"platform_assets", "resources", "sensors", "dbt_project", "streaming", "api", "deployments", "tests"}
FILES = {"workspace.yaml", "pyproject.toml", "README.md", "Makefile", "CHANGELOG.md", "LICENSE", "requirements.lock"}


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return listed.stdout.splitlines()


def test_top_level_is_the_fixed_one() -> None:
    top = {path.partition("/")[0] for path in tracked()}
    assert {name for name in top if not name.startswith(".")} == FOLDERS | FILES


def test_lock_pins_everything_with_hashes_and_names_no_registry() -> None:
    lock = (REPOSITORY / "requirements.lock").read_text()
    assert "://" not in lock
    pins = re.findall(r"^[a-zA-Z0-9._-]+(?:\[[^\]]*\])?==", lock, re.MULTILINE)
    assert len(pins) > 200
    for entry in re.split(r"^(?=[a-zA-Z0-9])", lock, flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in entry, entry.splitlines()[0]


def test_packages_that_the_user_named_are_dependencies() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    wanted = {
        "dagster", "dagster-webserver", "dagster-postgres", "dagster-k8s", "dbt-core", "duckdb", "pandera", "mlflow",
        "scikit-learn", "faust-streaming", "fastapi", "pytest",
    }  # fmt: skip
    groups = [*project["project"]["optional-dependencies"].values(), *project["dependency-groups"].values()]
    named = {re.split(r"[^A-Za-z0-9-]", line)[0] for group in groups for line in group}
    assert wanted <= named
    assert project["project"]["requires-python"] == ">=3.11,<3.14"
