"""/v1/keys."""

import datetime as dt
from typing import Any

import pytest

from platform_assets.contracts.access import ROLE_SCOPES, Role
from tests.api.security.conftest import Door, door

__all__ = ["door"]


async def make(door: Door, by: Role, /, **fields: Any) -> Any:
    return await door.http.post("/v1/keys", headers=door.bearer(by), json={"name": "a key"} | fields)


async def test_the_secret_is_shown_once_and_works(door: Door) -> None:
    made = await make(door, Role.ANALYST)
    assert made.status_code == 201
    key = made.json()["data"]
    assert set(key["scopes"]) == {scope.value for scope in ROLE_SCOPES[Role.ANALYST]}
    assert (await door.http.get("/v1/users/me", headers={"X-API-Key": key["secret"]})).status_code == 200
    shown = await door.http.get(f"/v1/keys/{key['id']}", headers=door.bearer(Role.ANALYST))
    listed = await door.http.get("/v1/keys", headers=door.bearer(Role.ANALYST))
    assert key["secret"] not in shown.text + listed.text
    assert "secret" not in shown.json()["data"]


async def test_a_revoked_key_is_refused_at_once_and_stays_listed(door: Door) -> None:
    key = (await make(door, Role.ANALYST)).json()["data"]
    path = f"/v1/keys/{key['id']}"
    assert (await door.http.get("/v1/users/me", headers={"X-API-Key": key["secret"]})).status_code == 200
    first = await door.http.delete(path, headers=door.bearer(Role.ANALYST))
    again = await door.http.delete(path, headers=door.bearer(Role.ANALYST))
    assert first.json()["data"]["revoked_at"] == again.json()["data"]["revoked_at"] is not None
    assert (await door.http.get("/v1/users/me", headers={"X-API-Key": key["secret"]})).status_code == 401
    (entry,) = await door.audited("key.revoked")
    assert (entry["actor"], entry["subject"]) == (door.users[Role.ANALYST].id, key["id"])


async def test_another_owners_key_is_404_like_one_that_is_not(door: Door) -> None:
    """Who may not see it cannot learn that it exists (security.md 11)."""
    key = (await make(door, Role.ENGINEER)).json()["data"]
    for method in ("GET", "DELETE"):
        theirs = await door.http.request(method, f"/v1/keys/{key['id']}", headers=door.bearer(Role.ANALYST))
        none = await door.http.request(
            method, "/v1/keys/key_0123456789abcdef0123456789ab", headers=door.bearer(Role.ANALYST)
        )
        assert theirs.status_code == none.status_code == 404
        assert theirs.json()["detail"] == none.json()["detail"]
    assert (await door.http.get("/v1/keys", headers=door.bearer(Role.ANALYST))).json()["data"]["items"] == []
    assert (await door.http.get(f"/v1/keys/{key['id']}", headers=door.bearer(Role.ADMIN))).status_code == 200


async def test_a_key_holds_no_more_than_its_maker(door: Door) -> None:
    assert (await make(door, Role.VIEWER, scopes=["users:manage"])).status_code == 403
    assert (await make(door, Role.VIEWER, kind="write")).status_code == 403
    assert (await make(door, Role.ENGINEER, kind="write", scopes=["schemas:write"])).status_code == 403
    assert (await make(door, Role.ENGINEER, kind="write")).json()["data"]["scopes"] == ["events:write"]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"role": "admin"}, 422),
        ({"secret": "ak_mine"}, 422),
        ({"created_at": "2020-01-01T00:00:00Z"}, 422),
        ({"owner_id": "ADMIN"}, 403),
        ({"events_per_minute": 10_000_000}, 403),
        ({"expires_at": "2020-01-01T00:00:00Z"}, 422),
        ({"expires_at": "2030-01-01T00:00:00"}, 422),
        ({"name": " "}, 422),
        ({"name": "line\nbreak"}, 422),
        ({"scopes": []}, 422),
    ],
)
async def test_fields_beyond_the_makers_right_are_refused(door: Door, fields: dict[str, Any], status: int) -> None:
    """Mass assignment of role and owner (security.md 12)."""
    if fields.get("owner_id") == "ADMIN":
        fields = {"owner_id": door.users[Role.ADMIN].id}
    assert (await make(door, Role.ENGINEER, **fields)).status_code == status


async def test_an_administrator_makes_a_limited_key_for_a_service_account(door: Door) -> None:
    service = {"name": "shop", "role": "engineer", "kind": "service"}
    owner = (await door.http.post("/v1/users", headers=door.bearer(Role.ADMIN), json=service)).json()["data"]["id"]
    expires = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(days=30)
    made = await make(
        door, Role.ADMIN, owner_id=owner, kind="write", events_per_minute=1000, expires_at=expires.isoformat()
    )
    key = made.json()["data"]
    assert (key["owner_id"], key["events_per_minute"]) == (owner, 1000)
    assert dt.datetime.fromisoformat(key["expires_at"]) == expires
    principal = await door.identity.principals.resolve(key["secret"])
    assert (principal.owner_id, principal.events_per_minute) == (owner, 1000)
    # A closed owner's keys are dead.
    await door.http.delete(f"/v1/users/{owner}", headers=door.bearer(Role.ADMIN))
    assert (await door.http.get("/health", headers={"X-API-Key": key["secret"]})).status_code == 401


async def test_a_key_makes_no_keys(door: Door) -> None:
    answer = await door.http.post("/v1/keys", headers={"X-API-Key": door.keys["api"]}, json={"name": "more"})
    assert answer.status_code == 403


async def test_an_unknown_owner_is_404(door: Door) -> None:
    assert (await make(door, Role.ADMIN, owner_id="usr_0123456789abcdef0123456789ab")).status_code == 404
