"""A path finds the fields that it names, and says where it is none."""

from typing import Any

import pytest

from platform_assets.repair.paths import BadPath, NoPlace, parse_path


def values(document: Any, path: str) -> list[Any]:
    return [place.value for place in parse_path(path).existing(document)]


def test_path_names_a_field_an_item_every_item_and_a_name_with_dots() -> None:
    document = {"payload": {"items": [{"q": 1}, {"q": 2}, {}], "a.b": 3}}
    assert values(document, "payload.items[1].q") == [2]
    assert values(document, "payload.items[*].q") == [1, 2]
    assert values(document, 'payload["a.b"]') == [3]


def test_path_of_a_reason_can_be_copied() -> None:
    """The decoder writes `$.payload.items[...].q`."""
    assert values({"payload": {"items": [{"q": 1}]}}, "$.payload.items[...].q") == [1]


@pytest.mark.parametrize("text", ["", "$", "a..b", ".a", "a b", "a[", "a[-1]", "a[x]", "a.", "a[0]b", '["a"'])
def test_text_that_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(BadPath):
        parse_path(text)


@pytest.mark.parametrize("document", [{}, [], 1, None, {"a": 1}, {"a": []}, {"a": {"b": None}}])
def test_field_that_is_not_there_is_no_place_to_read(document: Any) -> None:
    assert values(document, "a.b.c") == []


def test_objects_on_the_way_to_a_new_field_are_made() -> None:
    document: dict[str, Any] = {"a": None}
    for place in parse_path("a.b.c").made(document):
        place.put(1)
    assert document == {"a": {"b": {"c": 1}}}


@pytest.mark.parametrize(
    ("document", "path"), [({"a": 1}, "a.b"), ({"a": []}, "a[0].b"), ({"a": {}}, "a[*]"), ({}, "a[0]")]
)
def test_place_that_cannot_be_made_is_said(document: Any, path: str) -> None:
    with pytest.raises(NoPlace):
        parse_path(path).made(document)
