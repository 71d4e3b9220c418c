"""Decoded events as the engine reads them: keys from the envelope or the payload, times in milliseconds."""

import datetime as dt
from typing import Any

import pytest

from platform_assets.contracts.events import encode_event
from platform_assets.contracts.windows import Aggregate, AggregateFunction, WindowDefinition, WindowType
from platform_assets.windows.columns import MISSING
from streaming.decoding import decode_events
from streaming.event_columns import EventColumns
from streaming.window_columns import Needed, WindowColumns, from_offset
from tests.streaming_records import NOW, a_batch, an_event, event_batch


def defined(key_field: str, *fields: str, names: frozenset[str] | None = None) -> WindowDefinition:
    aggregates = tuple(Aggregate(name=f"a_{name}", function=AggregateFunction.SUM, field=name) for name in fields)
    return WindowDefinition(
        name=f"w_{key_field}",
        key_field=key_field,
        window_type=WindowType.TUMBLING,
        size_ms=1,
        event_names=names,
        aggregates=aggregates,
    )


def decoded(*changes: dict[str, Any]) -> EventColumns:
    values = [(number, encode_event(an_event(f"e{number}", **fields))) for number, fields in enumerate(changes)]
    events = decode_events(a_batch(values, start=0, next_offset=len(values)), "log1", NOW).events
    assert events is not None
    return events


def columns(events: EventColumns, *definitions: WindowDefinition) -> WindowColumns:
    return WindowColumns(events, definitions)


def test_fields_that_definitions_read_are_those_of_keys_and_aggregates_once_each() -> None:
    """The partition key is the envelope's and is not looked for in the payload."""
    needed = Needed.by([defined("user_id", "price"), defined("store_id", "price", "user_id", "units")])
    assert needed == Needed(("price", "store_id", "units"), None)


def test_events_that_are_read_are_those_of_any_definition() -> None:
    bought, seen = frozenset({"bought"}), frozenset({"seen"})
    assert Needed.by([defined("a", names=bought), defined("b", names=seen)]).event_names == bought | seen
    assert Needed.by([defined("a", names=bought), defined("b")]).event_names is None


def test_fields_of_definitions_that_take_none_of_the_events_are_not_read() -> None:
    """Nobody asks for them; a batch that brings one of their events has them."""
    everything, bought = defined("user_id", "price"), defined("store_id", "units", names=frozenset({"bought"}))
    viewed = {"event_name": "page_view", "payload": {"price": 1.5, "units": 1, "store_id": "s1"}}
    alone = columns(decoded(viewed), everything, bought)
    assert alone.values("price", None) == [1.5]
    with pytest.raises(KeyError):
        alone.values("units", bought.event_names)
    mixed = columns(decoded(viewed, viewed | {"event_name": "bought"}), everything, bought)
    assert mixed.values("price", None) == [1.5, 1.5]
    assert mixed.values("units", bought.event_names)[1] == 1


def test_field_comes_from_the_payload_else_from_the_envelope() -> None:
    """What is null in the payload is null; what is in neither is missing."""
    definition = defined("session_id", "price")
    events = decoded(
        {"session_id": "s1", "payload": {"price": 2.5}},
        {"session_id": "s2", "payload": {"session_id": "inner"}},
        {"session_id": "s3", "payload": {"session_id": None, "price": None}},
        {"session_id": None, "payload": {"price": {"amount": 1}}},
    )
    found = columns(events, definition)
    assert found.values("session_id", None) == ["s1", "inner", None, None]
    assert found.values("price", None) == [2.5, MISSING, None, {"amount": 1}]


def test_partition_key_is_the_envelope_s_whatever_the_payload_says() -> None:
    """It decided the partition; a payload that names another user must not."""
    events = decoded(
        {"user_id": "u1", "payload": {"user_id": "forged"}}, {"user_id": None, "payload": {"user_id": "x"}}
    )
    assert columns(events, defined("user_id", "price")).values("user_id", None) == ["u1", None]


def test_other_events_have_no_values() -> None:
    """Their payloads are not read: the definitions that ask have no use for them."""
    names = frozenset({"bought"})
    events = decoded(
        {"event_name": "bought", "payload": {"price": 1}},
        {"event_name": "page_view", "payload": {"price": 2}},
        {"event_name": "bought", "payload": {"price": 3}},
    )
    found = columns(events, defined("store_id", "price", names=names))
    assert found.values("price", names) == [1, MISSING, 3]
    assert found.event_names == ["bought", "page_view", "bought"]


def test_times_are_milliseconds_rounded_down() -> None:
    moment = dt.datetime(2017, 1, 1, 0, 0, 1, 1_999, tzinfo=dt.UTC)
    found = columns(decoded({"occurred_at": moment, "received_at": NOW}), defined("user_id"))
    assert found.occurred_ms.tolist() == [1_483_228_801_001]
    assert found.received_ms.tolist() == [int(NOW.timestamp() * 1000)]


def test_hashes_differ_with_the_id_and_are_the_same_for_the_same() -> None:
    one, other = decoded({}, {}), decoded({})
    first = columns(one, defined("user_id")).id_hashes.tolist()
    assert len(set(first)) == 2
    assert columns(other, defined("user_id")).id_hashes.tolist() == first[:1]


def test_events_from_an_offset_on_are_those_at_it_and_after_it() -> None:
    """Offsets of the log may have gaps."""
    events = decode_events(event_batch([2, 5, 9], start=0, next_offset=12), "log1", NOW).events
    assert events is not None
    for first, offsets in ((0, [2, 5, 9]), (2, [2, 5, 9]), (3, [5, 9]), (9, [9]), (10, [])):
        found = from_offset(events, first)
        assert found.offsets.tolist() == offsets
        assert found.column("event_id") == [f"e{offset}" for offset in offsets]
        assert columns(found, defined("user_id", "page")).values("page", None) == ["/"] * len(offsets)
