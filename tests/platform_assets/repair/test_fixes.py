"""A fix file is read as a whole or refused with the place of its mistake."""

import re
from pathlib import Path
from typing import get_args

import pytest

from platform_assets import repair
from platform_assets.repair.fixes import BadFix, fixes_from, read_fixes
from platform_assets.repair.steps import FieldStep, TextStep

README = Path(str(repair.__file__)).with_name("README.md")

GOOD = b"""
fixes:
  - match: {event_name: purchase_line, origin: door, since: 2026-01-01T00:00:00Z}
    steps:
      - {do: replace_text, find: NaN, with: "null"}
      - {do: cast, path: payload.quantity, to: integer}
  - match: {ids: ["0123"]}
"""


def test_yaml_and_json_and_a_document_give_the_same_fixes() -> None:
    first, second = read_fixes(GOOD)
    assert [type(step).__name__ for step in first.steps] == ["ReplaceText", "Cast"]
    assert second.steps == []
    document = {"fixes": [{"match": {"ids": ["0123"]}}]}
    assert fixes_from(document) == read_fixes(b'{"fixes": [{"match": {"ids": ["0123"]}}]}') == [second]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"fixes: []", r"\$\.fixes"),
        (b"fixes: [{match: {}}]", "needs a condition"),
        (b"fixes: [{match: {colour: red}}]", "unknown field `colour`"),
        (b"fixes: [{match: {reason: a}, steps: [{do: exec, path: a}]}]", "'exec'"),
        (b"fixes: [{match: {reason: a}, steps: [{do: drop, path: a b}]}]", "is not a path"),
        (b"fixes: [{match: {reason: a}, steps: [{do: set, path: event_id, value: x}]}]", "does not touch event_id"),
        (b"fixes: [{match: {reason: a}, steps: [{do: rename, path: id, to: event_id}]}]", "does not touch event_id"),
        (b"fixes: [{match: {reason: a}, steps: [{do: set, path: a, value: 2026-01-31}]}]", "put it in quotes"),
        (b"fixes: [{match: {reason: a}, steps: [{do: cast, path: a, to: timestamp, zone: Mars}]}]", "time zone"),
        (b"fixes: [{match: {reason: a}, steps: [{do: cast, path: a, to: timestamp, unit: h}]}]", "s, ms, us"),
        (b"fixes: [{match: {reason: a}, steps: [{do: move, path: 'a[*]', to: b}]}]", "moves one field"),
        (
            b"fixes: [{match: {reason: a}, steps: [{do: drop, path: a}, {do: replace_text, find: a, with: b}]}]",
            "come before",
        ),
        (b"fixes: [", "flow"),
        (b"!!python/object/apply:os.system [true]", "python/object"),
        (b" " * 1_000_001, "at most"),
    ],
)
def test_mistake_is_refused_and_named(text: bytes, why: str) -> None:
    with pytest.raises(BadFix, match=why):
        read_fixes(text)


def test_fix_of_the_readme_can_be_read_and_its_table_has_every_step() -> None:
    text = README.read_text()
    assert len(read_fixes(text.partition("```yaml\n")[2].partition("```")[0].encode())) == 3
    told = set(re.findall(r"`(\w+)` `(?:path|find|encoding)`", text))
    assert told == {step.__struct_config__.tag for step in (*get_args(TextStep), *get_args(FieldStep))}
