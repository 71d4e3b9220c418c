"""`analytics rejected` as a person meets it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from deployments.cli import main
from resources.landing_zone import LandingZone
from tests.landed_records import event, land_events, land_rejections, rejection

BODY = '{"event_name": "bought", "source_service": "web", "payload": {"card": "4111-1111"}, "schema_version": "1"}'
REASON = "Expected `int`, got `str` - at `$.schema_version`"
FIX = """
fixes:
  - match: {reason: "got `str` - at `$.schema_version`"}
    steps: [{do: cast, path: schema_version, to: integer}]
"""


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    land_rejections(
        LandingZone(tmp_path / "landing"),
        [
            rejection(0, reason=REASON, body=BODY, event_id="e0"),
            rejection(1, reason=REASON, body=BODY, event_id="e1"),
            rejection(2, reason="Odd \x1b[31m[bold]red[/bold]", body='{"event_name": "\x1b]0;x\x07"', origin="stream"),
        ],
    )
    return tmp_path


def run(data_dir: Path, *arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, ["rejected", *arguments, "--data-dir", str(data_dir)], input=stdin)


def test_list_counts_by_reason_and_prints_no_body(data_dir: Path) -> None:
    result = run(data_dir, "list")
    assert result.exit_code == 0, result.output
    first = next(line for line in result.output.splitlines() if "schema_version" in line)
    assert first.split()[:4] == ["2", "open", "door", "bought"]
    assert "3 open rejections." in result.output
    assert "4111" not in result.output + run(data_dir, "list", "--each").output + run(data_dir, "list", "--json").output


def test_list_in_json_has_one_object_a_line(data_dir: Path) -> None:
    rows = [
        json.loads(line) for line in run(data_dir, "list", "--each", "--json", "--origin", "door").stdout.splitlines()
    ]
    assert [row["rejection_id"] for row in rows] == ["rejection-0", "rejection-1"]
    assert "body" not in rows[0]


def test_list_shows_what_was_superseded_only_when_asked(data_dir: Path) -> None:
    land_events(LandingZone(data_dir / "landing"), [event(0, event_id="e0")])
    assert "2 open rejections." in run(data_dir, "list").output
    assert "1 superseded rejections." in run(data_dir, "list", "--status", "superseded").output
    assert "3 rejections." in run(data_dir, "list", "--status", "all").output


def test_what_a_sender_wrote_cannot_speak_to_the_terminal(data_dir: Path) -> None:
    for arguments in (["list"], ["list", "--each"], ["show", "rejection-2"]):
        output = run(data_dir, *arguments).output
        assert "\x1b" not in output
        assert "\x07" not in output
        assert "[bold]red" in output


def test_show_prints_the_body_and_where_it_came_from(data_dir: Path) -> None:
    output = run(data_dir, "show", "rejection-0").output
    assert "4111-1111" in output
    assert REASON in output
    assert run(data_dir, "show", "rejection-0", "--body").stdout == BODY + "\n"


def test_show_of_an_unknown_or_short_id_says_what_to_do(data_dir: Path) -> None:
    assert "There is no rejection xyz" in run(data_dir, "show", "xyz").output
    assert "Several rejections begin with rejection-" in run(data_dir, "show", "rejection-").output


def test_dry_run_says_what_would_pass_and_sends_nothing(data_dir: Path) -> None:
    """There is no API here to send anything to."""
    result = run(data_dir, "replay", "--fix", "-", "--dry-run", stdin=FIX)
    assert result.exit_code == 0, result.output
    assert "Nothing was sent. 2 of 2 would pass, of 2026-01-05." in result.output


def test_dry_run_says_why_a_mended_event_would_still_fail(data_dir: Path) -> None:
    steps = "[{do: drop, path: schema_version}, {do: drop, path: payload}]"
    fix = f"fixes: [{{match: {{event_name: bought}}, steps: {steps}}}]"
    result = run(data_dir, "replay", "--fix", "-", "--dry-run", stdin=fix)
    assert result.exit_code == 2
    assert "Object missing required field `payload`" in result.output
    assert "rejection-0" in result.output


def test_first_fix_that_matches_mends(data_dir: Path) -> None:
    fixes = FIX + "  - match: {event_name: bought}\n    steps: [{do: drop, path: payload}]\n"
    assert run(data_dir, "replay", "--fix", "-", "--dry-run", stdin=fixes).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["replay", "--fix", "-"], "needs a condition"),
        (["list", "--since", "yesterday"], "no ISO 8601 time"),
        (["list", "--origin", "window"], "Invalid value"),
    ],
)
def test_mistake_is_said_plainly(data_dir: Path, arguments: list[str], why: str) -> None:
    result = run(data_dir, *arguments, stdin="fixes: [{match: {}}]")
    assert result.exit_code != 0
    assert why in result.output


def test_fix_that_matches_nothing_sends_nothing(data_dir: Path) -> None:
    result = run(data_dir, "replay", "--fix", "-", stdin="fixes: [{match: {event_name: nobody}}]")
    assert (result.exit_code, result.output.strip()) == (0, "No open rejection matches this fix.")


def test_dry_run_asks_the_registered_schemas_too(data_dir: Path, tmp_path: Path) -> None:
    schema = tmp_path / "bought.json"
    schema.write_text('{"type": "object", "properties": {"card": {"type": "integer"}}, "required": ["card"]}')
    registered = CliRunner().invoke(
        main,
        ["schemas", "register", "bought", str(schema), "--data-dir", str(data_dir)],
        env={"ANALYTICS_SCHEMAS__IN_FORCE_AFTER_S": "0"},
    )
    assert registered.exit_code == 0, registered.output
    result = run(data_dir, "replay", "--fix", "-", "--dry-run", stdin=FIX)
    assert (result.exit_code, "0 of 2 would pass" in result.output) == (2, True), result.output
    assert "`$.payload.card`" in result.output
