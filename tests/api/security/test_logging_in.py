"""Guessing passwords: the same answer after the same time, slowed down, and on record (security.md 14, 15)."""

import statistics
import time

import httpx

from platform_assets.contracts.access import Role
from resources.identity.actor import SYSTEM
from resources.identity.throttle import PER_ACCOUNT_AND_ADDRESS, PER_ADDRESS
from resources.identity.users import UserKind
from tests.api.security.conftest import PASSWORD, Door


async def log_in(door: Door, name: str, password: str) -> httpx.Response:
    return await door.http.post("/v1/tokens", json={"username": name, "password": password})


def told(response: httpx.Response) -> dict[str, object]:
    return {name: value for name, value in response.json().items() if name != "request_id"}


async def test_unknown_closed_and_service_accounts_look_like_a_wrong_password(door: Door) -> None:
    await door.identity.users.change(door.users[Role.ANALYST].id, SYSTEM, is_active=False)
    await door.identity.users.create("robot", Role.VIEWER, UserKind.SERVICE, None, SYSTEM)
    answers = [
        await log_in(door, "viewer", "not the password"),
        await log_in(door, "nobody", PASSWORD),
        await log_in(door, "analyst", PASSWORD),
        await log_in(door, "robot", PASSWORD),
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert all(told(answer) == told(answers[0]) for answer in answers)
    assert [set(answer.headers) for answer in answers] == [set(answers[0].headers)] * 4


async def test_an_unknown_user_takes_as_long_as_a_wrong_password(door: Door) -> None:
    """Medians of fifteen each, taken in turns so that a busy machine slows both."""
    taken: dict[str, list[float]] = {"viewer": [], "nobody": []}
    for turn in range(15):
        for name, times in taken.items():
            async with door.identity.database.writing() as session:
                from sqlalchemy import delete

                from resources.identity.models import LogInAttempts

                await session.execute(delete(LogInAttempts))
            started = time.perf_counter()
            assert (await log_in(door, name, f"wrong password {turn}")).status_code == 401
            times.append(time.perf_counter() - started)
    ratio = statistics.median(taken["viewer"]) / statistics.median(taken["nobody"])
    assert 0.75 < ratio < 1.33
    assert statistics.median(taken["nobody"]) > 0.01  # argon2 was really run


async def test_log_ins_are_limited_by_account_and_address_with_retry_after(door: Door) -> None:
    for _ in range(PER_ACCOUNT_AND_ADDRESS):
        assert (await log_in(door, "viewer", "not the password")).status_code == 401
    refused = await log_in(door, "VIEWER", PASSWORD)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 300
    # Others still come in, and a refresh is no guess.
    assert (await log_in(door, "analyst", PASSWORD)).status_code == 200
    assert len(await door.audited("log-in.failed")) == PER_ACCOUNT_AND_ADDRESS
    (throttled,) = await door.audited("log-in.throttled")
    assert (throttled["name"], throttled["address"]) == ("viewer", "192.0.2.7")


async def test_an_unknown_account_is_limited_like_a_known_one(door: Door) -> None:
    statuses = [(await log_in(door, "nobody", "x")).status_code for _ in range(PER_ACCOUNT_AND_ADDRESS + 1)]
    assert statuses == [401] * PER_ACCOUNT_AND_ADDRESS + [429]


async def test_many_accounts_from_one_address_are_limited(door: Door) -> None:
    statuses = [(await log_in(door, f"user-{number}", "x")).status_code for number in range(PER_ADDRESS + 1)]
    assert statuses == [401] * PER_ADDRESS + [429]


async def test_logging_in_well_is_not_counted(door: Door) -> None:
    statuses = {(await log_in(door, "viewer", PASSWORD)).status_code for _ in range(PER_ACCOUNT_AND_ADDRESS * 2)}
    assert statuses == {200}


async def test_log_ins_are_audited_with_user_and_address(door: Door) -> None:
    await log_in(door, "viewer", PASSWORD)
    await log_in(door, "viewer", "not the password")
    *_, entered = await door.audited("log-in")
    assert (entered["actor"], entered["address"]) == (door.users[Role.VIEWER].id, "192.0.2.7")
    (failed,) = await door.audited("log-in.failed")
    assert (failed["subject"], failed["name"], failed["outcome"]) == (door.users[Role.VIEWER].id, "viewer", "refused")
    assert "not the password" not in str(failed)
