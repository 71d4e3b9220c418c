"""/v1/users."""

import pytest

from platform_assets.contracts.access import Role
from tests.api.security.conftest import PASSWORD, Door, door

__all__ = ["door"]

SHOWN = {"id", "name", "kind", "role", "is_active", "created_at"}
NEW = {"name": "grace", "role": "analyst", "password": "nanoseconds are short"}


async def test_an_administrator_adds_a_user_who_can_log_in(door: Door) -> None:
    added = await door.http.post("/v1/users", headers=door.bearer(Role.ADMIN), json=NEW)
    assert added.status_code == 201
    assert set(added.json()["data"]) == SHOWN
    answer = await door.http.post("/v1/tokens", json={"username": "Grace", "password": NEW["password"]})
    assert answer.status_code == 200
    *_, entry = await door.audited("user.created")
    assert (entry["actor"], entry["name"]) == (door.users[Role.ADMIN].id, "grace")


async def test_answers_hold_no_hash_and_no_password(door: Door) -> None:
    """Fields are allow-listed (security.md 13)."""
    admin = door.bearer(Role.ADMIN)
    one = f"/v1/users/{door.users[Role.VIEWER].id}"
    texts = [
        (await door.http.get("/v1/users", headers=admin)).text,
        (await door.http.get(one, headers=admin)).text,
        (await door.http.patch(one, headers=admin, json={"password": "another long password"})).text,
        (await door.http.get("/v1/users/me", headers=admin)).text,
    ]
    assert not [text for text in texts if "argon2" in text or "hash" in text or "password" in text.lower()]


async def test_a_list_comes_in_pages_that_miss_and_repeat_nobody(door: Door) -> None:
    seen: list[str] = []
    cursor: str | None = None
    while True:
        asked = {"limit": "3"} | ({"cursor": cursor} if cursor else {})
        page = (await door.http.get("/v1/users", headers=door.bearer(Role.ADMIN), params=asked)).json()["data"]
        seen += [user["name"] for user in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert sorted(seen) == sorted(role.value for role in Role)


@pytest.mark.parametrize("params", [{"limit": "0"}, {"limit": "101"}, {"cursor": "1; DROP TABLE users"}])
async def test_a_page_of_another_form_is_refused(door: Door, params: dict[str, str]) -> None:
    assert (await door.http.get("/v1/users", headers=door.bearer(Role.ADMIN), params=params)).status_code == 422


@pytest.mark.parametrize(
    "extra", [{"id": "usr_1"}, {"is_active": False}, {"password_hash": "x"}, {"scopes": ["users:manage"]}]
)
async def test_fields_that_nobody_may_set_are_refused(door: Door, extra: dict[str, object]) -> None:
    answer = await door.http.post("/v1/users", headers=door.bearer(Role.ADMIN), json=NEW | extra)
    assert answer.status_code == 422


async def test_nobody_gives_themselves_a_role(door: Door) -> None:
    """Mass assignment (security.md 12): neither beside the password nor by way of the administrator's route."""
    viewer = door.bearer(Role.VIEWER)
    passwords = {"current_password": PASSWORD, "new_password": "another long password"}
    assert (
        await door.http.patch("/v1/users/me", headers=viewer, json=passwords | {"role": "admin"})
    ).status_code == 422
    own = f"/v1/users/{door.users[Role.VIEWER].id}"
    assert (await door.http.patch(own, headers=viewer, json={"role": "admin"})).status_code == 403
    assert (await door.http.get("/v1/users/me", headers=viewer)).json()["data"]["role"] == "viewer"


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"name": "Admin"}, 409),
        ({"name": "../etc"}, 422),
        ({"password": "short"}, 422),
        ({"password": "grace is my name"}, 422),
        ({"password": None}, 422),
        ({"kind": "service"}, 422),
        ({"role": "owner"}, 422),
    ],
)
async def test_an_account_that_will_not_do_is_refused(door: Door, changed: dict[str, object], status: int) -> None:
    answer = await door.http.post("/v1/users", headers=door.bearer(Role.ADMIN), json=NEW | changed)
    assert answer.status_code == status
    assert "nanoseconds" not in answer.text


async def test_the_last_administrator_stays(door: Door) -> None:
    admin, own = door.bearer(Role.ADMIN), f"/v1/users/{door.users[Role.ADMIN].id}"
    assert (await door.http.patch(own, headers=admin, json={"role": "viewer"})).status_code == 409
    assert (await door.http.delete(own, headers=admin)).status_code == 409
    await door.http.post("/v1/users", headers=admin, json=NEW | {"role": "admin"})
    assert (await door.http.delete(own, headers=admin)).status_code == 200


async def test_a_changed_password_does_not_contain_the_users_name_either(door: Door) -> None:
    viewer = door.bearer(Role.VIEWER)
    asked = {"current_password": PASSWORD, "new_password": "the Viewer's own words"}
    assert (await door.http.patch("/v1/users/me", headers=viewer, json=asked)).status_code == 422


async def test_a_changed_password_ends_every_log_in(door: Door) -> None:
    viewer = door.bearer(Role.VIEWER)
    wrong = {"current_password": "not this", "new_password": "another long password"}
    assert (await door.http.patch("/v1/users/me", headers=viewer, json=wrong)).status_code == 401
    right = wrong | {"current_password": PASSWORD}
    assert (await door.http.patch("/v1/users/me", headers=viewer, json=right)).status_code == 200
    assert (await door.http.get("/v1/users/me", headers=viewer)).status_code == 401
    for password, status in ((PASSWORD, 401), ("another long password", 200)):
        answer = await door.http.post("/v1/tokens", json={"username": "viewer", "password": password})
        assert answer.status_code == status


async def test_the_current_password_cannot_be_guessed_without_end(door: Door) -> None:
    asked = {"current_password": "not this", "new_password": "another long password"}
    statuses = [
        (await door.http.patch("/v1/users/me", headers=door.bearer(Role.VIEWER), json=asked)).status_code
        for _ in range(6)
    ]
    assert statuses == [401] * 5 + [429]


async def test_a_key_changes_no_password(door: Door) -> None:
    asked = {"current_password": PASSWORD, "new_password": "another long password"}
    answer = await door.http.patch("/v1/users/me", headers={"X-API-Key": door.keys["api"]}, json=asked)
    assert answer.status_code == 403


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_an_unknown_user_is_404(door: Door, method: str) -> None:
    path = "/v1/users/usr_0123456789abcdef0123456789ab"
    answer = await door.http.request(method, path, headers=door.bearer(Role.ADMIN), json={})
    assert answer.status_code == 404
