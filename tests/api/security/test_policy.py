"""The policy table and its enforcement: every route of OpenAPI, asked by everybody there is."""

from collections.abc import Iterator

import pytest
from fastapi.routing import iter_route_contexts

from api.main import create_app
from api.security.policy import POLICY, Access, access_to
from platform_assets.contracts.access import ROLE_SCOPES, WRITE_KEY_SCOPES, Role, Scope
from resources.settings import Settings
from tests.api.security.conftest import Door

_EXAMPLES = {
    "model": "churn", "entity": "1", "name": "favicon.png", "event_name": "page_viewed", "version": "1",
    "asset": "marts.fct_orders",
    "user_id": "usr_0123456789abcdef0123456789ab", "key_id": "key_0123456789abcdef0123456789ab",
}  # fmt: skip
_CALLERS = ["anonymous", *(role.value for role in Role), "api key", "write key"]
# What a caller without an own scope may do is what the table says of its scopes.
_SCOPES: dict[str, frozenset[Scope]] = {
    **{role.value: ROLE_SCOPES[role] for role in Role},
    "api key": ROLE_SCOPES[Role.VIEWER],
    "write key": WRITE_KEY_SCOPES,
}
# In by the table and then perhaps refused by the route: nginx's question is what the route answers, and only a user who
# logged in has a password to change.
_DECIDES_ITSELF = {"/auth/check", "/v1/users/me"}


def routes_of(settings: Settings) -> Iterator[tuple[str, str]]:
    for route in iter_route_contexts(create_app(settings).routes):
        for method in route.methods or ():
            if method != "HEAD":
                yield method, str(route.path)


def test_policy_names_every_route_and_no_other(unreachable: Settings) -> None:
    assert sorted(routes_of(unreachable)) == sorted(POLICY)


def test_policy_wants_an_identity_for_what_it_does_not_know() -> None:
    assert access_to("GET", "/v1/secrets") is Access.IDENTIFIED
    assert access_to("DELETE", "/health") is Access.IDENTIFIED
    assert access_to("HEAD", "/health") is Access.ANYONE


def test_a_path_without_parameters_is_found_before_one_that_matches_it_too() -> None:
    assert access_to("GET", "/v1/users/me") is Access.IDENTIFIED
    assert access_to("GET", "/v1/users/usr_1") is Scope.USERS_MANAGE


def expected(caller: str, access: Access | Scope) -> str:
    """What the table says: in, 401 or 403."""
    if access is Access.ANYONE:
        return "in"
    if caller == "anonymous":
        return "401"
    if isinstance(access, Scope):
        return "in" if access in _SCOPES[caller] else "403"
    return "403" if caller == "write key" else "in"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("caller", _CALLERS)
async def test_every_route_is_open_to_those_whom_the_table_names(shared_door: Door, caller: str) -> None:
    """The document is the served one, so a route that the table does not have fails here as well."""
    if caller == "anonymous":
        headers = {}
    elif caller.endswith("key"):
        headers = {"X-API-Key": shared_door.keys[caller.split(maxsplit=1)[0]]}
    else:
        headers = shared_door.bearer(Role(caller))
    document = shared_door.app.openapi()
    documented = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert documented <= set(POLICY)
    wrong = []
    for method, path in POLICY:
        asked = path.format(**_EXAMPLES)
        response = await shared_door.http.request(method, asked, headers=headers, content=b"{")
        kind = response.json().get("type", "") if "json" in response.headers.get("content-type", "") else ""
        if response.status_code == 401 and kind.endswith(":unauthorized"):
            found = "401"
        elif response.status_code == 403 and kind.endswith(":forbidden"):
            found = "403"
        else:
            found = "in"
        if found != "in" and (path in _DECIDES_ITSELF and expected(caller, POLICY[method, path]) == "in"):
            continue
        if found != expected(caller, POLICY[method, path]):
            wrong.append((method, path, response.status_code, kind))
    assert wrong == []


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
async def test_a_bad_credential_is_refused_on_every_route(
    shared_door: Door, caplog: pytest.LogCaptureFixture, header: str
) -> None:
    for method, path in POLICY:
        response = await shared_door.http.request(
            method, path.format(**_EXAMPLES), headers={header: "s3cret"}, content=b"{"
        )
        assert response.status_code == 401, (method, path)
        assert response.headers["www-authenticate"].startswith("Bearer")
        assert response.json()["type"].endswith("unauthorized")
    assert "s3cret" not in str([vars(record) for record in caplog.records])
    assert sum(record.message == "Caller refused" for record in caplog.records) == len(POLICY)


@pytest.mark.asyncio(loop_scope="module")
async def test_an_unknown_route_is_401_for_strangers_and_404_for_users(shared_door: Door) -> None:
    assert (await shared_door.http.get("/v1/nothing")).status_code == 401
    known = await shared_door.http.get("/v1/nothing", headers=shared_door.bearer(Role.VIEWER))
    assert known.status_code == 404
