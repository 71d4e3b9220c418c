"""The built-in contracts as JSON Schema, and the snapshot that a breaking edit of one fails against."""

from typing import Annotated, Any

import jsonschema_rs
import msgspec
import pytest

from platform_assets.contracts.event_schemas import built_in
from platform_assets.contracts.event_schemas.built_in import (
    SNAPSHOT,
    broken_promises,
    built_in_schemas,
    decode_snapshot,
    encode_snapshot,
)
from platform_assets.contracts.event_schemas.dialect import read_schema
from platform_assets.contracts.payloads import PAYLOAD_CONTRACTS, PURCHASE_LINE
from tests.odd_events import PURCHASE


def test_no_built_in_contract_breaks_what_the_snapshot_promises() -> None:
    """A breaking edit of a contract fails here and in `analytics schemas check`."""
    assert broken_promises(decode_snapshot(SNAPSHOT.read_bytes()), built_in_schemas()) == {}


def test_snapshot_is_current() -> None:
    """A compatible edit is agreed on by `analytics schemas check --update`."""
    assert SNAPSHOT.read_bytes() == encode_snapshot(built_in_schemas())


@pytest.mark.parametrize("name", PAYLOAD_CONTRACTS)
def test_built_in_contract_is_within_the_subset(name: str) -> None:
    assert read_schema(built_in_schemas()[name])


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"quantity": -1},
        {"quantity": 1.5},
        {"quantity": "1"},
        {"sales_value": 1},
        {"sales_value": 2_000_000},
        {"basket_id": ""},
        {"basket_id": "x" * 65},
        {"basket_id": None},
        {"unknown": 1},
    ],
)
def test_schema_of_a_contract_says_what_the_contract_says(change: dict[str, Any]) -> None:
    payload = msgspec.json.decode(msgspec.json.encode(PURCHASE)) | change
    takes = jsonschema_rs.Draft202012Validator(built_in_schemas()[PURCHASE_LINE]).is_valid
    try:
        msgspec.convert(payload, PAYLOAD_CONTRACTS[PURCHASE_LINE])
    except msgspec.ValidationError:
        assert not takes(payload)
    else:
        assert takes(payload)


def test_narrower_contract_and_a_removed_one_are_broken_promises(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is named with what keeps the promise."""

    class Wider(msgspec.Struct, forbid_unknown_fields=True):
        code: str | None
        note: str = ""

    class Narrower(msgspec.Struct, forbid_unknown_fields=True):
        code: Annotated[str, msgspec.Meta(max_length=3)]

    before = contracts_as(monkeypatch, {"x": Wider, "gone": Narrower})
    after = contracts_as(monkeypatch, {"x": Narrower})
    broken = broken_promises(before, after)
    assert [violation.path for violation in broken["x"]] == ["$.code", "$.code", "$.note"]
    assert [violation.remedy for violation in broken["gone"]] == ["keep it: events of this name are on the log"]
    assert list(broken_promises({"x": before["x"]}, before)) == []


def test_nested_contract_is_written_out_and_one_within_itself_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = contracts_as(monkeypatch, {"x": _Order})["x"]
    assert schema["properties"]["lines"]["items"]["properties"] == {"sku": {"type": "string"}}
    with pytest.raises(TypeError, match="contains itself"):
        contracts_as(monkeypatch, {"x": _Folder})


class _Line(msgspec.Struct):
    sku: str


class _Order(msgspec.Struct):
    lines: list[_Line]


class _Folder(msgspec.Struct):
    folders: list["_Folder"]


def contracts_as(monkeypatch: pytest.MonkeyPatch, contracts: dict[str, type[msgspec.Struct]]) -> dict[str, Any]:
    monkeypatch.setattr(built_in, "PAYLOAD_CONTRACTS", contracts)
    return decode_snapshot(encode_snapshot(built_in_schemas()))
