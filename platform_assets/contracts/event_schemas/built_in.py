"""The contracts of `payloads` as JSON Schema, and the snapshot that says what they were when last agreed on.

A rule across fields (in `__post_init__`) is code: the schema's description tells of it, the comparison cannot.
"""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from platform_assets.contracts.event_schemas.compatibility import Compatibility, Violation, violations_of
from platform_assets.contracts.event_schemas.dialect import read_schema
from platform_assets.contracts.event_schemas.keywords import DIALECT
from platform_assets.contracts.payloads import PAYLOAD_CONTRACTS

SNAPSHOT = Path(__file__).with_name("built_in.json")

_REF = "#/$defs/"


def built_in_schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schema of every event name with a built-in contract."""
    return {name: {"$schema": DIALECT} | _schema_of(contract) for name, contract in PAYLOAD_CONTRACTS.items()}


def encode_snapshot(schemas: Mapping[str, Any]) -> bytes:
    """The snapshot's text, stable to the byte."""
    return msgspec.json.format(msgspec.json.encode(schemas, order="sorted"), indent=2) + b"\n"


def decode_snapshot(content: bytes) -> dict[str, dict[str, Any]]:
    """The inverse of `encode_snapshot`. Raises msgspec.DecodeError."""
    return msgspec.json.decode(content, type=dict[str, dict[str, Any]])


def broken_promises(snapshot: Mapping[str, Any], current: Mapping[str, Any]) -> dict[str, list[Violation]]:
    """By event name, how the contracts of now refuse what those of the snapshot took."""
    broken: dict[str, list[Violation]] = {}
    for name, before in snapshot.items():
        after = current.get(name)
        if after is None:
            gone = Violation("$", "the contract is gone", "keep it: events of this name are on the log")
            broken[name] = [gone]
        elif found := violations_of(read_schema(before), read_schema(after), Compatibility.BACKWARD):
            broken[name] = found
    return broken


def _schema_of(contract: type[msgspec.Struct]) -> dict[str, Any]:
    document = msgspec.json.schema(contract)
    definitions = document.pop("$defs", {})
    schema = _written_out(document, definitions, ())
    if not isinstance(schema, dict):
        raise TypeError(f"{contract.__name__} has no schema of an object")
    return schema


def _written_out(part: Any, definitions: Mapping[str, Any], within: tuple[str, ...]) -> Any:
    """The schema with each reference replaced by what it refers to, and docstrings without their indentation."""
    if isinstance(part, list):
        return [_written_out(item, definitions, within) for item in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        name = part["$ref"].removeprefix(_REF)
        if name in within:
            raise TypeError(f"The contract {name} contains itself; a payload's contract cannot")
        return _written_out(definitions[name], definitions, (*within, name))
    schema = {key: _written_out(value, definitions, within) for key, value in part.items()}
    if isinstance(schema.get("description"), str):
        schema["description"] = inspect.cleandoc(schema["description"])
    return schema
