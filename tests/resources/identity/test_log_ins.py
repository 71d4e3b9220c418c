"""Log-ins and their refresh tokens."""

import asyncio

import pytest
from sqlalchemy import func, select

from resources.identity.actor import Actor
from resources.identity.errors import Busy, TooManyAttempts, WrongCredentials
from resources.identity.log_ins import LOG_IN_S
from resources.identity.models import LogIn, LogInAttempts, RefreshToken
from resources.identity.passwords import MAX_WAITING
from resources.identity.service import Identity
from resources.identity.throttle import PER_ACCOUNT, PER_ACCOUNT_AND_ADDRESS, WINDOW_S
from tests.resources.identity.conftest import BY, PASSWORD, Clock, add


async def test_a_refresh_token_works_once_and_a_copy_ends_the_log_in(identity: Identity) -> None:
    await add(identity)
    first = await identity.log_ins.begin("ada", PASSWORD, BY)
    second = await identity.log_ins.refresh(first.refresh_token, BY)
    with pytest.raises(WrongCredentials):
        await identity.log_ins.refresh(first.refresh_token, BY)
    with pytest.raises(WrongCredentials):
        await identity.log_ins.refresh(second.refresh_token, BY)


async def test_of_two_refreshes_at_once_one_wins_and_the_log_in_ends(identity: Identity) -> None:
    await add(identity)
    pair = await identity.log_ins.begin("ada", PASSWORD, BY)
    results = await asyncio.gather(
        *(identity.log_ins.refresh(pair.refresh_token, BY) for _ in range(2)), return_exceptions=True
    )
    (won,) = [result for result in results if not isinstance(result, BaseException)]
    with pytest.raises(WrongCredentials):
        await identity.log_ins.refresh(won.refresh_token, BY)


async def test_a_log_in_ends_after_fourteen_days_however_often_it_was_refreshed(
    identity: Identity, clock: Clock
) -> None:
    await add(identity)
    pair = await identity.log_ins.begin("ada", PASSWORD, BY)
    clock.advance(LOG_IN_S - 1)
    pair = await identity.log_ins.refresh(pair.refresh_token, BY)
    clock.advance(1)
    with pytest.raises(WrongCredentials):
        await identity.log_ins.refresh(pair.refresh_token, BY)


async def test_log_ins_that_are_over_are_forgotten(identity: Identity, clock: Clock) -> None:
    await add(identity)
    pair = await identity.log_ins.begin("ada", PASSWORD, BY)
    await identity.log_ins.refresh(pair.refresh_token, BY)
    clock.advance(LOG_IN_S + 2 * 24 * 3600)
    await identity.log_ins.begin("ada", PASSWORD, BY)
    async with identity.database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(LogIn)) == 1
        assert await session.scalar(select(func.count()).select_from(RefreshToken)) == 1


async def test_attempts_made_at_once_do_not_exceed_the_limit(identity: Identity) -> None:
    await add(identity)
    results = await asyncio.gather(
        *(identity.log_ins.begin("ada", "not the password", BY) for _ in range(12)), return_exceptions=True
    )
    assert sum(isinstance(result, WrongCredentials) for result in results) == PER_ACCOUNT_AND_ADDRESS
    assert sum(isinstance(result, TooManyAttempts) for result in results) == 12 - PER_ACCOUNT_AND_ADDRESS


async def test_attempts_are_forgotten_after_the_window(identity: Identity, clock: Clock) -> None:
    for _ in range(PER_ACCOUNT_AND_ADDRESS):
        await identity.throttle.attempt("ada", "192.0.2.1")
    with pytest.raises(TooManyAttempts) as refused:
        await identity.throttle.attempt("ada", "192.0.2.1")
    assert refused.value.retry_after_s == WINDOW_S
    clock.advance(WINDOW_S)
    await identity.throttle.attempt("ada", "192.0.2.1")
    async with identity.database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(LogInAttempts)) == 3


async def test_one_account_from_many_addresses_is_limited(identity: Identity) -> None:
    for number in range(PER_ACCOUNT):
        await identity.throttle.attempt("ada", f"198.51.100.{number}")
    with pytest.raises(TooManyAttempts):
        await identity.throttle.attempt("ada", "203.0.113.1")
    await identity.throttle.attempt("grace", "203.0.113.1")


async def test_a_flood_of_log_ins_is_turned_away_before_it_takes_memory(identity: Identity) -> None:
    await add(identity)
    results = await asyncio.gather(
        *(identity.log_ins.begin(f"user{n}", "x", Actor("a", f"2001:db8::{n:x}")) for n in range(MAX_WAITING + 20)),
        return_exceptions=True,
    )
    assert all(isinstance(result, WrongCredentials | Busy) for result in results)
