"""Envelopes are cut out of records that are written as the door writes them, and out of nothing else."""

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from platform_assets.contracts.events import ENVELOPE_FIELDS, MAX_EVENT_BYTES, encode_event
from streaming import framed_envelopes
from streaming.envelopes import Envelopes, decode_envelopes
from streaming.framed_envelopes import cut_envelopes
from streaming.joined_values import MARGIN, JoinedValues
from tests.odd_events import TRACE
from tests.streaming.test_event_decoding import check_against_oracle
from tests.streaming_records import NOW, an_event

ids = st.text("aZ9._:@/+=-", min_size=1, max_size=9)
nullable_ids = st.one_of(st.none(), ids)
times = st.sampled_from([NOW, NOW + dt.timedelta(microseconds=7), NOW.astimezone(dt.timezone(dt.timedelta(hours=5)))])
door_events = st.builds(
    an_event,
    ids,
    user_id=nullable_ids,
    session_id=nullable_ids,
    correlation_id=nullable_ids,
    traceparent=st.sampled_from([None, TRACE]),
    occurred_at=times,
    received_at=times,
    event_name=st.sampled_from(["page_view", "x", "page_view_of_another_length"]),
    payload=st.dictionaries(st.text(max_size=3), st.one_of(st.none(), st.floats(), st.text(max_size=5)), max_size=3),
)


def cut(values: Sequence[bytes | None]) -> Envelopes:
    return cut_envelopes(JoinedValues.of(values))


def check_same(found: Envelopes, wanted: Envelopes) -> None:
    assert found.places.tolist() == wanted.places.tolist()
    assert {name: texts.to_pylist() for name, texts in found.texts.items()} == {
        name: texts.to_pylist() for name, texts in wanted.texts.items()
    }
    assert found.schema_versions.tolist() == wanted.schema_versions.tolist()
    assert list(map(bytes, found.payloads)) == list(map(bytes, wanted.payloads))
    assert not found.doubtful.any()
    for texts in found.texts.values():
        texts.validate(full=True)


@settings(max_examples=100, deadline=None)
@given(st.lists(door_events, min_size=1, max_size=8))
def test_everything_that_the_door_writes_is_cut_as_it_would_be_decoded(events: list[Any]) -> None:
    """Texts of any lengths and nulls beside each other in any field."""
    values = [encode_event(event) for event in events]
    check_same(cut(values), decode_envelopes(values))


@settings(max_examples=100, deadline=None)
@given(st.lists(door_events, min_size=1, max_size=4), st.data())
def test_records_that_begin_and_end_at_any_byte_of_others_are_judged_as_by_the_contract(
    events: list[Any], data: st.DataObject
) -> None:
    """What lacks in one stands at the beginning of the next: nothing may be read across their border."""
    text = b"".join(encode_event(event) for event in events)
    bounds = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    check_against_oracle([text[begin:end] for begin, end in zip([0, *bounds], [*bounds, len(text)], strict=True)])


@settings(max_examples=100, deadline=None)
@given(st.lists(door_events, min_size=1, max_size=4), st.data())
def test_records_with_a_byte_changed_removed_or_put_in_are_judged_as_by_the_contract(
    events: list[Any], data: st.DataObject
) -> None:
    """In the frame as in the values; beside others that fit."""
    values: list[bytes | None] = [encode_event(event) for event in events]
    odd = encode_event(events[0])
    place = data.draw(st.integers(0, len(odd) - 1))
    other = data.draw(st.sampled_from([b"", b'"', b"\\", b"}", b",", b"\0", b" ", b"\xc3\xa9", b"\xff", b"n", b"1"]))
    after = place + data.draw(st.integers(0, 1))
    check_against_oracle([*values, odd[:place] + other + odd[after:], *values])


@pytest.mark.parametrize(
    "value",
    [
        b" " + encode_event(an_event("a")),
        encode_event(an_event("a")) + b" ",
        json.dumps(json.loads(encode_event(an_event("a")))).encode(),
        json.dumps(dict(reversed(json.loads(encode_event(an_event("a"))).items())), separators=(",", ":")).encode(),
        encode_event(an_event("a")).replace(b'"schema_version":1', b'"schema_version":2'),
        encode_event(an_event("a")).replace(b'"schema_version":1', b'"schema_version":0'),
        encode_event(an_event("a")).replace(b'"web_app"', b'"w\xc3\xa9b"'),
        encode_event(an_event("a", payload={"a": "x" * MAX_EVENT_BYTES})),
        b"",
        None,
    ],
)
def test_record_that_is_written_otherwise_is_left_to_the_decoder(value: bytes | None) -> None:
    good = encode_event(an_event("g", payload={"a": "é"}))
    assert cut([good, value, good]).places.tolist() == [0, 2]
    check_against_oracle([good, value, good])


def test_ids_too_long_to_be_looked_at_in_one_piece_are_searched_for_their_end() -> None:
    """The first record says how long the others' texts may be; one without any quote must not make all of them long."""
    values = [encode_event(an_event("x" * length)) for length in (128, 127, 1)]
    check_same(cut(values), decode_envelopes(values))
    endless: list[bytes | None] = [b'{"event_id":"' + b"x" * MAX_EVENT_BYTES, *values]
    assert cut(endless).places.tolist() == [1, 2, 3]


def test_frame_is_the_contract_s_and_stays_within_the_margin() -> None:
    """A field that the contract gains needs its place here; the last record is looked at beyond its end."""
    written = encode_event(an_event("a"))
    assert [name for name in ENVELOPE_FIELDS if framed_envelopes._FRAME[name] in written] == list(ENVELOPE_FIELDS)
    assert max(map(len, framed_envelopes._FRAME.values())) + len(b"null") <= MARGIN
