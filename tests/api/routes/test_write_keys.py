"""Client libraries that identify themselves with a write key, against the real embedded broker."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from api.main import create_app
from platform_assets.contracts.access import Role, Scope
from resources.identity.actor import SYSTEM
from resources.identity.keys import KeyKind, NewKey
from resources.identity.service import Identity
from resources.identity.users import UserKind
from resources.settings import Auth, Settings

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVENT = {"event_name": "page_viewed", "source_service": "web", "payload": {"path": "/"}}
PAGE = {"type": "page", "userId": "u-1"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client from elsewhere whose user name is a write key for 20 events a minute, as Segment libraries have it."""
    strict = settings.model_copy(update={"api": settings.api.model_copy(update={"auth": Auth.REQUIRED})})
    app = create_app(strict)
    transport = httpx.ASGITransport(app=app, client=("192.0.2.7", 1))
    async with app.router.lifespan_context(app):
        identity: Identity = app.state.identity
        owner = await identity.users.create("shop", Role.ENGINEER, UserKind.SERVICE, None, SYSTEM)
        new = NewKey(KeyKind.WRITE, "shop", None, events_per_minute=20)
        _, secret = await identity.keys.create(owner.id, new, SYSTEM, within=frozenset(Scope))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", auth=(secret, "")) as http:
            yield http


async def test_a_write_key_sends_events_by_either_vocabulary_up_to_its_limit(
    shop: httpx.AsyncClient, on_the_log: Any
) -> None:
    assert (await shop.post("/v1/events", json=[EVENT] * 10)).status_code == 202
    assert (await shop.post("/v1/batch", json={"batch": [PAGE] * 10})).status_code == 200
    for path, body in (("events", [EVENT]), ("batch", {"batch": [PAGE]}), ("page", PAGE)):
        response = await shop.post(f"/v1/{path}", json=body, headers={"idempotency-key": path})
        assert response.status_code == 429
        assert int(response.headers["retry-after"]) >= 1
        assert on_the_log(response.headers["x-request-id"]) == ([], [])


async def test_without_the_key_nothing_is_taken(shop: httpx.AsyncClient) -> None:
    for auth in (httpx.BasicAuth("wk_nonsense", ""), httpx.Auth()):
        response = await shop.post("/v1/track", json=PAGE, auth=auth)
        assert response.status_code == 401
