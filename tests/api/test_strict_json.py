"""A JSON body means one thing only, on every route that takes one (security.md 23)."""

from typing import Any

import pytest

from resources.settings import Settings

ROUTES = ["/v1/predictions/churn", "/v1/keys", "/v1/schemas/order_placed", "/v1/tokens/refresh"]
BODIES = {
    "nested in arrays": b"[" * 10_000 + b"]" * 10_000,
    "nested in objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "NaN": b'{"entity_id": NaN}',
    "Infinity": b'{"entity_id": -Infinity}',
    "a member twice": b'{"entity_id": "1", "entity_id": "2"}',
    "an inner member twice": b'{"entity_id": {"a": 1, "a": 2}}',
    "a long number": b'{"entity_id": ' + b"9" * 5000 + b"}",
    "not UTF-8": b'{"entity_id": "\xff"}',
}


@pytest.mark.parametrize("route", ROUTES)
async def test_ambiguous_or_foreign_json_is_refused_with_a_reason(
    serve: Any, unreachable: Settings, route: str
) -> None:
    async with serve(unreachable) as api:
        for what, body in BODIES.items():
            response = await api.post(route, content=body, headers={"Content-Type": "application/json"})
            assert (response.status_code, response.json()["type"]) == (400, "urn:analytics:problem:malformed-json"), (
                what
            )


async def test_other_faults_are_told_with_their_place(serve: Any, unreachable: Settings) -> None:
    async with serve(unreachable) as api:
        broken = await api.post(ROUTES[0], content=b'{"entity_id": ', headers={"Content-Type": "application/json"})
        unknown = await api.post(ROUTES[0], json={"entity": "1"})
    assert (broken.status_code, unknown.status_code) == (422, 422)
    assert broken.json()["errors"][0]["type"] == "json_invalid"
