"""How a credential is presented, what each kind may do, and that each refusal is on record (security.md 10, 16, 43)."""

import base64
import logging
from typing import Any

import pytest
from sqlalchemy import select

from api.main import create_app
from platform_assets.contracts.access import Role, Scope
from resources.identity.actor import SYSTEM
from resources.identity.keys import KeyKind, NewKey
from resources.identity.models import ApiKey, RefreshToken, User
from resources.settings import Settings
from tests.api.security.conftest import PASSWORD, Door

EVENT = {"event_name": "tried", "source_service": "tests", "payload": {}}


def basic(user: str, password: str = "") -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


async def test_a_key_comes_as_bearer_or_in_its_own_header(door: Door) -> None:
    for headers in ({"Authorization": f"Bearer {door.keys['api']}"}, {"X-API-Key": door.keys["api"]}):
        answer = await door.http.get("/v1/users/me", headers=headers)
        assert (answer.json()["data"]["kind"], answer.json()["data"]["name"]) == ("key", "api key")


async def test_a_write_key_sends_events_as_segment_clients_present_it(door: Door) -> None:
    for headers in (basic(door.keys["write"]), {"X-API-Key": door.keys["write"]}):
        answer = await door.http.post("/v1/events", headers=headers, json=EVENT)
        assert answer.status_code == 503  # let in: there is no event log behind this door


@pytest.mark.parametrize("route", ["/v1/users/me", "/v1/users", "/v1/keys", "/openapi.json", "/docs", "/v1/nothing"])
async def test_a_write_key_does_nothing_but_send_events(door: Door, route: str) -> None:
    assert (await door.http.get(route, headers=basic(door.keys["write"]))).status_code == 403


async def test_basic_takes_nothing_but_a_write_key_without_a_password(door: Door) -> None:
    wrong = [
        basic(door.keys["write"], "password"), basic(door.keys["api"]), basic("admin", PASSWORD), basic(""),
        {"Authorization": "Basic !!!"}, {"Authorization": "Basic"}, {"Authorization": "Digest x"},
    ]  # fmt: skip
    for headers in wrong:
        assert (await door.http.get("/health", headers=headers)).status_code == 401, headers


async def test_several_credentials_at_once_are_refused_even_if_each_is_good(door: Door) -> None:
    good = door.bearer(Role.ADMIN)["Authorization"]
    for headers in (
        [("Authorization", good), ("X-API-Key", door.keys["api"])],
        [("Authorization", good), ("Authorization", good)],
        [("X-API-Key", door.keys["api"]), ("X-API-Key", door.keys["api"])],
    ):
        answer = await door.http.get("/health", headers=headers)
        assert answer.status_code == 401
        assert "one credential" in answer.json()["detail"]


async def test_a_key_that_expires_is_refused_from_then_on(tmp_path: Any, door: Door) -> None:
    soon = door.users[Role.ADMIN].created_ms + 3_600_000
    _, secret = await door.identity.keys.create(
        door.users[Role.ADMIN].id, NewKey(KeyKind.API, "short", None, None, soon), SYSTEM, within=frozenset(Scope)
    )
    assert (await door.http.get("/v1/users/me", headers={"X-API-Key": secret})).status_code == 200
    door.identity.principals._now_ms = lambda: soon
    door.identity.principals.forget()
    assert (await door.http.get("/v1/users/me", headers={"X-API-Key": secret})).status_code == 401


async def test_a_key_loses_what_its_owners_role_loses(door: Door) -> None:
    engineer = door.users[Role.ENGINEER]
    _, secret = await door.identity.keys.create(
        engineer.id, NewKey(KeyKind.API, "pipelines"), SYSTEM, within=frozenset(Scope)
    )
    headers = {"X-API-Key": secret}
    assert "pipelines:operate" in (await door.http.get("/v1/users/me", headers=headers)).json()["data"]["scopes"]
    await door.identity.users.change(engineer.id, SYSTEM, role=Role.VIEWER)
    assert "pipelines:operate" not in (await door.http.get("/v1/users/me", headers=headers)).json()["data"]["scopes"]


async def test_secrets_are_stored_as_hashes_only(door: Door) -> None:
    secrets = [*door.keys.values(), PASSWORD, *(pair.refresh_token for pair in door.log_ins.values())]
    raw = door.identity.database.sqlite_path.read_bytes()
    wal = door.identity.database.sqlite_path.with_name("identity.sqlite-wal").read_bytes()
    assert not [secret for secret in secrets if secret.encode() in raw + wal]
    async with door.identity.database.reading() as session:
        assert {len(key.secret_hash) for key in await session.scalars(select(ApiKey))} == {32}
        assert {len(token.secret_hash) for token in await session.scalars(select(RefreshToken))} == {32}
        for user in await session.scalars(select(User)):
            assert str(user.password_hash).startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_refusals_are_logged_and_audited_with_who_when_and_what(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    await door.http.get("/v1/users", headers={"X-Request-ID": "nobody-1"})
    await door.http.get("/v1/users", headers={**door.bearer(Role.VIEWER), "X-Request-ID": "viewer-1"})
    first, second = (vars(record) for record in caplog.records if record.message == "Caller refused")
    assert (first["request_id"], first["status"], first["principal"]) == ("nobody-1", 401, "anonymous")
    viewer = door.users[Role.VIEWER].id
    assert (second["request_id"], second["status"], second["principal"]) == ("viewer-1", 403, viewer)
    nobody, known = await door.audited("access")
    assert (nobody["actor"], nobody["status"], nobody["path"]) == ("anonymous", 401, "/v1/users")
    assert (known["actor"], known["status"], known["method"]) == (viewer, 403, "GET")
    assert known["outcome"] == "refused"


async def test_a_flood_of_refusals_fills_the_audit_log_up_to_its_bound_and_is_counted(door: Door) -> None:
    for _ in range(60):
        await door.http.get("/v1/users")
    assert len(await door.audited("access")) == 20
    door.identity.audit._close_windows(float("inf"))
    *_, last = await door.audited("access")
    assert (last["actor"], last["more"]) == ("many", 40)


async def test_the_database_gone_is_503_for_credentials_and_nothing_for_public_routes(door: Door) -> None:
    await door.identity.database.close()
    path = door.identity.database.sqlite_path
    path.rename(path.with_suffix(".away"))
    path.mkdir()
    try:
        answer = await door.http.get("/v1/users/me", headers={"X-API-Key": "ak_" + "x" * 43})
        assert answer.status_code == 503
        assert "retry-after" in answer.headers
        assert (await door.http.get("/health")).status_code == 200
        assert (await door.http.get("/v1/users/me")).status_code == 401
    finally:
        path.rmdir()
        path.with_suffix(".away").rename(path)


async def test_a_fresh_platform_has_no_account_at_all(serve: Any, unreachable: Settings) -> None:
    """No configuration has a default account (security.md 17)."""
    app = create_app(unreachable)
    async with app.router.lifespan_context(app):
        assert await app.state.identity.users.page(None, 10) == []
        assert await app.state.identity.keys.page(None, 10, owner_id=None) == []
