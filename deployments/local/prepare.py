"""Sets up what the platform's processes expect to find: folders, Dagster's instance, the registry, dbt's manifest.

Runs alone and before they start, because two processes that make a fresh SQLite instance at once can corrupt it. What
is already as it should be costs a file look-up.
"""

import hashlib
import importlib.metadata
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deployments.local.plan import REPOSITORY
from resources.settings import Settings, load_settings

_DBT_PROJECT = REPOSITORY / "dbt_project"
_SCRIPTS = Path(sys.executable).parent


class PreparationFailed(RuntimeError):
    """A step's command failed; its output says why."""


def prepare(settings: Settings) -> None:
    """Do what is missing; steps that do not touch each other run side by side."""
    for folder in (settings.root, settings.dagster_home, settings.warehouse_path.parent, settings.logs_dir):
        folder.mkdir(parents=True, exist_ok=True)
    _write_dagster_yaml(settings)
    steps = [
        _Step("Dagster's instance", settings, _versions("dagster") + _storage(settings), _prepare_dagster),
        _Step("the model registry", settings, _versions("mlflow") + settings.registry_uri, _prepare_registry),
        _Step("the first credentials", settings, "1", _prepare_identity),
        _Step("dbt's manifest", settings, _dbt_fingerprint(), _prepare_manifest),
    ]
    with ThreadPoolExecutor(len(steps)) as pool:
        list(pool.map(lambda step: step.run(), steps))


class _Step:
    """One step, remembered by the fingerprint of what it depends on."""

    def __init__(self, name: str, settings: Settings, fingerprint: str, act: Callable[[Settings], None]) -> None:
        self._name = name
        self._settings = settings
        self._fingerprint = hashlib.sha256(fingerprint.encode()).hexdigest()
        self._act = act
        self._mark = settings.state_dir / "prepared" / act.__name__.removeprefix("_prepare_")

    def run(self) -> None:
        if self._mark.exists() and self._mark.read_text() == self._fingerprint:
            return
        started = time.monotonic()
        self._act(self._settings)
        self._mark.parent.mkdir(parents=True, exist_ok=True)
        self._mark.write_text(self._fingerprint)
        sys.stderr.write(f"prepared {self._name} in {time.monotonic() - started:.1f} s\n")


def _write_dagster_yaml(settings: Settings) -> None:
    """The instance's configuration. The password stays in the environment: the file only names the variable."""
    content = (REPOSITORY / "deployments" / "local" / "dagster.yaml").read_text()
    if settings.dagster.postgres_url is not None:
        content += "\nstorage:\n  postgres:\n    postgres_url:\n      env: ANALYTICS_DAGSTER__POSTGRES_URL\n"
    (settings.dagster_home / "dagster.yaml").write_text(content)


def _storage(settings: Settings) -> str:
    url = settings.dagster.postgres_url
    return " sqlite" if url is None else f" {url.get_secret_value()}"


def _prepare_dagster(settings: Settings) -> None:
    _call(str(_SCRIPTS / "dagster"), "instance", "migrate", DAGSTER_HOME=str(settings.dagster_home))


def _prepare_registry(settings: Settings) -> None:
    code = (
        "from resources.model_registry.registry import registry_of; from resources.settings import load_settings;"
        "registry_of(load_settings()).prepare()"
    )
    _call(sys.executable, "-c", code, ANALYTICS_DATA_DIR=str(settings.root))


def _prepare_identity(settings: Settings) -> None:
    """An administrator and a write key, at the very first start; `analytics up` shows them once."""
    from resources.identity.bootstrap import make_first_credentials

    make_first_credentials(settings)


def _prepare_manifest(settings: Settings) -> None:
    """The manifest that the definitions are built from stands in the project, where dbt's own commands put it too."""
    from resources.warehouse.dbt_build import environment_of_dbt

    _call(
        str(_SCRIPTS / "dbt"),
        "parse",
        # As the runs call it: what was parsed for another target or environment they would parse again (3 s).
        "--target",
        settings.environment.value,
        DBT_PROJECT_DIR=str(_DBT_PROJECT),
        DBT_PROFILES_DIR=str(_DBT_PROJECT),
        **environment_of_dbt(settings, settings.warehouse_path, log="dbt"),
    )


def _call(*arguments: str, **environment: str) -> None:
    finished = subprocess.run(arguments, env={**os.environ, **environment}, check=False, cwd=REPOSITORY)
    if finished.returncode:
        sys.stderr.write(
            f"{' '.join(arguments[:3])} failed with exit code {finished.returncode}; its output is above\n"
        )
        raise PreparationFailed(arguments[0])


def _versions(package: str) -> str:
    return f"{package} {importlib.metadata.version(package)}"


def _dbt_fingerprint() -> str:
    manifest = _DBT_PROJECT / "target" / "manifest.json"
    sources = sorted(
        path
        for path in _DBT_PROJECT.rglob("*")
        if path.suffix in {".sql", ".yml", ".csv"} and "target" not in path.relative_to(_DBT_PROJECT).parts
    )
    digest = hashlib.sha256(_versions("dbt-core").encode())
    for path in sources:
        digest.update(path.name.encode() + path.read_bytes())
    return f"{digest.hexdigest()} {manifest.exists()}"


if __name__ == "__main__":
    try:
        prepare(load_settings())
    except PreparationFailed:
        raise SystemExit(2) from None  # final: the supervisor does not try again
