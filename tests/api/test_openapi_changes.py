"""The rules by which a change of the OpenAPI document breaks a client."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.api.openapi_changes import breaking_changes

Json = dict[str, Any]

BEFORE: Json = {
    "paths": {
        "/things": {
            "get": {"responses": {"200": {"description": "All of them."}}},
            "post": {
                "parameters": [{"in": "query", "name": "dry", "required": False, "schema": {"type": "boolean"}}],
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/New"}}}},
                "responses": {
                    "201": {
                        "description": "Made.",
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}},
                    },
                    "409": {"description": "It is there already."},
                },
            },
        }
    },
    "components": {
        "schemas": {
            "New": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "maxLength": 10},
                    "size": {"enum": ["small", "large"]},
                    "weight": {"anyOf": [{"type": "number"}, {"type": "null"}]},
                },
            },
            "Thing": {
                "type": "object",
                "required": ["id"],
                "properties": {
                    "id": {"type": "string"},
                    "state": {"enum": ["new", "used"]},
                    "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}},
                },
            },
        }
    },
}


def changed(change: Callable[[Json, Json, Json], object]) -> list[str]:
    after = copy.deepcopy(BEFORE)
    schemas = after["components"]["schemas"]
    change(after["paths"]["/things"], schemas["New"], schemas["Thing"])
    return breaking_changes(BEFORE, after)


def test_document_breaks_nothing_by_itself() -> None:
    assert breaking_changes(BEFORE, copy.deepcopy(BEFORE)) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda path, new, thing: path.pop("get"), "GET /things: the method was removed"),
        (lambda path, new, thing: path["post"]["responses"].pop("409"), "the status 409 was removed"),
        (lambda path, new, thing: path["post"]["responses"]["201"].pop("content"), "application/json was removed"),
        (lambda path, new, thing: path["post"]["parameters"].clear(), "the query parameter dry was removed"),
        (lambda path, new, thing: path["post"]["parameters"][0].update(required=True), "dry is required now"),
        (
            lambda path, new, thing: path["get"].update(parameters=[{"in": "query", "name": "q", "required": True}]),
            "the query parameter q is required now",
        ),
        (lambda path, new, thing: path["post"]["requestBody"].update(required=True), "a request body is required now"),
        (lambda path, new, thing: path["post"].pop("requestBody"), "the request body was removed"),
        (lambda path, new, thing: new["required"].append("size"), ".size: the property is required now"),
        (lambda path, new, thing: new["properties"].pop("size"), ".size: the property was removed"),
        (lambda path, new, thing: new["properties"]["size"]["enum"].remove("large"), ".size: the values"),
        (lambda path, new, thing: new["properties"]["name"].update(maxLength=5), "maxLength was 10 and is 5"),
        (lambda path, new, thing: new["properties"]["name"].update(minLength=1), "minLength was None and is 1"),
        (lambda path, new, thing: new["properties"]["name"].update(pattern="^a"), "pattern changed"),
        (lambda path, new, thing: new["properties"]["name"].update(type="integer"), "string became integer"),
        (lambda path, new, thing: new["properties"]["weight"]["anyOf"].pop(), "the type null became number"),
        (lambda path, new, thing: new.update(additionalProperties=False), "other properties are refused now"),
        (lambda path, new, thing: thing["properties"].pop("id"), ".id: the property was removed"),
        (lambda path, new, thing: thing["required"].clear(), ".id: the property is no longer always there"),
        (lambda path, new, thing: thing["properties"]["state"]["enum"].append("lost"), ".state: the values"),
        (
            lambda path, new, thing: thing["properties"].update(id={"anyOf": [{"type": "string"}, {"type": "null"}]}),
            ".id: the type string became null",
        ),
    ],
)
def test_change_that_a_client_notices_is_told(change: Callable[[Json, Json, Json], object], told: str) -> None:
    found = changed(change)
    assert len(found) == 1
    assert told in found[0]


def test_removed_path_is_told() -> None:
    assert breaking_changes(BEFORE, {"paths": {}}) == ["/things: the path was removed"]


@pytest.mark.parametrize(
    "change",
    [
        lambda path, new, thing: path.update(put={"responses": {"200": {}}}),
        lambda path, new, thing: path["post"]["responses"].update({"503": {"description": "Later."}}),
        lambda path, new, thing: path["post"]["parameters"].append({"in": "query", "name": "q"}),
        lambda path, new, thing: new["properties"].update(colour={"type": "string"}),
        lambda path, new, thing: new["properties"]["size"]["enum"].append("medium"),
        lambda path, new, thing: new["properties"]["name"].update(maxLength=20),
        lambda path, new, thing: new["properties"].update(name={"anyOf": [{"type": "string"}, {"type": "null"}]}),
        lambda path, new, thing: new["required"].clear(),
        lambda path, new, thing: thing["properties"].update(made_at={"type": "string"}),
        lambda path, new, thing: thing["properties"]["state"]["enum"].remove("used"),
        lambda path, new, thing: thing["required"].append("state"),
        lambda path, new, thing: thing.update(description="Said better."),
    ],
)
def test_change_that_a_client_does_not_notice_is_compatible(change: Callable[[Json, Json, Json], object]) -> None:
    assert changed(change) == []
