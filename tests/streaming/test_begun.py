"""A coroutine goes as far as it can without a task, and on from there in whichever task awaits it."""

import asyncio

import pytest

from streaming.begun import Begun


async def doubled(number: int) -> int:
    return 2 * number


async def doubled_later(number: "asyncio.Future[int]") -> int:
    await asyncio.sleep(0)
    return 2 * await number


def test_coroutine_that_need_not_wait_is_over_at_once() -> None:
    """No event loop has a part in it."""
    assert Begun(doubled(21)).results == [42]


def test_error_of_the_first_step_is_the_callers() -> None:
    """As it would be of a call."""

    async def refuse() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        Begun(refuse())


def test_coroutine_that_waits_goes_on_where_it_is_awaited() -> None:
    """With what it has waited for, and more than once."""

    async def run() -> tuple[list[int], int, list[int]]:
        number: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        begun = Begun(doubled_later(number))
        before = list(begun.results)
        asyncio.get_running_loop().call_soon(number.set_result, 4)
        return before, await begun, begun.results

    assert asyncio.run(run()) == ([], 8, [8])


def test_what_it_waits_for_may_fail() -> None:
    """The error comes to where the coroutine waits, which may have an answer to it."""

    async def or_zero(number: "asyncio.Future[int]") -> int:
        try:
            return await number
        except LookupError:
            return 0

    async def run() -> int:
        number: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        begun = Begun(or_zero(number))
        number.set_exception(LookupError())
        return await begun

    assert asyncio.run(run()) == 0


def test_cancellation_reaches_the_coroutine() -> None:
    """What it holds is let go of there, before the task ends as cancelled."""
    seen: list[str] = []

    async def hold() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("let go")

    async def run() -> None:
        begun = Begun(hold())
        task = asyncio.ensure_future(begun)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert seen == ["let go"]
