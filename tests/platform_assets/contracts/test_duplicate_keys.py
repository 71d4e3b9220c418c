"""A key that stands twice in one object is found, however it is written, and nothing else is taken for one."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.contracts.duplicate_keys import duplicate_key
from platform_assets.contracts.events import InvalidEvent, decode_new_event


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (b"{}", None),
        (b'{"a":1,"b":{"a":2},"c":[{"a":3},{"a":4}]}', None),
        (b'{"a":1,"a":2}', "a"),
        (b'{"a" :1, "a"\n:2}', "a"),
        (b'{"a":1,"\\u0061":2}', "a"),
        (b'{"a":1,"a":1,"x":"\\u003a"}', "a"),
        (b'{"a":1,"a":1,"x":"\\u003A\\u003A"}', "a"),
        (b'{"x":"a:b\\":","\\\\":[{":":1,":":2}]}', ":"),
        (b'{"x":"\\u003a"}', None),
        (b'{"a":"+00:00+00:00","a":"+00:00"}', "a"),
        (b'{"a":"+00:00","b":"+00:00"}', None),
        (b'{"":1,"":2}', ""),
        (b'{"n":' + b"9" * 4000 + b',"n":1}', "n"),
        (b'[1,"a:b"]', None),
    ],
)
def test_duplicate_key_is_named(body: bytes, key: str | None) -> None:
    assert duplicate_key(body) == key


_texts = st.text(alphabet='ab:"\\\u003a\né', max_size=4) | st.sampled_from(["+00:00", "a+00:00", "+00:00+00:00"])
_values = st.recursive(
    st.none() | st.integers(-9, 9) | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(_texts, inner), max_size=3).map(tuple),
    max_leaves=8,
)


def _written(value: Any, ascii_only: bool) -> str:
    if isinstance(value, tuple):
        pairs = (f"{json.dumps(key, ensure_ascii=ascii_only)}: {_written(item, ascii_only)}" for key, item in value)
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_written(item, ascii_only) for item in value) + "]"
    return json.dumps(value, ensure_ascii=ascii_only)


def _has_duplicate(value: Any) -> bool:
    if isinstance(value, tuple):
        keys = [key for key, _ in value]
        return len(set(keys)) < len(keys) or any(_has_duplicate(item) for _, item in value)
    return isinstance(value, list) and any(_has_duplicate(item) for item in value)


@given(_values, st.booleans())
def test_duplicate_keys_are_found_exactly_where_there_are_some(value: Any, ascii_only: bool) -> None:
    """Objects are written as pairs, so that a key may stand in them twice."""
    assert (duplicate_key(_written(value, ascii_only).encode()) is not None) == _has_duplicate(value)


_times = st.sampled_from(
    ["2026-01-15T09:30:00Z", "2026-01-15T09:30:00+00:00", "2026-01-15T09:30:00+0530", "2026-01-15T09:30:00-05:00"]
)


@given(
    occurred_at=_times,
    nulls=st.sets(st.sampled_from(["user_id", "session_id", "correlation_id"])),
    twice=st.none() | st.sampled_from(["event_name", "occurred_at", "payload", "user_id"]),
    payload=st.lists(st.tuples(_texts, _values), max_size=3).map(tuple),
)
def test_door_refuses_a_key_that_stands_twice_wherever_it_stands(
    occurred_at: str, nulls: set[str], twice: str | None, payload: Any
) -> None:
    fields: list[tuple[str, Any]] = [("event_name", "note"), ("source_service", "web"), ("occurred_at", occurred_at)]
    fields += [(name, None) for name in sorted(nulls)]
    fields.append(("payload", payload))
    if twice is not None:
        fields += [pair for pair in fields if pair[0] == twice]
    body = _written(tuple(fields), False).encode()
    if _has_duplicate(tuple(fields)):
        with pytest.raises(InvalidEvent, match="stands twice in one object"):
            decode_new_event(body)
    else:
        decode_new_event(body)


def test_a_key_with_odd_characters_is_quoted_in_the_reason() -> None:
    body = b'{"event_name":"n","source_service":"w","payload":{"a\\nb":1,"a\\nb":2}}'
    with pytest.raises(InvalidEvent) as caught:
        decode_new_event(body)
    assert caught.value.reason == 'The key "a\\nb" stands twice in one object'
    assert msgspec.json.decode(body)
