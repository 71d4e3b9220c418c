"""The bulk path says of every record what the contract's decoder says, with the same values and reasons."""

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given, settings

from platform_assets.contracts.events import (
    ENVELOPE_FIELDS,
    MAX_EVENT_BYTES,
    InvalidEvent,
    decode_event,
    encode_event,
    encode_payload,
)
from platform_assets.contracts.payloads import PURCHASE_LINE
from platform_assets.windows.columns import MISSING
from streaming import envelopes, event_columns, event_decoding, payload_decoding
from streaming.decoding import decode_events, decode_events_together
from streaming.event_decoding import decode_records
from streaming.window_columns import WindowColumns
from tests.odd_events import PURCHASE, PURCHASES, TRACE, VARIANTS, records, with_field
from tests.streaming.test_window_columns import defined
from tests.streaming_records import NOW, a_batch, an_event

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
Row = dict[str, Any]


def oracle(values: Sequence[bytes | None]) -> tuple[list[Row], list[tuple[int, str, str | None]]]:
    """Each record by itself through the contract: rows and (offset, reason, event id) of the others."""
    rows: list[Row] = []
    rejected: list[tuple[int, str, str | None]] = []
    for offset, value in enumerate(values):
        try:
            if value is None:
                raise InvalidEvent("The record has no value")
            event = decode_event(value)
        except InvalidEvent as error:
            rejected.append((offset, error.reason, error.event_id))
            continue
        row = {name: getattr(event, name) for name in ENVELOPE_FIELDS}
        changes = {"event_type": event.event_type.value, "payload": encode_payload(event.payload)}
        rows.append(row | changes | {"log": "log1", "kafka_partition": 0, "kafka_offset": offset})
    return rows, rejected


def check_against_oracle(values: Sequence[bytes | None]) -> None:
    """Whether envelopes are cut out where they can be, as of many records, or all decoded, as of few."""
    for least in (1, len(values) + 1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(event_decoding, "LEAST_FRAMED", least)
            check_decoding(values)


def check_decoding(values: Sequence[bytes | None]) -> None:
    batch = a_batch(list(enumerate(values)), start=0, next_offset=len(values))
    rows, rejected = oracle(values)
    decoded = decode_events(batch, "log1", NOW)
    assert decoded.rows is not None
    assert decoded.rows.to_pylist() == rows
    assert [(one.source_offset, one.reason) for one in decoded.rejections] == [one[:2] for one in rejected]
    decoded.rows.validate(full=True)
    (lean,) = decode_events_together([batch], "log1", NOW, land=False)
    assert lean.rejections == decoded.rejections
    assert decoded.events is not None
    assert lean.events is not None
    assert lean.rows is None
    for events in (decoded.events, lean.events):
        assert events.offsets.tolist() == [row["kafka_offset"] for row in rows]
        assert [EPOCH + dt.timedelta(microseconds=us) for us in events.occurred_us.tolist()] == [
            row["occurred_at"] for row in rows
        ]
        assert [EPOCH + dt.timedelta(microseconds=us) for us in events.received_us.tolist()] == [
            row["received_at"] for row in rows
        ]
        for name in ("event_id", "event_type", "event_name", "user_id", "session_id", "source_service"):
            assert events.column(name) == [row[name] for row in rows]
        selected = events.payload_values(("a", "quantity", "no such-field"))
        payloads = [json.loads(row["payload"]) for row in rows]
        assert repr(selected.columns["a"]) == repr([payload.get("a", MISSING) for payload in payloads])
        assert selected.columns["quantity"] == [payload.get("quantity", MISSING) for payload in payloads]
        assert selected.columns["no such-field"] == [MISSING] * len(rows)
    assert (decoded.events.id_hashes == lean.events.id_hashes).all()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(records(), max_size=6), min_size=2, max_size=4))
def test_batches_of_several_partitions_decode_together_as_they_do_alone(partitions: list[list[bytes | None]]) -> None:
    """Rows, rejections and what the windows read, whatever stands in which of them."""
    batches = [
        a_batch(list(enumerate(values, 10 * number)), start=10 * number, next_offset=10 * number + 9, partition=number)
        for number, values in enumerate(partitions)
    ]
    for one, batch in zip(decode_events_together(batches, "log1", NOW), batches, strict=True):
        alone = decode_events(batch, "log1", NOW)
        assert one.rows is not None
        assert alone.rows is not None
        assert one.rows.equals(alone.rows)
        assert one.rejections == alone.rejections
        assert (one.start, one.next_offset, one.partition) == (alone.start, alone.next_offset, alone.partition)
        assert one.events is not None
        assert alone.events is not None
        assert one.events.offsets.tolist() == alone.events.offsets.tolist()
        assert one.events.id_hashes.tolist() == alone.events.id_hashes.tolist()
        assert one.events.payloads == alone.events.payloads
        assert one.events.texts == alone.events.texts


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(records(), records(), st.binary(max_size=8), st.none()), max_size=8), st.data())
def test_decoding_in_bulk_equals_the_contract_record_by_record(values: list[bytes | None], data: st.DataObject) -> None:
    """For any mixture, cut at any place: the same rows, the same rejections for the same reasons."""
    check_against_oracle(values)
    cut = data.draw(st.integers(0, len(values)))
    check_against_oracle(values[:cut])
    check_against_oracle(values[cut:])
    with pytest.MonkeyPatch.context() as patch:
        for module in (envelopes, payload_decoding):
            patch.setattr(module, "TOGETHER", data.draw(st.integers(1, 3)))
        check_against_oracle(values)


READING = [
    defined("a"),
    defined("__init__"),
    defined("quantity", names=frozenset({PURCHASE_LINE})),
    defined("sales_value", names=frozenset({PURCHASE_LINE})),
]


@settings(max_examples=100, deadline=None)
@given(st.lists(records(), max_size=8), st.booleans())
def test_values_looked_up_while_payloads_are_read_are_those_that_stand_in_them(
    values: list[bytes | None], land: bool
) -> None:
    """As far as a window asks for them: of the events that it takes, of their payloads as they were sent or written."""
    found, _ = decode_records(values, land=land, definitions=READING)
    alone, _ = decode_records(values, land=land)
    assert not alone.values
    for definition in READING:
        taken = [
            row
            for row, name in enumerate(found.column("event_name"))
            if definition.event_names is None or name in definition.event_names
        ]
        if not taken:
            continue
        looked_up, read = (
            WindowColumns(columns, [definition]).values(definition.key_field, definition.event_names)
            for columns in (found, alone)
        )
        assert repr([looked_up[row] for row in taken]) == repr([read[row] for row in taken])


def test_payloads_are_read_once_where_the_windows_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """To read each again for a field takes three times as long."""
    purchases = [encode_event(an_event(f"p{n}", event_name=PURCHASE_LINE, payload=PURCHASE)) for n in range(3)]
    found, _ = decode_records([GOOD, *purchases], land=True, definitions=READING)
    monkeypatch.delattr(event_columns, "_selecting_decoder")
    assert WindowColumns(found, READING).values("quantity", None) == [MISSING, 1, 1, 1]
    later = found.part(1, 3, found.offsets[1:3])
    assert WindowColumns(later, READING).values("sales_value", None) == [0.5, 0.5]


GOOD = encode_event(an_event("g"))


@pytest.mark.parametrize("field", ENVELOPE_FIELDS)
def test_each_odd_value_of_a_field_is_judged_as_by_the_contract(field: str) -> None:
    """Alone between good neighbours, and all of them in one batch."""
    odd = [with_field(GOOD, field, value) for value in VARIANTS[field]]
    check_against_oracle(odd)
    check_against_oracle([GOOD, *(one for value in odd for one in (value, GOOD))])
    for value in odd:
        check_decoding([GOOD, value, GOOD])


def test_each_odd_purchase_line_is_judged_as_by_the_contract() -> None:
    """Numbers of the other type, too large ones, fields that are missing, twice, unknown or out of order."""
    purchase = encode_event(an_event("p", event_name=PURCHASE_LINE, payload=PURCHASE))
    check_against_oracle([with_field(purchase, "payload", payload) for payload in PURCHASES])


def test_events_larger_than_the_contract_allows_are_refused_and_one_that_just_fits_is_not() -> None:
    """The limit counts the record's bytes, white space included."""
    room = MAX_EVENT_BYTES - len(GOOD) + 1
    sizes = [room - 1, room, room + 1]
    check_against_oracle([GOOD.replace(b"/", b"/" * size) for size in sizes] + [GOOD + b" " * size for size in sizes])


@pytest.mark.parametrize("field", ENVELOPE_FIELDS)
@pytest.mark.parametrize("first", ["garbage", '"gar bage"', "{}", "null", '"\\u0067"'])
@pytest.mark.parametrize("space", ["", " "])
def test_field_that_stands_twice_is_the_contract_s_to_judge(field: str, first: str, space: str) -> None:
    """The contract checks both of them, a decoder without patterns only sees the last."""
    double = GOOD.replace(b"{", b'{"' + field.encode() + b'":' + first.encode() + b"," + space.encode(), 1)
    # What the second one takes up must not be made good for by a shorter number in the payload.
    short = double.replace(b'{"page":"/"}', b'{"page":1e22}')
    check_against_oracle([GOOD, double, short, GOOD])


@pytest.mark.parametrize(
    "payload",
    [
        b'{"a":1,"a":1}',
        b'{"a":":","b":1,"b":1}',
        b'{"a":"\\u003a","b":1,"b":1}',
        b'{"a" :1,"a" :1}',
        b'{"a":{"b":[{"c":1,"c":2}]}}',
        b'{"\\u0061":1,"a":2}',
        b'{"a":"\\u003a\\u003a"}',
        b'{"a":"12:30:00","b":{"c":1}}',
    ],
)
def test_key_that_stands_twice_in_a_payload_is_found_beside_payloads_that_seem_to_make_up_for_it(
    payload: bytes,
) -> None:
    """Colons are counted for a whole batch first; of the two last ones none stands twice."""
    odd = GOOD.replace(b'{"page":"/"}', payload)
    escaped = GOOD.replace(b'{"page":"/"}', b'{"page":"\\u003a"}')
    check_against_oracle([GOOD, odd, escaped, GOOD])


def test_events_as_the_door_writes_them_take_the_bulk_path_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The slow path costs several times as much: neither the door's bytes nor spaced JSON may lead there."""
    zone = dt.timezone(dt.timedelta(hours=5, minutes=30))
    events = [
        an_event("a", payload={"a": {"b": [1.5, None, "é"]}}, session_id="s", correlation_id="c"),
        an_event("b", occurred_at=NOW.astimezone(zone), received_at=NOW + dt.timedelta(microseconds=7)),
        an_event("c", event_name=PURCHASE_LINE, payload=PURCHASE),
        an_event("d", event_name=PURCHASE_LINE, payload=dict(reversed(PURCHASE.items())) | {"sales_value": 1}),
        an_event("e", traceparent=TRACE),
    ]
    values = [encode_event(event) for event in events]
    values += [json.dumps(json.loads(value)).encode() for value in values]
    monkeypatch.delattr(event_decoding, "decode_one_by_one")
    columns, refused = decode_records(values, land=True)
    assert columns.offsets.tolist() == list(range(10))
    assert not refused


def test_bulk_envelope_has_the_contract_s_fields() -> None:
    """A field that the contract gains must be checked here too."""
    assert envelopes._Envelope.__struct_fields__ == ENVELOPE_FIELDS


def test_landed_payload_is_the_contract_s_text_whatever_the_producer_wrote() -> None:
    """White space, escapes and odd numbers are normalised, as `encode_payload` does it."""
    value = GOOD.replace(b'{"page":"/"}', b'{ "c": 1e3, "a": "\\u00e9", "b": -0.0 }')
    decoded = decode_events(a_batch([(0, value)], start=0, next_offset=1), "log1", NOW)
    assert decoded.rows is not None
    assert decoded.rows["payload"].to_pylist() == ['{"c":1000.0,"a":"é","b":-0.0}']
    assert msgspec.json.decode(decoded.rows["payload"][0].as_py()) == {"c": 1000.0, "b": -0.0, "a": "é"}
