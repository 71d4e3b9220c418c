"""Completes the OpenAPI document: the event's schema from its contract, and problems as what they are."""

from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.problems import PROBLEM_JSON, Problem
from platform_assets.contracts.events import NewEvent
from platform_assets.contracts.segment import SegmentBatch, SegmentMessage

_REF = "#/components/schemas/{name}"
# These follow from the middleware, whatever the route does.
_EVERYWHERE = {
    "400": "The request could not be understood, or names another host.",
    "401": "A credential is missing or not valid.",
    "429": "The caller has asked too often; come back after Retry-After.",
    "500": "An unexpected error; the log has it under the request id.",
    "504": "The answer was not ready in time.",
}
_WITH_BODY = {"408": "The body did not arrive in time.", "413": "The body is too large."}


def install_openapi(app: FastAPI) -> None:
    """Make `app.openapi()` give the completed document, built once."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _build(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way


def _build(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    _, events = msgspec.json.schema_components([NewEvent, SegmentMessage, SegmentBatch], ref_template=_REF)
    schemas.update(events)
    schemas["Problem"] = Problem.model_json_schema(ref_template=_REF.replace("{name}", "{model}"))
    for path in document["paths"].values():
        for operation in path.values():
            _complete(operation)
    # FastAPI's own error bodies, which nothing answers with.
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    return document


def _complete(operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    expected = _EVERYWHERE | (_WITH_BODY if "requestBody" in operation else {})
    for status, description in expected.items():
        responses.setdefault(status, {"description": description})
    for status, response in responses.items():
        if int(status) >= 400 and not _has_own_model(response):
            response["content"] = {PROBLEM_JSON: {"schema": {"$ref": _REF.format(name="Problem")}}}
    operation["responses"] = dict(sorted(responses.items()))


def _has_own_model(response: dict[str, Any]) -> bool:
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    return bool(schema) and schema.get("$ref") != _REF.format(name="HTTPValidationError")
