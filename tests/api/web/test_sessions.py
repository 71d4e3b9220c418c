"""Sessions over a real identity database."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from api.web.cookies import Shown
from api.web.sessions import Sessions
from platform_assets.contracts.access import Role
from resources.identity.actor import SYSTEM
from resources.identity.errors import WrongCredentials
from resources.identity.service import Identity
from resources.identity.users import UserKind
from resources.settings import Settings

PASSWORD = "a password of many words"


@pytest_asyncio.fixture
async def identity(tmp_path: Path) -> AsyncIterator[Identity]:
    """A fresh database with the viewer ada."""
    found = Identity(Settings(data_dir=tmp_path))
    await found.start()
    await found.users.create("ada", Role.VIEWER, UserKind.USER, PASSWORD, SYSTEM)
    yield found
    await found.stop()


@pytest.fixture
def sessions(identity: Identity) -> Sessions:
    """Sessions of that database."""
    return Sessions(identity.log_ins, identity.principals)


NOTHING = Shown(None, None)


async def test_session_is_the_user_who_logged_in(sessions: Sessions) -> None:
    pair = await sessions.begin("ada", PASSWORD, NOTHING, SYSTEM)
    found = await sessions.find(Shown(pair.access_token, pair.refresh_token), SYSTEM)
    assert found is not None
    assert (found.principal.name, found.principal.role, found.renewed) == ("ada", Role.VIEWER, None)


async def test_session_goes_on_when_its_access_token_has_run_out(sessions: Sessions) -> None:
    """A page's twenty requests side by side renew it once, and none is taken for a thief."""
    pair = await sessions.begin("ada", PASSWORD, NOTHING, SYSTEM)
    shown = Shown(None, pair.refresh_token)
    found = await asyncio.gather(*(sessions.find(shown, SYSTEM) for _ in range(20)))
    renewed = {session.renewed for session in found if session is not None}
    assert len(renewed) == 1
    fresh = renewed.pop()
    assert fresh is not None
    assert await sessions.find(Shown(fresh.access_token, fresh.refresh_token), SYSTEM) is not None


async def test_ended_session_is_none_at_once(sessions: Sessions) -> None:
    pair = await sessions.begin("ada", PASSWORD, NOTHING, SYSTEM)
    shown = Shown(pair.access_token, pair.refresh_token)
    assert await sessions.find(shown, SYSTEM) is not None
    await sessions.end(shown, SYSTEM)
    assert await sessions.find(shown, SYSTEM) is None


async def test_session_that_was_just_renewed_ends_with_the_token_before(sessions: Sessions) -> None:
    """The pair that is kept for late requests does not outlive the log-out."""
    pair = await sessions.begin("ada", PASSWORD, NOTHING, SYSTEM)
    renewed = await sessions.find(Shown(None, pair.refresh_token), SYSTEM)
    assert renewed is not None
    assert renewed.renewed is not None
    await sessions.end(Shown(None, renewed.renewed.refresh_token), SYSTEM)
    assert await sessions.find(Shown(None, pair.refresh_token), SYSTEM) is None


async def test_new_log_in_ends_the_session_before(sessions: Sessions) -> None:
    first = await sessions.begin("ada", PASSWORD, NOTHING, SYSTEM)
    shown = Shown(first.access_token, first.refresh_token)
    await sessions.begin("ada", PASSWORD, shown, SYSTEM)
    assert await sessions.find(shown, SYSTEM) is None


@pytest.mark.parametrize("token", ["", "x", "refresh_x", "é"])
async def test_made_up_tokens_are_no_session(sessions: Sessions, token: str) -> None:
    assert await sessions.find(Shown(token, token), SYSTEM) is None


async def test_wrong_password_begins_nothing(sessions: Sessions) -> None:
    with pytest.raises(WrongCredentials):
        await sessions.begin("ada", "another password", NOTHING, SYSTEM)
