"""/v1/tokens and /.well-known/jwks.json."""

import jwt
import pytest

from platform_assets.contracts.access import Role
from tests.api.security.conftest import PASSWORD, Door, door

__all__ = ["door"]


@pytest.mark.parametrize("form", [True, False])
async def test_a_password_buys_a_pair_of_tokens(door: Door, form: bool) -> None:
    fields = {"username": "viewer", "password": PASSWORD, "grant_type": "password"}
    answer = await door.http.post("/v1/tokens", **({"data": fields} if form else {"json": fields}))  # type: ignore[arg-type]
    data = answer.json()["data"]
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert set(data) == {"access_token", "token_type", "expires_in", "refresh_token", "refresh_expires_at"}
    assert jwt.get_unverified_header(data["access_token"]).keys() == {"alg", "typ", "kid"}
    me = await door.http.get("/v1/users/me", headers={"Authorization": f"Bearer {data['access_token']}"})
    assert me.json()["data"]["name"] == "viewer"


async def test_a_refresh_token_buys_the_next_pair_once(door: Door) -> None:
    first = door.log_ins[Role.VIEWER].refresh_token
    second = (await door.http.post("/v1/tokens/refresh", json={"refresh_token": first})).json()["data"]
    third = await door.http.post("/v1/tokens/refresh", json={"refresh_token": second["refresh_token"]})
    assert third.status_code == 200


async def test_a_refresh_token_that_comes_again_ends_the_whole_log_in(door: Door) -> None:
    first = door.log_ins[Role.VIEWER].refresh_token
    second = (await door.http.post("/v1/tokens/refresh", json={"refresh_token": first})).json()["data"]
    assert (await door.http.post("/v1/tokens/refresh", json={"refresh_token": first})).status_code == 401
    renewed = await door.http.post("/v1/tokens/refresh", json={"refresh_token": second["refresh_token"]})
    assert renewed.status_code == 401
    headers = {"Authorization": f"Bearer {second['access_token']}"}
    assert (await door.http.get("/v1/users/me", headers=headers)).status_code == 401
    (entry,) = await door.audited("log-in.refresh-reused")
    assert (entry["actor"], entry["outcome"]) == (door.users[Role.VIEWER].id, "refused")
    # Another log-in of the same user goes on.
    again = await door.http.post("/v1/tokens", json={"username": "viewer", "password": PASSWORD})
    assert again.status_code == 200


async def test_logging_out_ends_the_log_in_and_tells_nothing_of_others(door: Door) -> None:
    token = door.log_ins[Role.VIEWER].refresh_token
    for asked in (token, token, "rt_unknown"):
        assert (await door.http.post("/v1/tokens/revoke", json={"refresh_token": asked})).status_code == 200
    assert (await door.http.post("/v1/tokens/refresh", json={"refresh_token": token})).status_code == 401
    assert len(await door.audited("log-out")) == 1


async def test_a_closed_account_cannot_refresh(door: Door) -> None:
    admin = door.bearer(Role.ADMIN)
    closed = await door.http.delete(f"/v1/users/{door.users[Role.VIEWER].id}", headers=admin)
    assert closed.json()["data"]["is_active"] is False
    asked = {"refresh_token": door.log_ins[Role.VIEWER].refresh_token}
    assert (await door.http.post("/v1/tokens/refresh", json=asked)).status_code == 401


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 422),
        (b'{"username": "viewer"}', "application/json", 422),
        (b'{"username": "viewer", "password": "x", "role": "admin"}', "application/json", 422),
        (b"username=viewer&password=x&scope=all", "application/x-www-form-urlencoded", 422),
        (b"username=viewer&username=admin&password=x", "application/x-www-form-urlencoded", 422),
        (b"\xff=1&&&", "application/x-www-form-urlencoded", 422),
        (b'{"username": "viewer", "username": "admin", "password": "x"}', "application/json", 400),
        (b'{"username": "viewer", "password": NaN}', "application/json", 400),
        (b"username=viewer", "text/plain", 415),
        (b"", "", 415),
    ],
)
async def test_a_log_in_of_another_form_is_refused_without_repeating_it(
    door: Door, content: bytes, kind: str, status: int
) -> None:
    answer = await door.http.post("/v1/tokens", content=content, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert "viewer" not in answer.text


async def test_the_published_keys_have_no_private_part(door: Door) -> None:
    (key,) = (await door.http.get("/.well-known/jwks.json")).json()["keys"]
    assert set(key) == {"kty", "crv", "alg", "use", "kid", "x"}
