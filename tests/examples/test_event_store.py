"""The specification's event example, and what its contract adds."""

import datetime as dt

import pytest

from platform_assets.contracts.events import SCHEMA_VERSION, InvalidEvent, decode_event, encode_event
from platform_assets.contracts.rejections import Origin, decode_rejection, encode_rejection
from streaming import EventStore, EventType


def test_event_store_creates_the_specification_s_event() -> None:
    """The snippet as written: id, times and schema version are set."""
    before = dt.datetime.now(dt.UTC)
    # Create event store with schema validation
    store = EventStore()

    # Create user action event
    event = store.create_event(
        event_type=EventType.USER_ACTION,
        event_name="page_view",
        payload={"page": "/dashboard", "element": "navbar"},
        source_service="web_app",
    )

    assert event.event_type is EventType.USER_ACTION
    assert event.payload == {"page": "/dashboard", "element": "navbar"}
    assert event.schema_version == SCHEMA_VERSION
    assert before <= event.received_at <= dt.datetime.now(dt.UTC)
    assert event.occurred_at == event.received_at
    assert decode_event(encode_event(event)) == event


def test_event_store_gives_every_event_its_own_id() -> None:
    """Two calls alike are two events."""
    store = EventStore()
    ids = {store.create_event(EventType.METRIC, "tick", {}, "clock").event_id for _ in range(100)}
    assert len(ids) == 100


@pytest.mark.parametrize(
    ("event_name", "payload", "reason"),
    [
        ("purchase_line", {"basket_id": "1"}, "product_id"),
        ("page view", {}, "event_name"),
        ("page_view", {"when": object()}, "JSON"),
        ("page_view", ["not", "an", "object"], "payload"),
    ],
)
def test_event_store_refuses_a_bad_event_with_a_dead_letter(event_name: str, payload: object, reason: str) -> None:
    """The error names the field, and carries the rejection that the rejected topic takes."""
    with pytest.raises(InvalidEvent, match=reason) as refused:
        EventStore().create_event(EventType.TRANSACTION, event_name, payload, "shop")  # type: ignore[arg-type]
    rejection = refused.value.rejection  # type: ignore[attr-defined]
    assert rejection.origin is Origin.DOOR
    assert rejection.reason == refused.value.reason
    assert decode_rejection(encode_rejection(rejection)) == rejection


def test_event_types_are_an_enumeration() -> None:
    """An unknown type is refused, a known one may be given by its value."""
    store = EventStore()
    assert store.create_event("system", "boot", {}, "host").event_type is EventType.SYSTEM
    with pytest.raises(InvalidEvent, match="event_type"):
        store.create_event("surprise", "boot", {}, "host")
