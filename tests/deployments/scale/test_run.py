"""The whole tool, small: it makes, lands, loads, builds, runs the same on bare DuckDB, counts and reports."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration


def test_small_run_counts_right_and_writes_its_report(tmp_path: Path) -> None:
    """Too small for its ratio to mean anything: dbt starts longer than it builds."""
    report, picture = tmp_path / "report.json", tmp_path / "plot.png"
    command = [sys.executable, "-m", "deployments.scale", "--events", "4000", "--days", "2", "--step-days", "2"]
    command += ["--folder", str(tmp_path / "scale"), "--json", str(report), "--plot", str(picture)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    found = json.loads(report.read_bytes())
    assert found["error"] is None, finished.stderr
    assert found["counting"]["sent_events"] == found["counting"]["raw_rows"] == 4_000
    assert found["counting"]["wrong_days"] == []
    assert found["counting"]["bare_lines_differ"] == 0
    assert found["growth"] is None
    assert 0 < found["peak_rss_mb"] < 4_000
    assert [text.partition(":")[0] for text in found["missed"]] in ([], ["ratio"])
    assert finished.returncode == int(bool(found["missed"]))
    assert picture.stat().st_size > 10_000
    assert list((tmp_path / "scale").iterdir()) == []
