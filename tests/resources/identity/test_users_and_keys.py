"""Accounts and keys where several ask at once, and where the route cannot see it."""

import asyncio

import pytest

from platform_assets.contracts.access import Role, Scope
from resources.identity.errors import Conflict, Forbidden, NotFound
from resources.identity.keys import MAX_KEYS_PER_OWNER, KeyKind, NewKey
from resources.identity.service import Identity
from resources.identity.users import UserKind
from tests.resources.identity.conftest import BY, PASSWORD, add

ALL = frozenset(Scope)


async def test_of_two_accounts_of_one_name_made_at_once_one_is_refused(identity: Identity) -> None:
    results = await asyncio.gather(*(add(identity, "ada") for _ in range(2)), return_exceptions=True)
    assert sum(isinstance(result, Conflict) for result in results) == 1


async def test_two_administrators_cannot_close_each_other(identity: Identity) -> None:
    one, two = await add(identity, "ada", Role.ADMIN), await add(identity, "grace", Role.ADMIN)
    results = await asyncio.gather(
        *(identity.users.change(user.id, BY, is_active=False) for user in (one, two)), return_exceptions=True
    )
    assert sum(isinstance(result, Conflict) for result in results) == 1


async def test_a_service_administrator_does_not_count_as_the_last_one(identity: Identity) -> None:
    """Nobody can log in as a service."""
    admin = await add(identity, "ada", Role.ADMIN)
    await identity.users.create("robot", Role.ADMIN, UserKind.SERVICE, None, BY)
    with pytest.raises(Conflict):
        await identity.users.change(admin.id, BY, role=Role.VIEWER)


async def test_a_closed_account_can_be_opened_again_but_its_log_ins_stay_over(identity: Identity) -> None:
    user = await add(identity)
    pair = await identity.log_ins.begin("ada", PASSWORD, BY)
    await identity.users.change(user.id, BY, is_active=False)
    assert (await identity.users.change(user.id, BY, is_active=True)).is_active
    with pytest.raises(Exception, match="not valid any more"):
        await identity.log_ins.refresh(pair.refresh_token, BY)
    assert await identity.log_ins.begin("ada", PASSWORD, BY)


async def test_an_owner_has_a_bounded_number_of_keys(identity: Identity) -> None:
    owner = await add(identity)
    made = [
        (await identity.keys.create(owner.id, NewKey(KeyKind.API, "key"), BY, within=ALL))[0]
        for _ in range(MAX_KEYS_PER_OWNER)
    ]
    with pytest.raises(Conflict, match="at most"):
        await identity.keys.create(owner.id, NewKey(KeyKind.API, "key"), BY, within=ALL)
    await identity.keys.revoke(made[0].id, BY, owner_id=owner.id)
    assert await identity.keys.create(owner.id, NewKey(KeyKind.API, "key"), BY, within=ALL)


async def test_a_key_is_bounded_by_its_maker_and_by_its_owner(identity: Identity) -> None:
    viewer = await add(identity, "ada", Role.VIEWER)
    wanted = NewKey(KeyKind.API, "key", frozenset({Scope.SCHEMAS_WRITE}))
    with pytest.raises(Forbidden):
        await identity.keys.create(viewer.id, wanted, BY, within=ALL)
    engineer = await add(identity, "grace", Role.ENGINEER)
    with pytest.raises(Forbidden):
        await identity.keys.create(engineer.id, wanted, BY, within=frozenset({Scope.KEYS_MANAGE}))


async def test_a_key_of_another_owner_cannot_be_revoked(identity: Identity) -> None:
    owner = await add(identity)
    key, _ = await identity.keys.create(owner.id, NewKey(KeyKind.API, "key"), BY, within=ALL)
    with pytest.raises(NotFound):
        await identity.keys.revoke(key.id, BY, owner_id="usr_other")
