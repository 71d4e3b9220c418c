"""The rule for a developer's own machine."""

from pathlib import Path
from typing import Any

import pytest

from resources.settings import ApiSettings, Auth, Settings

LOOPBACK = ["127.0.0.1", "::1", "::ffff:127.0.0.1"]


@pytest.mark.parametrize("address", LOOPBACK)
async def test_a_caller_from_this_machine_is_the_local_developer(
    serve: Any, unreachable: Settings, address: str
) -> None:
    async with serve(unreachable, client=(address, 1)) as api:
        answer = await api.get("/v1/users/me")
    assert answer.json()["data"]["name"] == "local-developer"


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
async def test_a_caller_behind_a_proxy_is_not_the_local_developer(
    serve: Any, unreachable: Settings, header: str
) -> None:
    async with serve(unreachable) as api:
        assert (await api.get("/v1/users/me", headers={header: "127.0.0.1"})).status_code == 401


async def test_a_caller_from_elsewhere_is_nobody(serve: Any, unreachable: Settings) -> None:
    async with serve(unreachable, client=("192.0.2.7", 1)) as api:
        assert (await api.get("/v1/users/me")).status_code == 401


async def test_a_bad_credential_is_not_the_local_developer(serve: Any, unreachable: Settings) -> None:
    async with serve(unreachable) as api:
        assert (await api.get("/v1/users/me", headers={"X-API-Key": "ak_wrong"})).status_code == 401


async def test_the_strict_mode_knows_no_local_developer(serve: Any, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, api=ApiSettings(auth=Auth.REQUIRED))
    async with serve(settings) as api:
        assert (await api.get("/v1/users/me")).status_code == 401
        assert (await api.get("/health")).status_code == 200


async def test_the_local_developer_manages_neither_users_nor_keys(serve: Any, unreachable: Settings) -> None:
    async with serve(unreachable) as api:
        assert (await api.get("/v1/users")).status_code == 403
        made = await api.post("/v1/keys", json={"name": "mine"})
        listed = await api.get("/v1/keys")
    assert made.status_code == 403
    assert "analytics keys create" in made.json()["detail"]
    assert listed.json()["data"]["items"] == []
