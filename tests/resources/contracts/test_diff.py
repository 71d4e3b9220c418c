"""`analytics contract diff` on a clone of this repository whose contract was edited, by the clone's own code."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from resources.lineage.compiled_dbt import compile_project
from resources.warehouse.dbt_build import DBT_PROJECT

COMPILED = DBT_PROJECT / "target" / "lineage"
REPOSITORY = Path(__file__).resolve().parents[3]
PAYLOADS = Path("platform_assets") / "contracts" / "payloads.py"
WINDOWS = Path("platform_assets") / "contracts" / "windows.py"
STAGING = Path("dbt_project") / "models" / "staging" / "stg_events__purchase_lines.sql"


class Clone:
    """A repository of its own with one commit: the files of this one as they stand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "clone"
        self._data = folder / "data"
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=REPOSITORY, capture_output=True, check=True, text=True,
        ).stdout  # fmt: skip
        for name in filter(None, listed.split("\0")):
            if (REPOSITORY / name).is_file():
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(REPOSITORY / name, self.folder / name)
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit()

    def git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")
        return subprocess.run(
            ["git", *identity, *arguments], cwd=self.folder, capture_output=True, check=True, text=True
        ).stdout.strip()

    def commit(self) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "state")
        return self.git("rev-parse", "HEAD")

    def edit(self, path: Path, old: str, new: str) -> None:
        text = (self.folder / path).read_text()
        assert text.count(old) == 1, f"{old} stands {text.count(old)} times in {path}"
        (self.folder / path).write_text(text.replace(old, new))

    def knows_the_compiled_project(self) -> None:
        """So that dbt need not compile what it has compiled for other tests."""
        compile_project(DBT_PROJECT, COMPILED)
        (self._data / "dbt").mkdir(parents=True, exist_ok=True)
        (self._data / "dbt" / "lineage").symlink_to(COMPILED, target_is_directory=True)

    def diff(self, *arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
        """`contract diff` of the clone's code in the clone."""
        return subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "deployments.cli", "contract", "diff", *arguments],
            cwd=self.folder,
            env={"PATH": path or os.environ["PATH"], "HOME": str(self._data), "ANALYTICS_DATA_DIR": str(self._data)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


@pytest.fixture(scope="module")
def cloned(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    return Clone(tmp_path_factory.mktemp("contract"))


@pytest.fixture
def clone(cloned: Clone) -> Iterator[Clone]:
    """As it was cloned, whatever the test before did."""
    yield cloned
    cloned.git("checkout", "--quiet", "--force", "main")
    cloned.git("reset", "--quiet", "--hard", "HEAD")
    cloned.git("clean", "--quiet", "--force", "-d")


def test_harmless_edit_passes_and_is_told(clone: Clone) -> None:
    """A wider bound, a field that may be left out, and words."""
    clone.edit(PAYLOADS, "le=10_000_000", "le=20_000_000")
    clone.edit(
        PAYLOADS, "    coupon_match_disc: Money\n", "    coupon_match_disc: Money\n    note: str | None = None\n"
    )
    clone.edit(WINDOWS, "One row per user and minute: events, and dollars spent.", "One row per user and minute.")
    compared = clone.diff()
    assert compared.returncode == 0, compared.stderr
    assert "2 changes since" in compared.stdout
    assert "payload.purchase_line.quantity: maximum: 10000000 → 20000000\n" in compared.stdout
    assert "payload.purchase_line.note: is new\n" in compared.stdout
    assert "breaking" not in compared.stdout


def test_break_fails_until_it_is_declared_or_accepted_and_another_one_of_the_field_fails_again(clone: Clone) -> None:
    clone.edit(PAYLOADS, "le=10_000_000", "le=100")
    clone.edit(WINDOWS, "size_ms=60_000,", "size_ms=30_000,")
    broken = clone.diff("--no-reach")
    assert (broken.returncode, "3 breaking" in broken.stderr) == (1, True)
    clone.edit(WINDOWS, "        size_ms=30_000,\n", "        size_ms=30_000,\n        version=2,\n")
    accepted = clone.diff("--no-reach", "--accept", "the stores asked for it")
    assert accepted.returncode == 0, accepted.stderr
    assert "declared by a greater version" in accepted.stdout
    again = clone.diff("--no-reach")
    assert again.returncode == 0, again.stderr
    assert "accepted breaks" in again.stdout
    clone.edit(PAYLOADS, "le=100", "le=99")
    narrower = clone.diff("--no-reach")
    assert (narrower.returncode, "1 breaking" in narrower.stderr) == (1, True)


def test_unchanged_contract_passes_and_the_revision_may_be_named(clone: Clone) -> None:
    assert "The contract is what it was" in clone.diff("--base", "HEAD").stdout
    unknown = clone.diff("--base", "no-such-revision")
    assert (unknown.returncode, "git rev-parse" in unknown.stderr) == (1, True)
    # A revision is never an option of git.
    assert clone.diff("--base", "--output=x").returncode == 1


def test_comparison_is_with_where_the_branch_left_main(clone: Clone) -> None:
    """What main has learned since is not the branch's change."""
    clone.git("checkout", "--quiet", "-b", "branch")
    clone.edit(PAYLOADS, "le=10_000_000", "le=20_000_000")
    clone.commit()
    compared = clone.diff()
    assert "1 changes since" in compared.stdout
    assert "where this branch left main" in compared.stdout


def test_revision_without_a_document_promises_nothing(clone: Clone) -> None:
    clone.git("checkout", "--quiet", "-b", "older")
    clone.git("rm", "--quiet", "platform_assets/contracts/document.py")
    older = clone.commit()
    clone.git("checkout", "--quiet", "main")
    compared = clone.diff("--base", older)
    assert compared.returncode == 0
    assert "no document of the contract yet" in compared.stdout


def test_without_git_the_command_says_so(clone: Clone, tmp_path: Path) -> None:
    compared = clone.diff(path=str(tmp_path))
    assert compared.returncode == 1
    assert "git cannot be run" in compared.stderr
    (clone.folder / ".git").rename(tmp_path / "git")
    try:
        compared = clone.diff()
    finally:
        (tmp_path / "git").rename(clone.folder / ".git")
    assert compared.returncode == 1
    assert "not a git repository" in compared.stderr


@pytest.mark.integration
def test_breaking_edit_fails_with_all_that_it_reaches(clone: Clone) -> None:
    """A narrowed field, one that is gone also from the model that read it, and a window without a greater version."""
    clone.knows_the_compiled_project()
    clone.edit(PAYLOADS, "le=10_000_000", "le=100")
    clone.edit(PAYLOADS, "    retail_disc: Money\n", "")
    clone.edit(STAGING, "    purchase['retail_disc'] as retail_disc,\n", "    0.0 as retail_disc,\n")
    clone.edit(WINDOWS, "size_ms=60_000,", "size_ms=30_000,")
    compared = clone.diff("--json")
    assert compared.returncode == 1
    found = {_key(one["change"]): one for one in json.loads(compared.stdout)["changes"]}
    assert set(found) == {
        ("payload.purchase_line.quantity", "maximum"),
        ("payload.purchase_line.retail_disc", None),
        ("window.user_activity_1m", "size_ms"),
        ("window.user_activity_1m", "hop_ms"),
    }
    assert all(one["is_breaking"] for one in found.values())

    units = found["payload.purchase_line.quantity", "maximum"]["reach"]
    assert "routes/ingest_events" in units["route"]
    assert {"log/events", "log/windows"} <= set(units["topic"])
    assert "windows/user_session_30m.units" in units["window"]
    assert "features/customer_live.session_units" in units["features"]
    assert {"raw/events", "staging/stg_events__purchase_lines", "marts/fct_order_lines"} <= set(units["table"])
    assert "metrics/units" in units["metric"]
    gone = found["payload.purchase_line.retail_disc", None]["reach"]
    assert {"marts/fct_orders", "marts/fct_order_lines"} <= set(gone["table"])
    assert "features/customer_activity.discount_share_84d" in gone["features"]
    assert gone["model"] == ["models/churn"]
    assert {"serving/predict_churn", "routes/metrics"} <= set(gone["route"])
    assert "features/customer_live" in found["window.user_activity_1m", "size_ms"]["reach"]["features"]


def _key(change: dict[str, Any]) -> tuple[str, str | None]:
    return change["entry"], change["attribute"]
