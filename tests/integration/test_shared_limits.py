"""Limits that several processes share, in a real Redis; and what happens while it is down."""

import asyncio
import contextlib
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from starlette.types import Scope

from api.problems import ProblemError
from api.security.rate_limits import RateLimits
from api.security.request_counters import CountersUnavailable, RedisCounters
from resources.settings import ApiSettings, KafkaSettings, LimitsSettings, Settings
from tests.conftest import free_port
from tests.redis_server import RedisServer
from tests.served_api import served_api

pytestmark = pytest.mark.integration

PROCESS = """
import asyncio, sys
from api.security.request_counters import RedisCounters

async def main(url):
    counters = RedisCounters(url, timeout_s=5)
    print(sum([(await counters.add("shared")).used <= 100 for _ in range(60)]))
    await counters.close()

asyncio.run(main(sys.argv[1]))
"""


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A running Redis."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


def request() -> Scope:
    return {
        "type": "http",
        "method": "POST",
        "path": "/anything",
        "client": ("192.0.2.7", 1),
        "headers": [],
        "state": {},
    }


def shared(redis: RedisServer) -> RateLimits:
    return RateLimits(LimitsSettings(storage_url=SecretStr(redis.url)))


def test_processes_together_allow_what_one_alone_would(redis: RedisServer) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", PROCESS, redis.url], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    allowed = [int(process.communicate(timeout=60)[0]) for process in processes]
    assert sum(allowed) == 100


async def test_the_time_of_reset_is_the_same_for_all(redis: RedisServer) -> None:
    first, second = RedisCounters(redis.url), RedisCounters(redis.url)
    began = await first.add("a")
    joined = await second.add("a", 10)
    assert (began.used, joined.used) == (1, 11)
    assert abs(began.resets_in_s - joined.resets_in_s) <= 1.5  # Redis tells whole seconds
    await first.close()
    await second.close()


async def test_without_redis_requests_are_counted_here(redis: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    limits = shared(redis)
    await limits.count_request(request(), None)
    redis.stop()
    caplog.set_level(logging.WARNING)
    started = time.monotonic()
    for _ in range(100):
        await limits.count_request(request(), None)
    assert time.monotonic() - started < 2, "every request waited for Redis"
    with pytest.raises(ProblemError) as too_many:
        await limits.count_request(request(), None)
    assert too_many.value.status_code == 429
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == [
        "Redis does not count requests"
    ]
    assert redis.url not in caplog.text
    await limits.close()


async def test_once_redis_is_back_it_counts_again(redis: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    counters = RedisCounters(redis.url, rest_s=0.1)
    redis.stop()
    with pytest.raises(CountersUnavailable):
        await counters.add("a")
    redis.start()
    caplog.set_level(logging.WARNING)
    deadline = time.monotonic() + 10
    while "Redis counts requests again" not in caplog.text:
        assert time.monotonic() < deadline
        try:
            assert (await counters.add("a")).used >= 1
        except CountersUnavailable:
            await asyncio.sleep(0.05)
    await counters.close()


def test_two_servers_on_one_redis_refuse_the_101st_request_of_an_address(redis: RedisServer, tmp_path: Path) -> None:
    """Whichever of them is asked: together they answer 100 a minute."""
    statuses: list[int] = []
    with contextlib.ExitStack() as servers:
        clients = []
        for name in ("a", "b"):
            server = served_api(
                server_settings(tmp_path / name),
                ANALYTICS_LIMITS__STORAGE_URL=redis.url,
                ANALYTICS_API__AUTH="required",
            )
            clients.append(servers.enter_context(httpx.Client(base_url=servers.enter_context(server))))
        for number in range(120):
            last = clients[number % 2].get("/v1/users/me")
            statuses.append(last.status_code)
        assert all(client.get("/health").status_code == 200 for client in clients)
    assert statuses == [401] * 100 + [429] * 20
    assert 1 <= int(last.headers["retry-after"]) <= 60
    assert last.headers["ratelimit"].startswith('"requests";r=0;t=')


def server_settings(folder: Path) -> Settings:
    """A server without a broker, which this test does not need."""
    return Settings(
        data_dir=folder, api=ApiSettings(port=free_port()), kafka=KafkaSettings(bootstrap_servers="127.0.0.1:1")
    )
