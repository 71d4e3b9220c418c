"""The contract's document: everything that somebody relies on is in it, and it says the same each time."""

from platform_assets.contracts.document import Entry, contract_document, decode_document, encode_document
from platform_assets.contracts.events import ENVELOPE_FIELDS
from platform_assets.contracts.features import FEATURE_SETS
from platform_assets.contracts.landed_rows import LANDED_ROWS
from platform_assets.contracts.metrics import METRICS
from platform_assets.contracts.topics import TOPICS
from platform_assets.contracts.windows import WINDOWS

ENTRIES = contract_document().entries


def test_document_is_stable_to_the_byte_and_reads_as_itself() -> None:
    content = encode_document(contract_document())
    assert content == encode_document(contract_document())
    assert decode_document(content) == contract_document()


def test_every_part_of_the_contract_is_an_entry() -> None:
    assert {f"record.events.{name}" for name in ENVELOPE_FIELDS} <= ENTRIES.keys()
    assert {f"table.{rows.name}.{column.name}" for rows in LANDED_ROWS for column in rows.columns} <= ENTRIES.keys()
    assert {entry.version for entry in ENTRIES.values() if entry.kind == "topic"} == {1}
    assert len([entry for entry in ENTRIES.values() if entry.kind == "topic"]) == len(TOPICS)
    assert {f"window.{window.name}" for window in WINDOWS} <= ENTRIES.keys()
    assert {f"features.{name}.{column}" for name, _ in FEATURE_SETS for column in _columns(name)} <= ENTRIES.keys()
    assert {f"metric.{name}" for name in METRICS} <= ENTRIES.keys()


def test_entry_of_a_field_says_its_type_bounds_and_whether_it_may_lack() -> None:
    assert ENTRIES["payload.purchase_line.quantity"] == Entry(
        kind="payload_field",
        place="routes/ingest_events.payload.quantity",
        attributes={
            "type": "integer",
            "nullable": False,
            "may_be_absent": False,
            "minimum": 0,
            "maximum": 10_000_000,
        },
    )
    assert ENTRIES["payload.purchase_line"].attributes["rules"] == ["coupon_match_disc <= coupon_disc"]
    door, record = ENTRIES["door.user_id"].attributes, ENTRIES["record.events.user_id"].attributes
    assert (door["may_be_absent"], record["may_be_absent"], record["nullable"]) == (True, False, True)


def test_every_owner_is_an_entry_with_a_version() -> None:
    owners = {entry.owner for entry in ENTRIES.values() if entry.owner is not None}
    assert owners
    assert all(ENTRIES[owner].version is not None for owner in owners)


def _columns(name: str) -> tuple[str, ...]:
    return next(features.feature_names for (known, _), features in FEATURE_SETS.items() if known == name)
