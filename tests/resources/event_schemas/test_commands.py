"""`analytics schemas …` on a folder of its own."""

import json
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from platform_assets.contracts.event_schemas import built_in
from platform_assets.contracts.event_schemas.built_in import SNAPSHOT
from platform_assets.contracts.payloads import PURCHASE_LINE
from resources.event_schemas import checks, commands
from resources.event_schemas.checks import CannotCompare, check_folder, check_unchanged, snapshot_at
from resources.event_schemas.commands import schemas
from tests.resources.event_schemas.test_registry import FIRST, NARROWER, WIDER


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def run(data_dir: Path, command: str, *arguments: str) -> Result:
    options = [] if command == "check" else ["--data-dir", str(data_dir)]
    return CliRunner().invoke(schemas, [command, *options, *arguments])


def register(data_dir: Path, document: Any, *options: str) -> Result:
    data_dir.mkdir(exist_ok=True)
    (data_dir / "schema.json").write_text(json.dumps(document))
    return run(data_dir, "register", "page_viewed", str(data_dir / "schema.json"), *options)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--data-dir` writes it, which must not outlive the test."""
    monkeypatch.setenv("ANALYTICS_DATA_DIR", "unused")


def test_registered_schema_is_listed_and_shown(data_dir: Path) -> None:
    assert "page_viewed v1: registered, in force from 20" in register(data_dir, FIRST).output
    assert "the newest version says this already" in register(data_dir, FIRST).output
    listed = run(data_dir, "list").output
    assert "page_viewed" in listed
    assert "backward" in listed
    assert "built in" in listed
    assert json.loads(run(data_dir, "show", "page_viewed").output) == FIRST
    assert json.loads(run(data_dir, "show", PURCHASE_LINE, "--version", "1").output)["title"] == "PurchaseLine"


def test_incompatible_and_unsupported_schemas_are_refused_line_by_line(data_dir: Path) -> None:
    register(data_dir, FIRST)
    refused = register(data_dir, NARROWER)
    assert refused.exit_code == 1
    assert "$.path: the version before allows more than 5 characters, this one refuses that" in refused.output
    refused = register(data_dir, {"type": "object", "not": {}, "allOf": []})
    assert refused.exit_code == 1
    assert "#/allOf: " in refused.output
    assert "#/not: " in refused.output
    assert register(data_dir, NARROWER, "--compatibility", "none").exit_code == 0


def test_dry_run_stores_nothing(data_dir: Path) -> None:
    assert "page_viewed v1: can be registered" in register(data_dir, FIRST, "--dry-run").output
    shown = run(data_dir, "show", "page_viewed")
    assert shown.exit_code == 1
    assert "its events are generic" in shown.output


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[" * 100_000])
def test_file_that_is_no_json_is_said(data_dir: Path, content: bytes) -> None:
    data_dir.mkdir()
    (data_dir / "schema.json").write_bytes(content)
    refused = run(data_dir, "register", "page_viewed", str(data_dir / "schema.json"))
    assert refused.exit_code == 1
    assert "schema.json is no JSON" in refused.output


def test_check_of_the_repository_s_contracts_passes(data_dir: Path) -> None:
    """The command that CI runs."""
    checked = run(data_dir, "check")
    assert checked.exit_code == 0, checked.output
    assert "Every contract keeps its promises" in checked.output


def test_check_fails_when_a_built_in_contract_breaks_its_snapshot(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And tells where and what to do; --update does not agree on it."""

    class OnlyABasket(msgspec.Struct, forbid_unknown_fields=True):
        basket_id: int

    monkeypatch.setattr(built_in, "PAYLOAD_CONTRACTS", {PURCHASE_LINE: OnlyABasket})
    for options in ((), ("--update",)):
        checked = run(data_dir, "check", *options)
        assert checked.exit_code == 1
        assert "built-in purchase_line, $.basket_id: the version before allows the type string" in checked.output
        assert "$.quantity: the version before allows it, this one refuses that; keep it in" in checked.output


def test_check_asks_for_an_update_after_a_compatible_change(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / SNAPSHOT.name
    copy.write_bytes(SNAPSHOT.read_bytes().replace(b'"maximum": 10000000,', b'"maximum": 9,'))
    monkeypatch.setattr(commands, "SNAPSHOT", copy)
    monkeypatch.setattr(commands, "update_snapshot", lambda: checks.update_snapshot(copy))
    assert "run it again with --update" in run(data_dir, "check").output
    assert run(data_dir, "check", "--update").exit_code == 0
    assert copy.read_bytes() == SNAPSHOT.read_bytes()


def test_check_of_a_folder_finds_gaps_broken_promises_and_damage(data_dir: Path) -> None:
    register(data_dir, FIRST)
    register(data_dir, WIDER)
    register(data_dir, NARROWER, "--compatibility", "none")
    folder = data_dir / "schemas"
    assert check_folder(folder) == []
    third = folder / "page_viewed.v3.json"
    third.write_text(third.read_text().replace('"none"', '"backward"'))
    (folder / "other.v1.json").write_text("{")
    broken = check_folder(folder)
    assert broken[0].startswith("other.v1.json: it is no schema version")
    assert broken[1].startswith("page_viewed v3, $.path: ")
    (folder / "page_viewed.v2.json").unlink()
    assert "page_viewed v3 follows v1; leave no version out" in check_folder(folder)
    assert run(data_dir, "check", str(folder)).exit_code == 1


def test_check_against_a_revision_holds_versions_to_what_was_committed(data_dir: Path) -> None:
    """An edited or deleted version is found, a new one is fine, and no repository is said."""
    register(data_dir, FIRST)
    register(data_dir, WIDER)
    folder = data_dir / "schemas"
    with pytest.raises(CannotCompare, match=r"git ls-tree: .*not a git repository"):
        check_unchanged(folder, "HEAD")
    identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-q", "-m", "m"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    register(data_dir, WIDER | {"required": []})
    assert check_unchanged(folder, "HEAD") == []
    (folder / "page_viewed.v1.json").unlink()
    second = folder / "page_viewed.v2.json"
    second.write_text(second.read_text().replace("title", "name"))
    assert [fault.partition(" ")[0] for fault in check_unchanged(folder, "HEAD")] == [
        "page_viewed.v1.json",
        "page_viewed.v2.json",
    ]
    with pytest.raises(CannotCompare, match="git show"):
        snapshot_at("no-such-revision")
    with pytest.raises(CannotCompare):
        snapshot_at("--output=/dev/null")
