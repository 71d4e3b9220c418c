"""Which version may follow which: each rule by example, and what is called compatible against random payloads."""

from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.contracts.event_schemas.compatibility import Compatibility, Violation, violations_of
from platform_assets.contracts.event_schemas.dialect import read_schema
from platform_assets.contracts.event_schemas.keywords import UnsupportedSchema
from tests.platform_assets.contracts.event_schemas.random_schemas import dice_of, near, payload_schema, value_for


def of(a: Any, **rest: Any) -> dict[str, Any]:
    """A closed object with one property `a`, required unless said otherwise."""
    return {"type": "object", "properties": {"a": a}, "required": ["a"], "additionalProperties": False} | rest


def compared(before: Any, after: Any, promise: Compatibility = Compatibility.BACKWARD) -> list[Violation]:
    return violations_of(read_schema(before), read_schema(after), promise)


WIDENED: list[tuple[Any, Any]] = [
    (of({"type": "integer"}), of({"type": "number"})),
    (of({"type": "string"}), of({"type": ["string", "null"]})),
    (of({"type": "string"}), of({"anyOf": [{"type": "null"}, {"type": "string"}]})),
    (of({"enum": ["x"]}), of({"enum": ["x", "y"]})),
    (of({"enum": ["x", "yy"]}), of({"type": "string", "maxLength": 2})),
    (of({"const": 1}), of({"enum": [1.0, 2]})),
    (of({"type": "boolean"}), of({"enum": [True, False, None]})),
    (of({"type": "integer", "minimum": 1}), of({"type": "integer", "exclusiveMinimum": 0})),
    (of({"type": "number", "exclusiveMinimum": 0}), of({"type": "number", "minimum": 0})),
    (of({"type": "string", "pattern": "^x"}), of({"type": "string"})),
    (of({"type": "string", "minLength": 2, "maxLength": 3}), of({"type": "string", "minLength": 1})),
    (of({"type": "array", "maxItems": 0}), of({"type": "array", "items": {"type": "string"}})),
    (of({"type": "array", "items": {"type": "integer"}}), of({"type": "array", "items": {"type": "number"}})),
    (of({"type": "string"}), of({"type": "string"}, required=[])),
    (
        of({"type": "string"}),
        of({}, properties={"a": {"type": "string"}, "b": {"type": "integer"}}),
    ),
    (of({"type": "string"}), of({"type": "string"}, additionalProperties=True)),
    (of({"type": "string"}), {"type": "object"}),
    (of(True), of({"type": ["null", "boolean", "number", "string", "array", "object"]})),
]


@pytest.mark.parametrize(("narrow", "wide"), WIDENED)
def test_wider_schema_is_backward_compatible_and_its_reverse_forward(narrow: Any, wide: Any) -> None:
    """And neither is full; `none` asks for nothing."""
    assert compared(narrow, wide) == []
    assert compared(wide, narrow, Compatibility.FORWARD) == []
    assert compared(wide, narrow, Compatibility.NONE) == []


@pytest.mark.parametrize(
    ("before", "after", "path", "problem", "remedy"),
    [
        (
            of({"type": "string"}),
            of({"type": "integer"}),
            "$.a",
            "allows the type string",
            "allow the type string here",
        ),
        (of({"type": "number"}), of({"type": "integer"}), "$.a", "fractions", "use the type number"),
        (of({"enum": ["x", "y"]}), of({"enum": ["x"]}), "$.a", 'the value "y"', 'allow "y" here'),
        (of({"type": "string"}), of({"enum": ["x"]}), "$.a", "more than some strings", "instead of an enum"),
        (of({"type": ["string", "null"]}), of({"type": "string"}), "$.a", "the value null", "allow null here"),
        (of({"type": "integer"}), of({"type": "integer", "minimum": 3}), "$.a", "below 3", "leave the minimum out"),
        (
            of({"type": "number", "maximum": 5}),
            of({"type": "number", "exclusiveMaximum": 5}),
            "$.a",
            "allows 5",
            "raise the maximum to 5",
        ),
        (
            of({"type": "string"}),
            of({"type": "string", "maxLength": 3}),
            "$.a",
            "more than 3 char",
            "any number of char",
        ),
        (of({"type": "string"}), of({"type": "string", "pattern": "^x"}), "$.a", "need not match ^x", "two patterns"),
        (of({"type": "array"}), of({"type": "array", "minItems": 1}), "$.a", "fewer than 1 items", "allow 0 items"),
        (
            of({"type": "array", "items": {"type": "string"}}),
            of({"type": "array", "items": {"type": "null"}}),
            "$.a[]",
            "the type string",
            "allow the type string",
        ),
        (of({"type": "null"}, required=[]), of({"type": "null"}), "$.a", "objects without it", "out of `required`"),
        (of({"type": "null"}), of(True, properties={}, required=[]), "$.a", "allows it", "keep it in `properties`"),
        (of(True, additionalProperties=True), of(True), "$.*", "allows it", "allow additional properties"),
        (
            {"type": "object"},
            {"type": "object", "properties": {"b": {"type": "string"}}},
            "$.b",
            "any value here, as nothing narrows it",
            "use a new name",
        ),
    ],
)
def test_violation_names_its_path_and_a_remedy(before: Any, after: Any, path: str, problem: str, remedy: str) -> None:
    (violation,) = compared(before, after)
    assert violation.path == path
    assert problem in violation.problem
    assert remedy in violation.remedy


def test_forward_violation_says_how_to_narrow_the_new_version() -> None:
    (violation,) = compared(of({"type": "integer"}), of({"type": "number"}), Compatibility.FORWARD)
    assert violation.problem == "this version allows fractions, the one before refuses that"
    assert violation.remedy == "use the type integer"


def test_full_compatibility_wants_both_directions() -> None:
    assert compared(of({"type": "integer"}), of({"type": "integer"}), Compatibility.FULL) == []
    assert compared(of({"type": "integer"}), of({"type": "number"}), Compatibility.FULL)
    assert compared(of({"type": "number"}), of({"type": "integer"}), Compatibility.FULL)


@settings(max_examples=1500, deadline=None)
@given(st.integers(0, 2**64))
def test_what_is_called_backward_compatible_takes_every_payload_of_before(seed: int) -> None:
    """Pairs of random schemas, random payloads, judged by a validator that is not ours."""
    dice = dice_of(seed)
    before = payload_schema(dice)
    after = near(before, dice) if dice.random() < 0.9 else payload_schema(dice)
    try:
        violations = compared(before, after)
    except UnsupportedSchema:
        return
    if violations:
        return
    takes_before, takes_after = (jsonschema_rs.Draft202012Validator(schema).is_valid for schema in (before, after))
    for _ in range(40):
        payload = value_for(before, dice)
        if takes_before(payload):
            assert takes_after(payload), (before, after, payload)


def test_random_schemas_are_compatible_and_payloads_fit_often_enough_to_say_something() -> None:
    """The property above would hold of a generator that never gets that far."""
    read = compatible = fitting = 0
    for seed in range(1000):
        dice = dice_of(seed)
        before = payload_schema(dice)
        after = near(before, dice)
        try:
            is_compatible = not compared(before, after)
        except UnsupportedSchema:
            continue
        read += 1
        compatible += is_compatible
        takes = jsonschema_rs.Draft202012Validator(before).is_valid
        fitting += any(takes(value_for(before, dice)) for _ in range(10))
    assert read > 500
    assert compatible > read * 0.15
    assert fitting > read * 0.5


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**64))
def test_every_schema_is_compatible_with_itself(seed: int) -> None:
    schema = payload_schema(dice_of(seed))
    try:
        shape = read_schema(schema)
    except UnsupportedSchema:
        return
    assert violations_of(shape, shape, Compatibility.FULL) == []
