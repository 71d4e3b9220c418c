"""What a schema may say: outside the subset it is refused with the place, the reason and what to do."""

import contextlib
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.contracts.event_schemas.dialect import read_schema
from platform_assets.contracts.event_schemas.keywords import DIALECT, MAX_SCHEMA_BYTES, UnsupportedSchema
from tests.platform_assets.contracts.event_schemas.random_schemas import dice_of, payload_schema


def with_a(schema: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": schema}}


@pytest.mark.parametrize(
    ("document", "path", "says"),
    [
        (True, "#", 'begin the schema with "type": "object"'),
        ([], "#", "a payload is an object"),
        ({}, "#", "a payload is an object"),
        ({"type": ["object", "null"]}, "#", "a payload is an object"),
        ({"type": "object", "$schema": "http://json-schema.org/draft-07/schema#"}, "#/$schema", f"use {DIALECT}"),
        ({"type": "object", "required": ["a", "a"]}, "#/required", "a name stands twice"),
        ({"type": "object", "required": "a"}, "#/required", "no list of names"),
        ({"type": "object", "required": ["a"], "additionalProperties": False}, "#/required", "forbids it"),
        ({"type": "object", "properties": []}, "#/properties", "no object"),
        ({"type": "object", "patternProperties": {}}, "#/patternProperties", "outside the supported subset"),
        (with_a({"$ref": "#/$defs/x"}), "#/properties/a/$ref", "write the schema out where it is used"),
        (with_a({"oneOf": [True]}), "#/properties/a/oneOf", "use anyOf"),
        (with_a({"type": "string", "format": "date-time"}), "#/properties/a/format", "say it by `pattern`"),
        (with_a({"type": "string", "x-pii": True}), "#/properties/a/x-pii", "outside the supported subset"),
        (with_a({"type": "text"}), "#/properties/a/type", "none of JSON's"),
        (with_a({"type": []}), "#/properties/a/type", "none of JSON's"),
        (with_a({"type": ["integer", "number"]}), "#/properties/a/type", "named twice"),
        (with_a({"minimum": 3}), "#/properties/a/minimum", "name the `type`"),
        (with_a({"type": "string", "minimum": 3}), "#/properties/a/minimum", "says nothing about string"),
        (with_a({"type": "number", "minimum": True}), "#/properties/a/minimum", "no number of at most"),
        (with_a({"type": "number", "minimum": 2**53 + 1}), "#/properties/a/minimum", "no number of at most"),
        (with_a({"type": "number", "minimum": 3, "maximum": 2}), "#/properties/a", "no number lies within"),
        (with_a({"type": "integer", "exclusiveMinimum": 1, "maximum": 1.5}), "#/properties/a", "no number lies within"),
        (with_a({"type": "string", "minLength": 1.0}), "#/properties/a/minLength", "no whole number"),
        (with_a({"type": "string", "minLength": 2, "maxLength": 1}), "#/properties/a/maxLength", "below `minLength`"),
        (with_a({"type": "string", "pattern": 1}), "#/properties/a/pattern", "no text"),
        (with_a({"enum": []}), "#/properties/a/enum", "no list of 1 to"),
        (with_a({"enum": [{}]}), "#/properties/a/enum", "no scalar"),
        (with_a({"enum": [1], "minimum": 0}), "#/properties/a/minimum", "say it inside `enum`"),
        (with_a({"type": "integer", "enum": [1.5]}), "#/properties/a/enum", "1.5 is not of the type integer"),
        (with_a({"type": "integer", "const": True}), "#/properties/a/const", "true is not of the type integer"),
        (with_a({"anyOf": []}), "#/properties/a/anyOf", "no list of 1 to 16"),
        (with_a({"anyOf": [True], "type": "string"}), "#/properties/a/type", "say it inside `anyOf`"),
        (with_a({"anyOf": [True, 3]}), "#/properties/a/anyOf/1", "no schema"),
        (with_a(False), "#/properties/a", "no schema"),
        ({"type": "object", "properties": {"a/b~": {"not": {}}}}, "#/properties/a~1b~0/not", "outside"),
        (with_a({"description": "x" * MAX_SCHEMA_BYTES}), "#", "more than 65,536 bytes"),
        ({"type": "object", "properties": {str(n): {} for n in range(600)}}, "#/properties/498", "more than 500"),
    ],
)
def test_schema_outside_the_subset_is_refused_with_place_and_remedy(document: Any, path: str, says: str) -> None:
    with pytest.raises(UnsupportedSchema) as refused:
        read_schema(document)
    (fault,) = refused.value.faults
    assert fault.path == path
    assert says in str(fault)


def test_every_fault_of_a_schema_is_named_at_once() -> None:
    document = {"type": "object", "not": {}, "properties": {"a": {"type": "x"}, "b": {"format": "uuid"}}}
    with pytest.raises(UnsupportedSchema) as refused:
        read_schema(document)
    assert [fault.path for fault in refused.value.faults] == ["#/not", "#/properties/a/type", "#/properties/b/format"]


def test_schema_that_nests_without_end_is_refused() -> None:
    """As deep as a parser lets through."""
    schema: Any = True
    for _ in range(800):
        schema = {"type": "array", "items": schema}
    with pytest.raises(UnsupportedSchema, match="deeper than 32 levels"):
        read_schema(with_a(schema))


def test_annotations_may_stand_anywhere_and_say_nothing() -> None:
    notes = {"title": "t", "description": "d", "default": 3, "examples": [1], "deprecated": True, "$comment": "c"}
    plain = read_schema(with_a({"type": "string"}))
    assert read_schema(with_a({"type": "string"} | notes) | notes | {"$schema": DIALECT, "$id": "x"}) == plain


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**64))
def test_what_is_read_is_a_valid_json_schema(seed: int) -> None:
    """The validator that judges events takes every document that the subset takes."""
    document = payload_schema(dice_of(seed))
    try:
        read_schema(document)
    except UnsupportedSchema:
        return
    jsonschema_rs.Draft202012Validator(document)


@settings(max_examples=300, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda parts: (
            st.lists(parts, max_size=3)
            | st.dictionaries(
                st.sampled_from(["type", "anyOf", "enum", "properties", "required", "items", "minLength"]), parts
            )
        ),
    )
)
def test_any_json_is_read_or_refused(document: Any) -> None:
    """Nothing else is raised, whatever stands where."""
    with contextlib.suppress(UnsupportedSchema):
        read_schema({"type": "object"} | document if isinstance(document, dict) else document)


def test_annotation_that_no_json_can_hold_is_refused() -> None:
    deep: Any = []
    for _ in range(20_000):
        deep = [deep]
    for note in (deep, "\ud800"):
        with pytest.raises(UnsupportedSchema, match=r"cannot be written as JSON|nests deeper than 150"):
            read_schema({"type": "object", "default": note})
    with pytest.raises(UnsupportedSchema, match="is not of the type integer"):
        read_schema(with_a({"type": "integer", "enum": ["\ud800"]}))


def test_schema_full_of_faults_is_answered_with_some_of_them() -> None:
    """And of a long name with its beginning: the answer is no copy of what was sent."""
    with pytest.raises(UnsupportedSchema) as refused:
        read_schema({"type": "object"} | {f"{number}{'x' * 10_000}": 1 for number in range(200)})
    assert len(refused.value.faults) == 50
    assert len(str(refused.value)) < 50_000
