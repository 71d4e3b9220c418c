"""Reads a schema of the subset (`keywords`) into a shape, or names every reason why it cannot."""

import json
import math
from collections.abc import Collection, Mapping
from typing import Any

from platform_assets.contracts.event_schemas.document_size import faults_of_size
from platform_assets.contracts.event_schemas.keywords import (
    ANNOTATIONS,
    ASSERTIONS,
    BY_TYPE,
    DIALECT,
    INSTEAD,
    KEYWORDS_OF,
    LARGEST_NUMBER,
    MAX_ALTERNATIVES,
    MAX_DEPTH,
    MAX_ENUM_VALUES,
    MAX_FAULTS,
    MAX_SUBSCHEMAS,
    NUMBER_KEYWORDS,
    ROOT_ANNOTATIONS,
    Fault,
    UnsupportedSchema,
)
from platform_assets.contracts.event_schemas.shapes import (
    ANYTHING,
    NOTHING,
    Arrays,
    Branch,
    Numbers,
    Objects,
    Scalar,
    Shape,
    Texts,
    Values,
    type_of,
)

# Of a name that was sent, no more than this is said back.
_MAX_NAME_CHARS = 100


def read_schema(document: Any) -> Shape:
    """What a payload's schema says.

    Raises:
        UnsupportedSchema: it is outside the subset, too large, or nothing can fit it.
    """
    reader = _Reader()
    if not isinstance(document, dict) or document.get("type") != "object":
        raise UnsupportedSchema([Fault("#", "a payload is an object", 'begin the schema with "type": "object"')])
    shape = reader.shape(document, "#", depth=0)
    faults = reader.faults or faults_of_size(document)
    if faults:
        raise UnsupportedSchema(faults)
    return shape


class _Reader:
    """Reads one document and notes every fault on the way."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self._subschemas = 0

    def fault(self, path: str, problem: str, remedy: str) -> None:
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(Fault(path, problem, remedy))

    def shape(self, schema: Any, path: str, depth: int) -> Shape:
        self._subschemas += 1
        if self._subschemas == MAX_SUBSCHEMAS + 1:
            self.fault(path, f"there are more than {MAX_SUBSCHEMAS} schemas in it", "leave parts of the payload open")
        if self._subschemas > MAX_SUBSCHEMAS:
            return ANYTHING
        if depth > MAX_DEPTH:
            self.fault(path, f"it nests deeper than {MAX_DEPTH} levels", "make the payload flatter")
        elif isinstance(schema, dict):
            return self._read(schema, path, depth)
        elif schema is not True:
            self.fault(path, "this is no schema", "write an object, or true for any value")
        return ANYTHING

    def _read(self, schema: Mapping[str, Any], path: str, depth: int) -> Shape:
        self._check_keywords(schema, path, is_root=depth == 0)
        if "anyOf" in schema:
            return self._any_of(schema, path, depth)
        if "enum" in schema or "const" in schema:
            return self._enumerated(schema, path)
        if "type" in schema:
            return self._typed(schema, path, depth)
        for keyword in sorted(BY_TYPE & schema.keys()):
            self.fault(f"{path}/{keyword}", f"without a type `{keyword}` lets all other types pass", "name the `type`")
        return ANYTHING

    def _check_keywords(self, schema: Mapping[str, Any], path: str, *, is_root: bool) -> None:
        known = ASSERTIONS | ANNOTATIONS | (ROOT_ANNOTATIONS if is_root else frozenset())
        for keyword in sorted(schema.keys() - known):
            instead = INSTEAD.get(keyword, "leave it out")
            problem = f"`{keyword[:_MAX_NAME_CHARS]}` is outside the supported subset"
            self.fault(_below(path, keyword), problem, instead)
        if is_root and schema.get("$schema", DIALECT) != DIALECT:
            self.fault(f"{path}/$schema", "only JSON Schema 2020-12 is supported", f"use {DIALECT}")

    def _alone(self, schema: Mapping[str, Any], path: str, keyword: str, beside: Collection[str]) -> None:
        for other in sorted((schema.keys() & ASSERTIONS) - {keyword, *beside}):
            self.fault(f"{path}/{other}", f"`{other}` stands beside `{keyword}`", f"say it inside `{keyword}`")

    def _any_of(self, schema: Mapping[str, Any], path: str, depth: int) -> Shape:
        self._alone(schema, path, "anyOf", ())
        parts = schema["anyOf"]
        if not isinstance(parts, list) or not 1 <= len(parts) <= MAX_ALTERNATIVES:
            self.fault(f"{path}/anyOf", f"anyOf is no list of 1 to {MAX_ALTERNATIVES} schemas", "write such a list")
            return ANYTHING
        shapes = [self.shape(part, f"{path}/anyOf/{place}", depth + 1) for place, part in enumerate(parts)]
        branches: list[Branch] = []
        for shape in shapes:
            if shape.branches is None:
                return ANYTHING
            branches.extend(shape.branches)
        return Shape(tuple(branches))

    def _enumerated(self, schema: Mapping[str, Any], path: str) -> Shape:
        keyword = "enum" if "enum" in schema else "const"
        self._alone(schema, path, keyword, ("type",))
        place = f"{path}/{keyword}"
        values = schema["enum"] if keyword == "enum" else [schema["const"]]
        if not isinstance(values, list) or not 1 <= len(values) <= MAX_ENUM_VALUES:
            self.fault(place, f"enum is no list of 1 to {MAX_ENUM_VALUES:,} values", "write such a list")
            return ANYTHING
        if not all(self._is_scalar(value) for value in values):
            self.fault(
                place, "a value is no scalar, or a number that is not exact", "use texts, numbers, booleans, null"
            )
            return ANYTHING
        if "type" in schema:
            types = self._types(schema, path)
            for value in values:
                if not _is_of(value, types):
                    self.fault(place, f"{_json(value)} is not of the type {' or '.join(types)}", "take it out")
        return Shape((Values(tuple(values)),))

    def _typed(self, schema: Mapping[str, Any], path: str, depth: int) -> Shape:
        types = self._types(schema, path)
        fitting = frozenset().union(*(KEYWORDS_OF[name] for name in types))
        for keyword in sorted((schema.keys() & BY_TYPE) - fitting):
            self.fault(f"{path}/{keyword}", f"`{keyword}` says nothing about {' or '.join(types)}", "take it out")
        return Shape(tuple(self._branch(name, schema, path, depth) for name in types))

    def _types(self, schema: Mapping[str, Any], path: str) -> list[str]:
        named = schema["type"]
        types = named if isinstance(named, list) else [named]
        if not types or not all(isinstance(name, str) and name in KEYWORDS_OF for name in types):
            self.fault(f"{path}/type", "the type is none of JSON's", f"use {', '.join(KEYWORDS_OF)}, or a list of them")
            return []
        if len(set(types)) < len(types) or {"integer", "number"} <= set(types):
            self.fault(f"{path}/type", "a type is named twice (an integer is a number)", "name each once")
        return types

    def _branch(self, name: str, schema: Mapping[str, Any], path: str, depth: int) -> Branch:
        match name:
            case "null":
                return Values((None,))
            case "boolean":
                return Values((True, False))
            case "integer" | "number":
                return self._numbers(schema, path, whole=name == "integer")
            case "string":
                shortest, longest = self._sizes(schema, path, "minLength", "maxLength")
                return Texts(shortest, longest, self._pattern(schema, path))
            case "array":
                fewest, most = self._sizes(schema, path, "minItems", "maxItems")
                return Arrays(self.shape(schema.get("items", True), f"{path}/items", depth + 1), fewest, most)
            case _:
                return self._objects(schema, path, depth)

    def _numbers(self, schema: Mapping[str, Any], path: str, *, whole: bool) -> Numbers:
        limits: dict[str, float] = {}
        for keyword in sorted(NUMBER_KEYWORDS & schema.keys()):
            if type_of_any(schema[keyword]) == "number" and self._is_scalar(schema[keyword]):
                limits[keyword] = schema[keyword]
            else:
                self.fault(f"{path}/{keyword}", f"`{keyword}` is no number of at most 2^53", "write such a number")
        low, low_is_open = _tighter(limits.get("minimum"), limits.get("exclusiveMinimum"), max)
        high, high_is_open = _tighter(limits.get("maximum"), limits.get("exclusiveMaximum"), min)
        if whole and low is not None:
            low, low_is_open = math.floor(low) + 1 if low_is_open else math.ceil(low), False
        if whole and high is not None:
            high, high_is_open = math.ceil(high) - 1 if high_is_open else math.floor(high), False
        if low is not None and high is not None and (low > high or (low == high and (low_is_open or high_is_open))):
            self.fault(path, "no number lies within the bounds", "move one of them")
        return Numbers(whole, low, low_is_open, high, high_is_open)

    def _sizes(self, schema: Mapping[str, Any], path: str, least: str, most: str) -> tuple[int, int | None]:
        for keyword in (least, most):
            size = schema.get(keyword, 0)
            if type(size) is not int or not 0 <= size <= LARGEST_NUMBER:
                self.fault(f"{path}/{keyword}", f"`{keyword}` is no whole number from 0", "write such a number")
                return 0, None
        if most in schema and schema[most] < schema.get(least, 0):
            self.fault(f"{path}/{most}", f"`{most}` is below `{least}`", "move one of them")
        return schema.get(least, 0), schema.get(most)

    def _pattern(self, schema: Mapping[str, Any], path: str) -> str | None:
        pattern = schema.get("pattern")
        if "pattern" in schema and not isinstance(pattern, str):
            self.fault(f"{path}/pattern", "the pattern is no text", "write a regular expression")
            return None
        return pattern

    def _objects(self, schema: Mapping[str, Any], path: str, depth: int) -> Objects:
        properties = schema.get("properties", {})
        if not isinstance(properties, dict):
            self.fault(f"{path}/properties", "this is no object", "write a schema for each property's name")
            properties = {}
        required = schema.get("required", [])
        if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
            self.fault(f"{path}/required", "this is no list of names", "write the names of properties")
            required = []
        if len(set(required)) < len(required):
            self.fault(f"{path}/required", "a name stands twice", "name each once")
        additional = schema.get("additionalProperties", True)
        for name in required:
            if additional is False and name not in properties:
                problem = f"`{name[:_MAX_NAME_CHARS]}` is required, but additionalProperties forbids it"
                self.fault(f"{path}/required", problem, "describe it in `properties`, or take it out")
        others = NOTHING
        if additional is not False:
            others = self.shape(additional, f"{path}/additionalProperties", depth + 1)
        shapes = {
            name: self.shape(part, _below(f"{path}/properties", name), depth + 1) for name, part in properties.items()
        }
        return Objects(shapes, frozenset(required), others)

    def _is_scalar(self, value: Any) -> bool:
        kind = type_of_any(value)
        return kind is not None and (kind != "number" or abs(value) <= LARGEST_NUMBER)


def type_of_any(value: Any) -> str | None:
    """The JSON type of a scalar; None for anything else."""
    return type_of(value) if value is None or isinstance(value, str | int | float) else None


def _tighter(closed: float | None, is_open: float | None, choose: Any) -> tuple[float | None, bool]:
    if closed is None or is_open is None:
        return (is_open, True) if closed is None and is_open is not None else (closed, False)
    bound = choose(closed, is_open)
    return bound, bound == is_open


def _is_of(value: Scalar, types: Collection[str]) -> bool:
    kind = type_of(value)
    if kind == "number" and "integer" in types:
        return "number" in types or float(value or 0).is_integer()
    return kind in types


def _below(path: str, name: str) -> str:
    return f"{path}/{name[:_MAX_NAME_CHARS].replace('~', '~0').replace('/', '~1')}"


def _json(value: Scalar) -> str:
    return json.dumps(value)[:_MAX_NAME_CHARS]  # ASCII: what was sent may have no UTF-8 form
