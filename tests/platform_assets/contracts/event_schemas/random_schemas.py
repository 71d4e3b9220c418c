"""Random schemas of the subset, schemas near a given one, and values that fit them or nearly do."""

import random
from typing import Any

_TEXTS = ("", "a", "ab", "abcdef", "ä", "1")
_NUMBERS = (-3, -1, 0, 0.5, 1, 1.0, 2, 2.5, 7)
_SCALARS = (*_TEXTS, *_NUMBERS, True, False, None)
_NAMES = ("a", "b", "c")
_PATTERNS = ("^a", "^[a-z]+$", "b")
_TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")

Schema = dict[str, Any] | bool


def dice_of(seed: int) -> random.Random:
    """The same throws for the same seed."""
    return random.Random(seed)  # noqa: S311


def payload_schema(dice: random.Random) -> dict[str, Any]:
    """The schema of an object."""
    return {"type": "object"} | _object(dice, depth=2)


def near(schema: Any, dice: random.Random) -> Any:
    """The schema with something about it changed here and there, so that it often still is compatible."""
    if isinstance(schema, bool) or not isinstance(schema, dict) or not schema:
        return schema if dice.random() < 0.8 else _schema(dice, depth=1)
    if "enum" in schema and dice.random() < 0.2:
        return {"type": "string", "pattern": dice.choice(_PATTERNS)}
    changed = _bounds_flipped(schema, dice)
    for keyword in list(changed):
        value = changed[keyword]
        if keyword == "properties":
            changed[keyword] = {name: near(part, dice) for name, part in value.items() if dice.random() < 0.9}
            if dice.random() < 0.3:
                changed[keyword].setdefault(dice.choice(_NAMES), _schema(dice, depth=1))
        elif keyword in {"items", "additionalProperties"}:
            changed[keyword] = False if keyword != "items" and dice.random() < 0.1 else near(value, dice)
        elif keyword == "anyOf":
            changed[keyword] = [near(part, dice) for part in value]
            if dice.random() < 0.3:
                changed[keyword].append(_schema(dice, depth=0))
        elif keyword == "enum" and dice.random() < 0.5:
            changed[keyword] = [*value, dice.choice(_SCALARS)]
        elif keyword not in {"type", "enum", "const"} and dice.random() < 0.25:
            changed.pop(keyword)
        elif keyword.startswith(("min", "max", "exclusive")) and dice.random() < 0.4:
            changed[keyword] = max(0, value + dice.choice((-1, 1))) if keyword[3:] in _SIZES else value + 1
        elif keyword == "type" and isinstance(value, str) and dice.random() < 0.1:
            changed[keyword] = [value, "null"] if value != "null" else value
    return changed


def _bounds_flipped(schema: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    changed = dict(schema)
    for closed, is_open in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if (closed in changed) != (is_open in changed) and dice.random() < 0.2:
            now, then = (closed, is_open) if closed in changed else (is_open, closed)
            changed[then] = changed.pop(now)
    return changed


_SIZES = {"Length", "Items"}


def _schema(dice: random.Random, depth: int) -> Schema:
    roll = dice.random()
    if roll < 0.08:
        return dice.choice((True, {}))
    if roll < 0.2:
        return {"enum": [dice.choice(_SCALARS) for _ in range(dice.randint(1, 4))]}
    if roll < 0.25:
        return {"const": dice.choice(_SCALARS)}
    if roll < 0.4 and depth:
        return {"anyOf": [_schema(dice, depth - 1) for _ in range(dice.randint(1, 3))]}
    types = dice.sample([kind for kind in _TYPES if kind != "number"], dice.choice((1, 1, 1, 2)))
    if dice.random() < 0.3:
        types = ["number"]
    schema: dict[str, Any] = {"type": types if len(types) > 1 else types[0]}
    for kind in types:
        schema |= _assertions(kind, dice, depth)
    return schema


def _assertions(kind: str, dice: random.Random, depth: int) -> dict[str, Any]:
    match kind:
        case "integer" | "number":
            low, high = sorted(dice.sample(range(-3, 9), 2))
            return _some({dice.choice(("minimum", "exclusiveMinimum")): low, "maximum": high}, dice)
        case "string":
            low, high = sorted((dice.randint(0, 4), dice.randint(0, 6)))
            return _some({"minLength": low, "maxLength": high, "pattern": dice.choice(_PATTERNS)}, dice)
        case "array":
            low, high = sorted((dice.randint(0, 2), dice.randint(0, 3)))
            items = _schema(dice, depth - 1) if depth else True
            return _some({"items": items, "minItems": low, "maxItems": high}, dice)
        case "object":
            return _object(dice, depth)
        case _:
            return {}


def _object(dice: random.Random, depth: int) -> dict[str, Any]:
    properties = {name: _schema(dice, depth - 1) if depth else True for name in _NAMES if dice.random() < 0.6}
    others = dice.choice((False, False, True, _schema(dice, depth - 1) if depth else True))
    required = [name for name in properties if dice.random() < 0.4]
    return _some({"properties": properties, "additionalProperties": others}, dice) | {"required": required}


def _some(assertions: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    return {keyword: value for keyword, value in assertions.items() if dice.random() < 0.7}


def value_for(schema: Any, dice: random.Random) -> Any:
    """A value that mostly fits; the caller looks whether it does."""
    if schema in (True, False, {}) or dice.random() < 0.05:
        return _any_value(dice, depth=2)
    if "anyOf" in schema:
        return value_for(dice.choice(schema["anyOf"]), dice)
    if "enum" in schema:
        return dice.choice(schema["enum"])
    if "const" in schema:
        return schema["const"]
    named = schema["type"]
    return _value_of(dice.choice(named) if isinstance(named, list) else named, schema, dice)


def _value_of(kind: str, schema: dict[str, Any], dice: random.Random) -> Any:
    if kind == "array":
        size = dice.randint(schema.get("minItems", 0), schema.get("maxItems", 3))
        return [value_for(schema.get("items", True), dice) for _ in range(size)]
    if kind == "object":
        return _object_for(schema, dice)
    choices: dict[str, tuple[Any, ...]] = {
        "string": (*_TEXTS, "abb"),
        "number": (*_NUMBERS, 3, 5, 8, 8.5, -2.5, 100, -100),
        "boolean": (True, False),
        "null": (None,),
    }
    return dice.choice(choices["number" if kind == "integer" else kind])


def _object_for(schema: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    properties = schema.get("properties", {})
    value = {
        name: value_for(part, dice)
        for name, part in properties.items()
        if name in schema.get("required", ()) or dice.random() < 0.6
    }
    others = schema.get("additionalProperties", True)
    for name in (*_NAMES, "z"):
        if others is not False and name not in properties and dice.random() < 0.4:
            value[name] = value_for(others, dice)
    return value


def _any_value(dice: random.Random, depth: int) -> Any:
    if depth and dice.random() < 0.4:
        parts = [_any_value(dice, depth - 1) for _ in range(dice.randint(0, 2))]
        return parts if dice.random() < 0.5 else dict(zip(_NAMES, parts, strict=False))
    return dice.choice(_SCALARS)
