"""Which changes of the contract break whom, and which of them are declared."""

from typing import Any

import msgspec
import pytest

from platform_assets.contracts.changes import BOTH, NOBODY, READERS, WRITERS, Change, Side, changes_between
from platform_assets.contracts.document import ContractDocument, Entry, contract_document

NOW = contract_document()


def edited(entries: dict[str, Entry] | None = None, *, drop: tuple[str, ...] = ()) -> ContractDocument:
    """The contract with entries left out, replaced or added."""
    kept = {name: entry for name, entry in NOW.entries.items() if name not in drop}
    return msgspec.structs.replace(NOW, entries=kept | (entries or {}))


def with_attributes(name: str, *, version: int | None = None, **changes: Any) -> ContractDocument:
    """The contract with attributes of one entry changed; ... takes one out."""
    entry = NOW.entries[name]
    attributes = {key: value for key, value in (entry.attributes | changes).items() if value is not ...}
    return edited({name: msgspec.structs.replace(entry, attributes=attributes, version=version or entry.version)})


def only(found: list[Change]) -> Change:
    (change,) = found
    return change


QUANTITY, STORE = "payload.purchase_line.quantity", "payload.purchase_line.store_id"


def test_contract_that_is_what_it_was_has_no_changes() -> None:
    assert changes_between(NOW, contract_document()) == []


@pytest.mark.parametrize(
    ("entry", "change", "breaks"),
    [
        (QUANTITY, {"maximum": 100}, WRITERS),
        (QUANTITY, {"maximum": 10**9}, NOBODY),
        (QUANTITY, {"maximum": ...}, NOBODY),
        (QUANTITY, {"minimum": 1}, WRITERS),
        (QUANTITY, {"minimum": -1}, NOBODY),
        (QUANTITY, {"type": "number"}, READERS),
        (QUANTITY, {"type": "string"}, BOTH),
        (QUANTITY, {"nullable": True}, READERS),
        (QUANTITY, {"may_be_absent": True}, READERS),
        (STORE, {"longest": 10}, WRITERS),
        (STORE, {"longest": 100}, NOBODY),
        (STORE, {"shortest": 2}, WRITERS),
        (STORE, {"pattern": "^[0-9]+\\Z"}, WRITERS),
        (STORE, {"values": ["330", "340"]}, WRITERS),
        ("door.user_id", {"pattern": ...}, NOBODY),
        ("door.user_id", {"may_be_absent": False}, WRITERS),
        ("door.user_id", {"nullable": False}, WRITERS),
        ("door.event_type", {"values": ["custom"]}, WRITERS),
        ("door.event_type", {"values": [*NOW.entries["door.event_type"].attributes["values"], "new"]}, NOBODY),
        ("door.occurred_at", {"before": "2100-01-01T00:00:00+00:00"}, WRITERS),
        ("payload.purchase_line", {"rules": []}, NOBODY),
        ("payload.purchase_line", {"rules": ["coupon_disc <= sales_value"]}, WRITERS),
        ("payload.purchase_line", {"refuses_unknown_fields": False}, NOBODY),
        ("envelope", {"max_bytes": 1_000}, WRITERS),
        ("topic.events", {"partitions": 8}, BOTH),
        ("table.events.kafka_partition", {"type": "int64"}, READERS),
        ("table.events.user_id", {"nullable": False}, WRITERS),
        ("table.events", {"key": "kafka_offset"}, BOTH),
        ("window.user_activity_1m", {"size_ms": 30_000}, READERS),
        ("window.store_sales_1h.sales_p50", {"quantile": 0.9}, READERS),
        ("features.customer_live", {"order": ["sales_1m", "events_1m"]}, READERS),
        ("features.customer_activity.orders_84d", {"minimum": 2}, READERS),
        ("features.customer_activity.orders_84d", {"minimum": 0}, NOBODY),
        ("features.customer_live.sales_1m", {"source": "user_session_30m.sales"}, READERS),
        ("metric.sales", {"measure": "Count(where=())"}, READERS),
        ("metric.sales", {"dimensions": {"brand": "text"}}, READERS),
        ("metric.sales", {"dimensions": {"brand": "text", "department": "text", "store_id": "text"}}, NOBODY),
        ("metric.sales", {"grains": ["day"]}, READERS),
    ],
)
def test_change_breaks_exactly_those_whom_it_hurts(
    entry: str, change: dict[str, Any], breaks: tuple[Side, ...]
) -> None:
    found = only(changes_between(NOW, with_attributes(entry, **change)))
    assert (found.breaks, found.is_breaking) == (breaks, bool(breaks))
    assert found.entry in str(found)


@pytest.mark.parametrize(
    ("entry", "breaks"),
    [(QUANTITY, BOTH), ("door.user_id", BOTH), ("table.events.user_id", READERS), ("metric.sales", READERS)],
)
def test_what_is_gone_breaks_its_readers_and_those_who_still_send_it(entry: str, breaks: tuple[Side, ...]) -> None:
    found = only(changes_between(NOW, edited(drop=(entry,))))
    assert (found.breaks, found.is_gone, str(found)) == (breaks, True, f"{entry}: is gone")


@pytest.mark.parametrize(
    ("entry", "breaks"),
    [
        (Entry(kind="payload_field", attributes={"type": "string", "may_be_absent": True}), NOBODY),
        (Entry(kind="payload_field", attributes={"type": "string", "may_be_absent": False}), WRITERS),
        (Entry(kind="door", attributes={"type": "string", "may_be_absent": False}), WRITERS),
        (Entry(kind="payload", attributes={"rules": []}), WRITERS),
        (Entry(kind="column", attributes={"type": "text", "nullable": True}), WRITERS),
        (Entry(kind="window", version=1, attributes={}), NOBODY),
        (Entry(kind="metric", attributes={}), NOBODY),
    ],
)
def test_what_is_new_breaks_those_whose_data_does_not_have_it(entry: Entry, breaks: tuple[Side, ...]) -> None:
    """Clients, records on the log and files that landed before know nothing of it."""
    found = only(changes_between(NOW, edited({"new": entry})))
    assert (found.breaks, str(found)) == (breaks, "new: is new")


def test_greater_version_declares_the_changes_of_an_entry_and_of_what_belongs_to_it() -> None:
    window = with_attributes("window.user_session_30m", version=2, size_ms=60_000, aggregates=["sales"])
    after = msgspec.structs.replace(
        window,
        entries={name: entry for name, entry in window.entries.items() if name != "window.user_session_30m.units"},
    )
    found = changes_between(NOW, after)
    assert {change.attribute for change in found} == {None, "version", "size_ms", "aggregates"}
    assert all(change.declared and not change.is_breaking for change in found)
    assert any(change.breaks for change in found)


def test_topic_of_a_new_name_declares_what_is_different_in_it_and_its_records() -> None:
    """`predictions.v2` is a greater version of `predictions.v1`."""
    topic = with_attributes("topic.predictions", version=2, partitions=8)
    entries = {name: entry for name, entry in topic.entries.items() if name != "record.predictions.probability"}
    found = changes_between(NOW, msgspec.structs.replace(topic, entries=entries))
    assert {change.entry for change in found} == {"topic.predictions", "record.predictions.probability"}
    assert not any(change.is_breaking for change in found)


def test_smaller_version_declares_nothing() -> None:
    before = with_attributes("features.customer_live", version=2)
    found = changes_between(before, with_attributes("features.customer_live", version=1))
    assert only(found).is_breaking
    assert not only(changes_between(NOW, before)).is_breaking


def test_documents_of_two_formats_are_not_compared() -> None:
    with pytest.raises(ValueError, match="format 1 cannot be compared with one of 2"):
        changes_between(NOW, msgspec.structs.replace(NOW, format=2))
