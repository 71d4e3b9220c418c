"""The door's decoder against damaged and hostile bytes: an event or a reason, never anything else."""

import datetime as dt
import json
import math
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from platform_assets.contracts.events import InvalidEvent, accept, decode_event, decode_new_event, encode_event

NOW = dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC)
_LINE = {
    "basket_id": "1",
    "product_id": "2",
    "store_id": "3",
    "quantity": 1,
    **dict.fromkeys(("sales_value", "retail_disc", "coupon_disc", "coupon_match_disc"), 1.5),
}
VALID = [
    json.dumps(fields | {"source_service": "web", "occurred_at": "2026-01-15T09:30:00Z"}).encode()
    for fields in (
        {"event_name": "purchase_line", "payload": _LINE, "event_id": "e-1", "user_id": None},
        {"event_name": "note", "payload": {"text": 'a "quoted" \\ line\n', "list": [1, -2.5e3, True, None, {}]}},
        {"event_name": "note", "payload": {}, "event_type": "custom", "schema_version": 1, "correlation_id": "c:1"},
    )
]
TOKENS = [
    b"NaN", b"-Infinity", b"1e999", b"-0", b"9" * 400, b"0x1", b"null", b"true", b'""', b"{}", b"[" * 40, b"[" * 10_000,
    b'{"a":' * 10_000, b'{"a":1,"a":2}', b'"\\ud800"', b'"\\u0000"', b"\x00", b"\xff", b"\xc0\xaf", b"\xed\xa0\x80",
    b"\xef\xbb\xbf", b"\\u003a", b":", b",", b'"', b"\r\n", b"//", b"/**/",
]  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A valid event with some places cut, doubled, flipped or replaced by what parsers stumble over."""
    body = draw(st.sampled_from(VALID))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(body)))
        end = draw(st.integers(start, min(len(body), start + 30)))
        part = draw(
            st.sampled_from([b"", body[start:end] * 2])
            | st.sampled_from(TOKENS)
            | st.binary(max_size=4)
            | st.sampled_from(VALID)
        )
        body = body[:start] + part + body[end:]
    return body


@settings(max_examples=500)
@given(damaged())
@example(VALID[0])
def test_a_damaged_event_is_refused_or_means_the_same_to_every_reader(body: bytes) -> None:
    try:
        new = decode_new_event(body)
    except InvalidEvent as refused:
        new, reason = None, refused.reason
        assert reason
    if new is not None:
        stored = decode_event(encode_event(accept(new, received_at=NOW, correlation_id="c")))
        assert _same(json.loads(body)["payload"], stored.payload)


def _same(sent: Any, stored: Any) -> bool:
    if isinstance(sent, dict):
        return sent.keys() == stored.keys() and all(_same(value, stored[key]) for key, value in sent.items())
    if isinstance(sent, list):
        return len(sent) == len(stored) and all(map(_same, sent, stored))
    return sent == stored or (isinstance(sent, float) and math.isclose(sent, stored))


@pytest.mark.parametrize("token", TOKENS, ids=lambda token: repr(token[:12]))
@pytest.mark.parametrize("place", [b"1.5", b'"1"', b'"2026-01-15T09:30:00Z"', b'"web"'])
def test_every_hostile_token_in_the_place_of_a_value_gets_a_verdict(token: bytes, place: bytes) -> None:
    body = VALID[0].replace(place, token, 1)
    try:
        verdict = decode_new_event(body).event_name
    except InvalidEvent as refused:
        verdict = refused.reason
    assert verdict


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"NaN", "malformed"),
        (b"Infinity", "malformed"),
        (b"1e999", "out of range"),
        (b"[" * 10_000 + b"]" * 10_000, "nests too deeply"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "nests too deeply"),
        (b'{"b":1,"b":1}', 'The key "b" stands twice in one object'),
        (b'"\xff"', "invalid start byte"),
        (b'"\\ud800"', ""),
    ],
    ids=["NaN", "Infinity", "overflow", "deep-array", "deep-object", "twice", "not-utf-8", "half-a-pair"],
)
def test_what_json_or_its_readers_disagree_about_is_refused(value: bytes, reason: str) -> None:
    body = b'{"event_name":"n","source_service":"w","payload":{"a":%b}}' % value
    with pytest.raises(InvalidEvent) as refused:
        decode_new_event(body)
    assert reason in refused.value.reason
