"""The OpenAPI document and its pages."""

import json
import re

import httpx
import pytest

from api.main import create_app
from resources.settings import Settings

METHODS = {"get", "post", "put", "patch", "delete"}


def test_openapi_documents_every_error_as_a_problem(unreachable: Settings) -> None:
    document = create_app(unreachable).openapi()
    operations = [
        (path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    ]
    assert {path for path, _ in operations} >= {"/health", "/v1/events", "/v1/predictions/{model}"}
    for path, operation in operations:
        assert {"401", "500"} <= set(operation["responses"])
        for status, response in operation["responses"].items():
            if int(status) >= 400 and (path, status) != ("/health/ready", "503"):
                assert set(response["content"]) == {"application/problem+json"}


def test_openapi_references_resolve_and_show_the_events_contract(unreachable: Settings) -> None:
    document = create_app(unreachable).openapi()
    schemas = document["components"]["schemas"]
    text = json.dumps(document)
    for name in {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert name in schemas
    assert set(schemas["NewEvent"]["required"]) == {"event_name", "payload", "source_service"}
    assert "StandardResponse_IngestionReceipt_" in schemas
    assert "HTTPValidationError" not in schemas


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json"])
async def test_the_pages_are_served(serve, unreachable: Settings, path: str) -> None:  # type: ignore[no-untyped-def]
    async with serve(unreachable) as api:
        response: httpx.Response = await api.get(path)
    assert response.status_code == 200
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("page", ["/docs", "/redoc"])
async def test_page_loads_everything_from_here(serve, unreachable: Settings, page: str) -> None:  # type: ignore[no-untyped-def]
    async with serve(unreachable) as api:
        answer: httpx.Response = await api.get(page)
        loaded = re.findall(r'(?:src|href)="([^"]+)"', answer.text)
        assert any(path.endswith(".js") for path in loaded)
        for path in loaded:
            assert path.startswith("/docs/assets/")
            assert (await api.get(path)).status_code == 200
    assert "default-src 'self'" in answer.headers["content-security-policy"]


async def test_only_the_assets_of_the_pages_are_served(serve, unreachable: Settings) -> None:  # type: ignore[no-untyped-def]
    async with serve(unreachable) as api:
        assert (await api.get("/docs/assets/core.py")).status_code == 422
        assert (await api.get("/docs/assets/..%2Fcore.py")).status_code in (404, 422)
