"""Each step does one thing to a body, and a body that it cannot be done on says why."""

import json
from typing import Any

import msgspec
import pytest

from platform_assets.repair.steps import Step, StepFailed, apply_steps


def steps(*given: dict[str, Any]) -> list[Step]:
    return msgspec.convert(list(given), list[Step])


def after(document: dict[str, Any], *given: dict[str, Any]) -> dict[str, Any]:
    return apply_steps(json.dumps(document), steps(*given))


def test_set_writes_and_default_writes_only_where_nothing_is() -> None:
    document = {"a": 1, "b": None}
    assert after(document, {"do": "set", "path": "a", "value": 2})["a"] == 2
    assert after(document, {"do": "default", "path": "a", "value": 2})["a"] == 1
    assert after(document, {"do": "default", "path": "b", "value": 2})["b"] == 2
    assert after(document, {"do": "default", "path": "c.d", "value": 2})["c"] == {"d": 2}


def test_values_that_are_set_are_not_shared_between_items() -> None:
    made = after(
        {"items": [{}, {}]},
        {"do": "set", "path": "items[*].tags", "value": {}},
        {"do": "set", "path": "items[0].tags.x", "value": 1},
    )
    assert made == {"items": [{"tags": {"x": 1}}, {"tags": {}}]}


def test_drop_takes_out_fields_and_items() -> None:
    assert after({"a": 1, "b": [1, 2, 3]}, {"do": "drop", "path": "a"}) == {"b": [1, 2, 3]}
    assert after({"b": [1, 2, 3]}, {"do": "drop", "path": "b[*]"}) == {"b": []}
    assert after({"b": 1}, {"do": "drop", "path": "a.c"}) == {"b": 1}


def test_rename_and_move_overwrite_nothing() -> None:
    assert after({"a": {"q": 1}}, {"do": "rename", "path": "a.q", "to": "quantity"}) == {"a": {"quantity": 1}}
    assert after({"q": 1}, {"do": "move", "path": "q", "to": "a.q"}) == {"a": {"q": 1}}
    for step in ({"do": "rename", "path": "q", "to": "r"}, {"do": "move", "path": "q", "to": "r"}):
        with pytest.raises(StepFailed, match="there is a r"):
            after({"q": 1, "r": 2}, step)


def test_cast_changes_every_item_and_names_the_field_that_it_cannot() -> None:
    step = {"do": "cast", "path": "items[*].q", "to": "integer"}
    assert after({"items": [{"q": "1"}, {}, {"q": 2}]}, step) == {"items": [{"q": 1}, {}, {"q": 2}]}
    with pytest.raises(StepFailed, match=r"items\[\*\]\.q: this text is not clearly one integer"):
        after({"items": [{"q": "secret"}]}, step)


def test_replace_value_changes_what_its_table_has() -> None:
    step = {"do": "replace_value", "path": "country", "values": {"UK": "GB"}}
    assert after({"country": "UK"}, step) == {"country": "GB"}
    assert after({"country": "FR"}, step) == {"country": "FR"}


def test_text_is_mended_before_it_is_read() -> None:
    found = apply_steps(
        '{"a": NaN,}', steps(*({"do": "replace_text", "find": a, "with": b} for a, b in (("NaN", "null"), (",}", "}"))))
    )
    assert found == {"a": None}


def test_bytes_are_read_in_the_encoding_that_the_fix_names() -> None:
    assert apply_steps("base64:eyJhIjogIvwifQ==", steps({"do": "decode_bytes", "encoding": "latin-1"})) == {"a": "ü"}
    with pytest.raises(StepFailed, match="decode_bytes"):
        apply_steps("base64:eyJhIjogIvwifQ==", [])


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("{", "not JSON at character 1"),
        ("[]", "not one object"),
        ('{"a": NaN}', "NaN is no number"),
        ('{"a": 1, "a": 2}', "names a field twice"),
        ('{"a":' * 100_000, "nests too deeply"),
        ('{"a": ' + "9" * 5000 + "}", "not JSON"),
    ],
)
def test_body_that_cannot_be_read_says_why(body: str, why: str) -> None:
    with pytest.raises(StepFailed, match=why):
        apply_steps(body, [])
