"""A dbt whose run was killed ends too; one that was started by hand goes on."""

import importlib.util
import os
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from tests.faults.waiting import wait_until

PLUGINS = Path(__file__).parents[2] / "dbt_project" / "plugins"

# Stands for dbt: it loads the plugin as dbt-duckdb does, says so, and works on.
_DBT = """
import sys, time
sys.path.insert(0, sys.argv[1])
import ends_with_its_run
ends_with_its_run.Plugin("ends_with_its_run", {})
print("working", flush=True)
time.sleep(60)
"""
# Stands for the run: it starts dbt and says its process id.
_RUN = """
import os, subprocess, sys, time
environment = os.environ | {"DBT_STARTED_BY": str(os.getpid())}
child = subprocess.Popen([sys.executable, "-c", sys.argv[1], sys.argv[2]], env=environment, stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""


def test_dbt_ends_when_its_run_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", _RUN, _DBT, str(PLUGINS)], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        dbt = psutil.Process(int(run.stdout.readline()))
        try:
            assert dbt.is_running()
            run.kill()
            run.wait()
            wait_until(lambda: not dbt.is_running(), "dbt ends", 10)
        finally:
            if dbt.is_running():
                dbt.kill()


@pytest.mark.parametrize("started_by", [None, str(os.getpid())], ids=["by hand", "by this process"])
def test_dbt_by_hand_and_the_run_itself_are_not_watched(
    started_by: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run loads the plugins too, when it reads columns through dbt's adapter."""
    monkeypatch.delenv("DBT_STARTED_BY", raising=False)
    if started_by is not None:
        monkeypatch.setenv("DBT_STARTED_BY", started_by)
    spec = importlib.util.spec_from_file_location("ends_with_its_run", PLUGINS / "ends_with_its_run.py")
    assert spec is not None
    assert spec.loader is not None
    plugin = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(plugin)
    plugin.Plugin("ends_with_its_run", {})
    assert "ends-with-its-run" not in {thread.name for thread in threading.enumerate()}
