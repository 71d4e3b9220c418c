"""Judges OpenLineage events by the classes that its client generated from the official schema, and by that itself.

The official schema is in no package. Where OPENLINEAGE_SPEC names a copy of the folder `spec` of its repository, events
are validated against it too.
"""

import functools
import os
import types
import typing
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import attr
import jsonschema_rs
import msgspec
from openlineage.client import facet_v2
from openlineage.client.event_v2 import JobEvent, RunEvent
from openlineage.client.generated import base

_EVENTS = {"RunEvent": RunEvent, "JobEvent": JobEvent}
_BESIDE_FIELDS = {"producer", "schemaURL"}


def faults(event: Mapping[str, Any]) -> list[str]:
    """What is wrong with an event as it travels: unknown, missing and mistyped fields, and facets nobody knows."""
    kind = _EVENTS[event["schemaURL"].rsplit("/", 1)[1]]
    return [*_faults_of_object(event, kind, "$"), *_faults_by_the_official_schema(event)]


def _faults_of_object(value: Any, kind: type[Any], path: str) -> Iterator[str]:
    # Not every generated module imports what its annotations name.
    hints = typing.get_type_hints(kind, localns={"ClassVar": typing.ClassVar})
    fields = {field.name: field for field in attr.fields(kind)}
    for name in value.keys() - fields.keys():
        yield f"{path}.{name} is unknown"
    for name, field in fields.items():
        if name in value:
            yield from _faults_of(value[name], hints[name], f"{path}.{name}")
        elif field.default is attr.NOTHING:
            yield f"{path}.{name} is missing"


def _faults_of(value: Any, hint: Any, path: str) -> Iterator[str]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in {typing.Union, types.UnionType}:
        [hint] = [one for one in arguments if one is not type(None)]
        yield from _faults_of(value, hint, path)
    elif origin is list:
        for number, one in enumerate(value):
            yield from _faults_of(one, arguments[0], f"{path}[{number}]")
    elif origin is dict:
        is_facet = isinstance(arguments[1], type) and issubclass(arguments[1], base.BaseFacet)
        for name, one in value.items():
            inner = _facets().get(one.get("_schemaURL", "")) if is_facet else arguments[1]
            if inner is None:
                yield f"{path}.{name} is no known facet"
            else:
                yield from _faults_of(one, inner, f"{path}.{name}")
    elif attr.has(hint):
        yield from _faults_of_object(value, hint, path)
    elif isinstance(hint, type) and issubclass(hint, Enum):
        if value not in {one.value for one in hint}:
            yield f"{path} is {value!r}"
    elif isinstance(hint, type) and not isinstance(value, hint):
        yield f"{path} is a {type(value).__name__} and no {hint.__name__}"


@functools.cache
def _facets() -> dict[str, type[Any]]:
    modules = [one for one in vars(facet_v2).values() if isinstance(one, types.ModuleType)]
    classes = [one for module in modules for one in vars(module).values() if isinstance(one, type)]
    return {one._get_schema(): one for one in classes if issubclass(one, base.BaseFacet)}


def _faults_by_the_official_schema(event: Mapping[str, Any]) -> Iterator[str]:
    folder = os.environ.get("OPENLINEAGE_SPEC")
    if folder is None:
        return
    core = msgspec.json.decode((Path(folder) / "OpenLineage.json").read_bytes())
    core["$ref"] = f"#/$defs/{event['schemaURL'].rsplit('/', 1)[1]}"
    core.pop("oneOf", None)
    for error in jsonschema_rs.validator_for(core, validate_formats=True).iter_errors(event):
        yield str(error)
    for facet in _facets_in(event):
        address, _, pointer = facet["_schemaURL"].partition("#")
        schema = msgspec.json.decode((Path(folder) / "facets" / Path(address).name).read_bytes())
        schema.pop("properties", None)
        schema["$ref"] = f"#{pointer}"
        # Some facets' schemas name an older core than the folder has: the folder's stands in, and nothing is fetched.
        judge = jsonschema_rs.validator_for(schema, validate_formats=True, retriever=lambda _: core)
        for error in judge.iter_errors(facet):
            yield str(error)


def _facets_in(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, dict):
        if "_schemaURL" in value:
            yield value
        for inner in value.values():
            yield from _facets_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _facets_in(inner)
