"""What changed between two OpenAPI documents, and whether a client of the old one would notice.

A request may only become more tolerant, an answer only more exact. Documented: removing a path, method, parameter,
status, media type or property; asking for a property or parameter that was optional or unknown; narrowing what a
request may hold; widening what an answer may hold. Where two schemas cannot be compared, a difference is breaking.
"""

import enum
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
# Keywords that bound a value from below and from above. A request's bound may only move outwards, an answer's inwards.
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_ANY_CHANGE = ("pattern", "format", "multipleOf", "uniqueItems", "allOf", "not", "if", "then", "else", "prefixItems")


class Direction(enum.Enum):
    """Who writes the value: the client (a request) or the server (an answer)."""

    REQUEST = "request"
    RESPONSE = "response"


def breaking_changes(old: Json, new: Json) -> list[str]:
    """One line for each change that a client of `old` could notice in `new`."""
    return list(_Comparison(old, new).paths())


class _Comparison:
    def __init__(self, old: Json, new: Json) -> None:
        self._old = old
        self._new = new
        # Pairs of references that are being compared: a schema may hold itself.
        self._open: set[tuple[str, str, Direction]] = set()

    def paths(self) -> Iterator[str]:
        for path, methods in self._old["paths"].items():
            now = self._new["paths"].get(path)
            if now is None:
                yield f"{path}: the path was removed"
                continue
            for method in METHODS:
                if method in methods and method not in now:
                    yield f"{method.upper()} {path}: the method was removed"
                elif method in methods:
                    yield from self._operation(f"{method.upper()} {path}", methods[method], now[method])

    def _operation(self, where: str, old: Json, new: Json) -> Iterator[str]:
        yield from self._parameters(where, old.get("parameters", []), new.get("parameters", []))
        yield from self._request_body(where, old.get("requestBody"), new.get("requestBody"))
        for status, response in old["responses"].items():
            now = new["responses"].get(status)
            if now is None:
                yield f"{where}: the status {status} was removed"
                continue
            at = f"{where} → {status}"
            yield from self._contents(at, response.get("content", {}), now.get("content", {}), Direction.RESPONSE)

    def _parameters(self, where: str, old: list[Json], new: list[Json]) -> Iterator[str]:
        before = {(found["in"], found["name"]): found for found in old}
        after = {(found["in"], found["name"]): found for found in new}
        for key, parameter in before.items():
            name = f"{where}: the {key[0]} parameter {key[1]}"
            if key not in after:
                yield f"{name} was removed"
                continue
            yield from self._schemas(name, parameter.get("schema", {}), after[key].get("schema", {}), Direction.REQUEST)
        for key, parameter in after.items():
            if parameter.get("required") and not before.get(key, {}).get("required"):
                yield f"{where}: the {key[0]} parameter {key[1]} is required now"

    def _request_body(self, where: str, old: Json | None, new: Json | None) -> Iterator[str]:
        if new is not None and new.get("required") and not (old or {}).get("required"):
            yield f"{where}: a request body is required now"
        if old is not None and new is None:
            yield f"{where}: the request body was removed"
        elif old is not None and new is not None:
            yield from self._contents(f"{where} body", old["content"], new["content"], Direction.REQUEST)

    def _contents(self, where: str, old: Json, new: Json, direction: Direction) -> Iterator[str]:
        for media_type, content in old.items():
            if media_type not in new:
                yield f"{where}: {media_type} was removed"
                continue
            now = new[media_type].get("schema", {})
            yield from self._schemas(f"{where} {media_type}", content.get("schema", {}), now, direction)

    def _schemas(self, where: str, old: Json, new: Json, direction: Direction) -> list[str]:
        """Each alternative that the writer may choose must be one that the reader knows."""
        pair = (str(old.get("$ref", id(old))), str(new.get("$ref", id(new))), direction)
        if pair in self._open:
            return []
        self._open.add(pair)
        try:
            before, after = _alternatives(old, self._old), _alternatives(new, self._new)
            written, known = (before, after) if direction is Direction.REQUEST else (after, before)
            found: list[str] = []
            for choice in written:
                # The nearest known alternative tells best what is wrong with this one.
                pairs = [(choice, other) if written is before else (other, choice) for other in known]
                faults = [list(self._one(where, was, now, direction)) for was, now in pairs]
                found += sorted(faults, key=len)[0]
            return found
        finally:
            self._open.discard(pair)

    def _one(self, where: str, old: Json, new: Json, direction: Direction) -> Iterator[str]:
        is_request = direction is Direction.REQUEST
        written, known = (old, new) if is_request else (new, old)
        if known.get("type") is not None and not _is_a(written.get("type"), known["type"]):
            yield f"{where}: the type {old.get('type', 'any')} became {new.get('type', 'any')}"
            return
        values, allowed = _values(written), _values(known)
        if allowed is not None and (values is None or any(value not in allowed for value in values)):
            yield f"{where}: the values {_values(old) or 'any'} became {_values(new) or 'any'}"
        for keyword in _LOWER + _UPPER:
            bound, limit = written.get(keyword), known.get(keyword)
            is_lower = keyword in _LOWER
            if limit is not None and (bound is None or (bound < limit if is_lower else bound > limit)):
                yield f"{where}: {keyword} was {old.get(keyword)} and is {new.get(keyword)}"
        for keyword in _ANY_CHANGE:
            if known.get(keyword) is not None and known.get(keyword) != written.get(keyword):
                yield f"{where}: {keyword} changed"
        yield from self._properties(where, old, new, direction)
        if "items" in old or "items" in new:
            yield from self._schemas(f"{where}[]", old.get("items", {}), new.get("items", {}), direction)

    def _properties(self, where: str, old: Json, new: Json, direction: Direction) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        for name, schema in before.items():
            if name not in after:
                yield f"{where}.{name}: the property was removed"
                continue
            yield from self._schemas(f"{where}.{name}", schema, after[name], direction)
        was, now = set(old.get("required", [])), set(new.get("required", []))
        if direction is Direction.REQUEST:
            yield from (f"{where}.{name}: the property is required now" for name in sorted(now - was))
        else:
            gone = (was - now) & set(after)  # one that was removed is told already
            yield from (f"{where}.{name}: the property is no longer always there" for name in sorted(gone))
        closed = new.get("additionalProperties") is False and old.get("additionalProperties") is not False
        if direction is Direction.REQUEST and closed:
            yield f"{where}: other properties are refused now"
        extra_before, extra_after = old.get("additionalProperties"), new.get("additionalProperties")
        if isinstance(extra_before, dict) and isinstance(extra_after, dict):
            yield from self._schemas(f"{where}.*", extra_before, extra_after, direction)


def _alternatives(schema: Json, document: Json) -> list[Json]:
    """The schema as a list of schemas, each of one type, of which a value fits at least one."""
    if "$ref" in schema:
        target: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        return _alternatives(target, document)
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            return [found for choice in schema[keyword] for found in _alternatives(choice, document)]
    if isinstance(schema.get("type"), list):
        return [{**schema, "type": name} for name in schema["type"]]
    return [schema]


def _is_a(written: str | None, known: str) -> bool:
    return written == known or (written == "integer" and known == "number")


def _values(schema: Json) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    found: list[Any] | None = schema.get("enum")
    return found
