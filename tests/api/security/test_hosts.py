"""Requests that were meant for another host."""

from pathlib import Path
from typing import Any

import pytest

from resources.settings import ApiSettings, Settings


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8000", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("evil.example", 400),
        ("localhost.evil.example", 400),
        ("evil.example:localhost", 400),
        ("localhost@evil.example", 400),
        ("127.0.0.1.evil.example:8000", 400),
        ("", 400),
    ],
)
async def test_only_a_loopback_host_is_served(serve: Any, unreachable: Settings, host: str, status: int) -> None:
    async with serve(unreachable) as api:
        response = await api.get("/health", headers={"host": host})
    assert response.status_code == status


async def test_allowed_hosts_take_the_place_of_this_machines_names(serve: Any, tmp_path: Path) -> None:
    async with serve(Settings(data_dir=tmp_path, api=ApiSettings(allowed_hosts=("api.example",)))) as api:
        assert (await api.get("/health", headers={"host": "API.example:443"})).status_code == 200
        assert (await api.get("/health", headers={"host": "localhost"})).status_code == 400
