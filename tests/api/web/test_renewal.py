"""A refresh token is traded once, however many requests show it."""

import asyncio

import pytest

from api.web.renewal import KEPT_S, Renewals
from resources.identity.errors import WrongCredentials
from resources.identity.log_ins import TokenPair


class Trade:
    """Counts how often a token was traded."""

    def __init__(self, error: Exception | None = None) -> None:
        self.times = 0
        self._error = error

    async def __call__(self) -> TokenPair:
        self.times += 1
        await asyncio.sleep(0)
        if self._error is not None:
            raise self._error
        return TokenPair(f"access-{self.times}", f"refresh-{self.times}", 600, 0, "user")


async def test_requests_side_by_side_get_one_pair() -> None:
    renewals, trade = Renewals(), Trade()
    pairs = await asyncio.gather(*(renewals.renew("old", trade) for _ in range(20)))
    assert trade.times == 1
    assert set(pairs) == {pairs[0]}


async def test_request_that_was_under_way_gets_the_pair_for_a_while() -> None:
    now = 0.0
    renewals, trade = Renewals(lambda: now), Trade()
    first = await renewals.renew("old", trade)
    now = KEPT_S - 1
    assert await renewals.renew("old", trade) == first
    now = KEPT_S + 1
    await renewals.renew("old", trade)
    assert trade.times == 2


async def test_other_token_is_traded_by_itself() -> None:
    renewals, trade = Renewals(), Trade()
    assert await renewals.renew("one", trade) != await renewals.renew("two", trade)


async def test_refused_token_is_refused_to_all_and_asked_for_anew_later() -> None:
    renewals, trade = Renewals(), Trade(WrongCredentials("not valid"))
    found = await asyncio.gather(*(renewals.renew("old", trade) for _ in range(3)), return_exceptions=True)
    assert trade.times == 1
    assert all(isinstance(error, WrongCredentials) for error in found)
    with pytest.raises(WrongCredentials):
        await renewals.renew("old", trade)
    assert trade.times == 2


async def test_request_that_ends_early_does_not_end_the_others_wait() -> None:
    renewals, trade = Renewals(), Trade()
    first = asyncio.ensure_future(renewals.renew("old", trade))
    second = asyncio.ensure_future(renewals.renew("old", trade))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).access_token == "access-1"
    assert trade.times == 1
