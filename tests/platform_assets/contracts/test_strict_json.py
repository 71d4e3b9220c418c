import json
import time

import pytest

from platform_assets.contracts import strict_json


def test_a_text_that_means_one_thing_is_read() -> None:
    assert strict_json.loads(b'{"a": {"b": [1, null]}, "c": {"b": 2}}') == {"a": {"b": [1, None]}, "c": {"b": 2}}


@pytest.mark.parametrize("text", ['{"a": 1, "b": 2, "a": 1}', '[{"x": {"a": 1, "a": 2}}]'])
def test_a_member_that_comes_twice_is_named(text: str) -> None:
    with pytest.raises(strict_json.RepeatedMember) as found:
        strict_json.loads(text)
    assert found.value.name == "a"


@pytest.mark.parametrize("name", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_of_json_is_named(name: str) -> None:
    with pytest.raises(strict_json.NotANumber) as found:
        strict_json.loads(f"[{name}]")
    assert found.value.name == name


def test_what_is_no_json_at_all_is_told_with_its_place() -> None:
    with pytest.raises(json.JSONDecodeError):
        strict_json.loads("{")


def test_repeated_member_among_very_many_is_found_at_once() -> None:
    """The names come from outside: comparing each with all before it took a second for 100 kB."""
    members = ", ".join(f'"{number}": 0' for number in range(100_000))
    started = time.process_time()
    with pytest.raises(strict_json.RepeatedMember):
        strict_json.loads(f'{{{members}, "99999": 0}}')
    assert time.process_time() - started < 2
