"""What clients were promised still holds."""

from typing import Any

import pytest

from tests.api.openapi_changes import METHODS, breaking_changes
from tests.api.openapi_snapshot import committed, current


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The document of this checkout."""
    return current(tmp_path_factory.mktemp("data"))


def operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method.upper()} {path}", methods[method])
        for path, methods in document["paths"].items()
        for method in METHODS
        if method in methods
    ]


def test_api_breaks_no_client(document: dict[str, Any]) -> None:
    """Undo what is listed, or bring it under a new version; `make openapi ARGS=--breaking` breaks it on purpose."""
    assert breaking_changes(committed(), document) == []


def test_snapshot_is_the_document_of_today(document: dict[str, Any]) -> None:
    """A compatible change only wants the snapshot renewed."""
    assert document == committed(), "the API's document changed: run `make openapi` and commit tests/api/openapi.json"


def test_every_operation_says_what_it_does_and_how_it_fails(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        assert operation.get("summary"), f"{name} has no summary"
        assert operation.get("description"), f"{name} has no description"
        assert operation.get("tags"), f"{name} stands under no heading"
        errors = {status for status in operation["responses"] if status >= "400"}
        assert {"400", "401", "500"} <= errors, f"{name} does not document its errors"
        for status, response in operation["responses"].items():
            assert response["description"] not in ("", "Successful Response"), f"{name} → {status} is not described"


def test_every_operation_has_examples(document: dict[str, Any]) -> None:
    """What /docs fills in: a body that can be sent, parameters that exist, an answer as it looks."""
    without = [
        f"{name}: {what}"
        for name, operation in operations(document)
        for what, part in _shown_parts(operation)
        if not _has_example(part, document)
    ]
    assert without == []


def _shown_parts(operation: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    parts = [
        (f"parameter {parameter['name']}", parameter)
        for parameter in operation.get("parameters", [])
        if parameter.get("required")
    ]
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        parts.append((f"body {media_type}", content))
    for status, response in operation["responses"].items():
        if status < "400":
            parts += [(f"answer {status}", content) for content in response.get("content", {}).values()]
    return parts


def _has_example(part: dict[str, Any], document: dict[str, Any]) -> bool:
    """On the part, on its schema, or on each property; what can only look one way needs none."""
    schema = part.get("schema", part)
    if any(found.get(keyword) for found in (part, schema) for keyword in ("example", "examples", "default", "enum")):
        return True
    if "const" in schema or schema.get("type") in ("boolean", "null") or schema.get("format") == "date-time":
        return True
    if "$ref" in schema:
        return _has_example(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document)
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            return any(_has_example(choice, document) for choice in schema[keyword] if choice.get("type") != "null")
    if schema.get("type") == "array":
        return _has_example(schema["items"], document)
    properties = schema.get("properties", {})
    return bool(properties) and all(_has_example(item, document) for item in properties.values())
