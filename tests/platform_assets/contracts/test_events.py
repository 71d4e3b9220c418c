"""The envelope's contract: what is taken, what is refused and with which words."""

import datetime as dt
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.contracts.events import (
    ENVELOPE_FIELDS,
    MAX_EVENT_BYTES,
    Event,
    InvalidEvent,
    accept,
    decode_event,
    decode_new_event,
    decode_payload,
    encode_event,
    event_id_of,
    partition_key,
)

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
LINE = {
    "basket_id": "31198570044",
    "product_id": "1095275",
    "store_id": "330",
    "quantity": 1,
    "sales_value": 0.5,
    "retail_disc": 0.0,
    "coupon_disc": 0.5,
    "coupon_match_disc": 0.5,
}


def event(**changes: Any) -> bytes:
    fields: dict[str, Any] = {"event_name": "page_view", "source_service": "web", "payload": {"page": "/"}} | changes
    return json.dumps({key: value for key, value in fields.items() if value is not ...}).encode()


def accepted(**changes: Any) -> Event:
    return accept(decode_new_event(event(**changes)), received_at=NOW, correlation_id="request-1")


def test_envelope_has_the_fields_of_the_contract_in_their_order() -> None:
    assert ENVELOPE_FIELDS == (
        "event_id", "event_type", "event_name", "user_id", "session_id", "occurred_at", "received_at",
        "source_service", "schema_version", "correlation_id", "traceparent", "payload",
    )  # fmt: skip


def test_door_mints_what_the_client_left_out() -> None:
    stamped = accepted()
    assert stamped.event_id
    assert stamped.occurred_at == stamped.received_at == NOW
    assert stamped.correlation_id == "request-1"


def test_door_keeps_what_the_client_sent() -> None:
    stamped = accepted(event_id="mine-1", occurred_at="2017-01-01T06:53:26-05:00", correlation_id="theirs")
    assert stamped.event_id == "mine-1"
    assert stamped.occurred_at == dt.datetime(2017, 1, 1, 11, 53, 26, tzinfo=dt.UTC)
    assert stamped.correlation_id == "theirs"


def test_encoded_event_decodes_to_itself() -> None:
    stamped = accepted(event_name="purchase_line", payload=LINE, user_id="900")
    assert decode_event(encode_event(stamped)) == stamped


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "Input data was truncated"),
        (b"{", "truncated"),
        (b"[1]", "Expected `object`"),
        (b"[" * 90_000, "Expected `object`"),
        (event(event_name=...), "missing required field `event_name`"),
        (event(payload=...), "missing required field `payload`"),
        (event(payload=[1]), "Expected `object`, got `array` - at `$.payload`"),
        (event(extra=1), "unknown field `extra`"),
        (event(received_at="2026-01-01T00:00:00Z"), "unknown field `received_at`"),
        (event(event_type="purchase"), "Invalid enum value"),
        (event(occurred_at="2017-01-01T11:53:26"), "timezone"),
        (event(occurred_at="yesterday"), "RFC3339"),
        (event(occurred_at="0001-01-01T00:00:00+14:00"), "from 1900 to 2199"),
        (event(occurred_at="9999-12-31T23:59:59-14:00"), "from 1900 to 2199"),
        (event(event_name="drop table"), "matching regex"),
        (event(event_id="a\nb"), "matching regex"),
        (event(event_id="x" * 129), "length <= 128"),
        (event(schema_version=2), "<= 1"),
        (event(traceparent="00-1-2-3"), "matching regex"),
        (event(payload={"deep": json.loads("[" * 40 + "]" * 40)}), "deeper than 32"),
        (event(payload={"big": "x" * MAX_EVENT_BYTES}), "at most 100,000 bytes"),
        (event().replace(b'"/"', b"NaN"), "malformed"),
        (event().replace(b'"/"', b'"\xff"'), ""),
    ],
)
def test_broken_event_is_refused_with_the_reason(body: bytes, reason: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        decode_new_event(body)
    assert reason in caught.value.reason
    assert caught.value.reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"quantity": -1}, "Expected `int` >= 0 - at `$.payload.quantity`"),
        ({"sales_value": "1"}, "Expected `float`, got `str` - at `$.payload.sales_value`"),
        ({"coupon_match_disc": 0.51}, "coupon_match_disc 0.51 is larger than coupon_disc 0.5"),
        ({"colour": "red"}, "unknown field `colour`"),
    ],
)
def test_payload_that_breaks_its_contract_is_refused_with_the_field(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        decode_new_event(event(event_name="purchase_line", event_id="p-1", payload=LINE | change))
    assert reason in caught.value.reason
    assert caught.value.event_id == "p-1"


@pytest.mark.parametrize(
    ("whole", "doubled"),
    [
        (b'"payload":{"page":"/"}', b'"payload":{"page":"/","page":"/"}'),
        (b'"payload":{"page":"/"}', b'"payload":{"page":[{"a":1,"b":":"},{"a":1,"\\u0061":1}]}'),
        (b'"event_name":"page_view"', b'"event_name":"page_view","event_name":"page_view"'),
    ],
)
def test_record_whose_key_stands_twice_is_refused_as_at_the_door(whole: bytes, doubled: bytes) -> None:
    """Other producers write to the log too, and of two values one reader takes the first and another one the last."""
    record = encode_event(accepted(event_id="e-1")).replace(whole, doubled)
    with pytest.raises(InvalidEvent, match="stands twice in one object") as refused:
        decode_event(record)
    assert refused.value.event_id == "e-1"


def test_payload_by_itself_is_judged_as_in_its_event() -> None:
    """Landing files and the warehouse hold it as text."""
    assert decode_payload("page_view", b'{ "a": [1, {"b": 1.5}] }') == {"a": [1, {"b": 1.5}]}
    assert decode_payload("purchase_line", json.dumps(LINE).encode()) == LINE
    for name, text in (
        ("page_view", b'{"a":NaN}'),
        ("page_view", b'{"a":1,"a":1}'),
        ("page_view", b"[]"),
        ("page_view", b'{"a":' * 40 + b"1" + b"}" * 40),
        ("purchase_line", b"{}"),
        ("purchase_line", json.dumps(LINE | {"quantity": 1.0}).encode()),
        ("purchase_line", json.dumps(LINE | {"coupon_match_disc": 0.75}).encode()),
    ):
        with pytest.raises(InvalidEvent):
            decode_payload(name, text)


def test_lines_without_units_or_sales_are_kept() -> None:
    dirty = LINE | {"quantity": 0, "sales_value": 2.5}
    assert accepted(event_name="purchase_line", payload=dirty).payload["quantity"] == 0


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"user_id": "u", "session_id": "s", "event_id": "e"}, b"u"),
        ({"session_id": "s", "event_id": "e"}, b"s"),
        ({"event_id": "e"}, b"e"),
    ],
)
def test_partition_key_is_the_user_else_the_session_else_the_event(fields: dict[str, str], key: bytes) -> None:
    assert partition_key(accepted(**fields)) == key


@pytest.mark.parametrize(
    ("body", "known"), [(b'{"event_id":"e","x":[', None), (b'{"event_id":"e"}', "e"), (b"\xff", None)]
)
def test_event_id_of_a_broken_body_is_found_only_where_it_is_usable(body: bytes, known: str | None) -> None:
    assert event_id_of(body) == known


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_decoder_answers_any_bytes_with_an_event_or_a_reason(body: bytes) -> None:
    try:
        verdict = decode_new_event(body).event_name
    except InvalidEvent as refused:
        verdict = refused.reason
    assert verdict


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), json_values, max_size=4))
def test_any_json_object_survives_the_way_to_the_log_as_a_generic_payload(payload: dict[str, Any]) -> None:
    body = msgspec.json.encode({"event_name": "note", "source_service": "test", "payload": payload})
    stamped = accept(decode_new_event(body), received_at=NOW, correlation_id="c")
    assert decode_event(encode_event(stamped)).payload == payload
