"""Runs `dbt build` on a warehouse file, as a process of its own. The caller holds the file's lock and no connection."""

import collections
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from resources.settings import Settings

DBT_PROJECT = Path(__file__).parents[2] / "dbt_project"

_STAMP = re.compile(r"^\d\d:\d\d:\d\d\s+")
_STEP = re.compile(r"\d+ of \d+ (?!START)")
_KEPT_LINES = 40
WITHOUT_UNIT_TESTS = ("--exclude-resource-type", "unit_test")
"""Unit tests judge the SQL, not the data: they belong to the project's own tests. A quarter of a small build's time."""
JUDGED_AT_THE_LOAD = "judged_at_the_load"
"""The tag of the tests of landed rows: for whoever builds by hand; here the load has judged the rows already."""
TESTING_WHAT_IS_BUILT = (*WITHOUT_UNIT_TESTS, "--exclude", f"tag:{JUDGED_AT_THE_LOAD}")
"""The arguments that make a `dbt build` what the platform's own are."""
_WITHOUT_TESTS = ("--exclude-resource-type", "test", *WITHOUT_UNIT_TESTS)


class BuildFailed(RuntimeError):
    """dbt could not build or test everything; the message ends with what it said last."""


def environment_of_dbt(settings: Settings, path: Path, *, log: str) -> dict[str, str]:
    """What dbt_project/profiles.yml and its plugins read from the environment; `log` is a folder among the logs."""
    return {
        "ANALYTICS_WAREHOUSE__PATH": str(path),
        "ANALYTICS_WAREHOUSE__BUSINESS_TIMEZONE": settings.warehouse.business_timezone,
        "DBT_LOG_PATH": str(settings.logs_dir / log),
        # dbt_project/plugins/ends_with_its_run.py: whoever is killed takes its dbt along.
        "DBT_STARTED_BY": str(os.getpid()),
    }


def dbt_build(
    settings: Settings, path: Path, *, full_refresh: bool, say: Callable[[str], None], tests: bool = False
) -> None:
    """Build every model of the project in the file at `path`; `say` hears of each step.

    A full refresh tests all of it. What is only added to an existing file is tested where `tests` asks for it, as the
    platform's own builds are; else by the next of these, which tests every row that none has tested: the 160 tests take
    longer than the models, and runs wait meanwhile.

    Raises:
        BuildFailed: a model or a test failed.
    """
    artefacts = settings.root / "dbt" / "rebuild"
    command = [
        str(Path(sys.executable).with_name("dbt")), "--no-use-colors", "build",
        "--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT),
        "--target", settings.environment.value, "--target-path", str(artefacts),
        *(["--full-refresh"] if full_refresh else TESTING_WHAT_IS_BUILT if tests else _WITHOUT_TESTS),
    ]  # fmt: skip
    environment = os.environ | environment_of_dbt(settings, path, log="dbt-rebuild")
    said: collections.deque[str] = collections.deque(maxlen=_KEPT_LINES)
    with subprocess.Popen(
        command, cwd=DBT_PROJECT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        for line in process.stdout:
            text = _STAMP.sub("", line.rstrip())
            said.append(text)
            if _STEP.match(text):
                say(text)
    if process.returncode != 0:
        raise BuildFailed("dbt build failed:\n" + "\n".join(said))
