"""The gateway as it runs: nginx, the API in strict mode, and both of Dagster's webservers on one asset."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import httpx

from deployments.gateway.running import running_gateway
from deployments.local.probes import location_is_loaded
from platform_assets.contracts.access import Role
from resources.identity.actor import SYSTEM
from resources.identity.service import Identity
from resources.identity.users import UserKind
from resources.settings import ApiSettings, DagsterSettings, GatewaySettings, KafkaSettings, Settings
from tests.conftest import free_port
from tests.served_api import served_api

PASSWORD = "a password of many words"
ACCESS, REFRESH = "__Host-analytics-access", "__Host-analytics-refresh"

_ONE_ASSET = """
import dagster

@dagster.asset
def orders() -> None:
    pass

defs = dagster.Definitions(assets=[orders])
"""


@dataclass(frozen=True)
class Gateway:
    """A running gateway. Cookies are passed by hand, since a client sends Secure ones over TLS only."""

    settings: Settings

    @property
    def address(self) -> str:
        return self.settings.gateway.address

    def log_in(self, name: str) -> dict[str, str]:
        """The cookies of a new session."""
        form = {"username": name, "password": PASSWORD, "next": "/"}
        headers = {"sec-fetch-site": "same-origin"}
        response = httpx.post(f"{self.address}/login", data=form, headers=headers, timeout=30)
        assert response.status_code == 303, response.text
        return cookies(response)

    def ask(
        self, path: str, kept: dict[str, str] | None = None, /, *, json: Any = None, **headers: str
    ) -> httpx.Response:
        """GET, or POST where there is a body, as one of the UI's own pages would."""
        sent = {"sec-fetch-site": "same-origin"} | {name.replace("_", "-"): value for name, value in headers.items()}
        if kept is not None:
            sent["cookie"] = cookie_header(kept)
        method = "GET" if json is None else "POST"
        return httpx.request(method, f"{self.address}{path}", json=json, headers=sent, timeout=30)

    def graphql(self, query: str, kept: dict[str, str] | None, **headers: str) -> httpx.Response:
        """A query or a mutation."""
        return self.ask("/graphql", kept, json={"query": query}, **headers)

    def change_user(self, name: str, *, role: Role | None = None, is_active: bool | None = None) -> None:
        """As an administrator would, from another process than the API's."""

        async def change(identity: Identity) -> None:
            user = await identity.users.named(name)
            await identity.users.change(user.id, SYSTEM, role=role, is_active=is_active)

        with_identity(self.settings, change)

    def add_user(self, name: str, role: Role) -> None:
        """A user with `PASSWORD`."""

        async def add(identity: Identity) -> None:
            await identity.users.create(name, role, UserKind.USER, PASSWORD, SYSTEM)

        with_identity(self.settings, add)


def with_identity(settings: Settings, act: Any) -> None:
    """Do something to the identity database of these settings."""

    async def run() -> None:
        identity = Identity(settings)
        await identity.start()
        try:
            await act(identity)
        finally:
            await identity.stop()

    asyncio.run(run())


def cookies(response: httpx.Response) -> dict[str, str]:
    """What a browser would keep of an answer."""
    found: dict[str, str] = {}
    for header in response.headers.get_list("set-cookie"):
        found |= {name: morsel.value for name, morsel in SimpleCookie(header).items()}
    return found


def cookie_header(kept: dict[str, str]) -> str:
    """What a browser would send of them."""
    return "; ".join(f"{name}={value}" for name, value in kept.items())


@contextmanager
def gateway(folder: Path) -> Iterator[Gateway]:
    """Start everything; it ends with the block."""
    settings = Settings(
        data_dir=folder,
        api=ApiSettings(port=free_port()),
        kafka=KafkaSettings(bootstrap_servers="127.0.0.1:1"),
        dagster=DagsterSettings(port=free_port()),
        gateway=GatewaySettings(port=free_port(), viewers_port=free_port()),
    )
    scene = Gateway(settings)
    for role in Role:
        scene.add_user(role.value, role)
    api = served_api(settings, ANALYTICS_API__AUTH="required", ANALYTICS_API__TRUSTED_PROXIES="127.0.0.1")
    with api, _full_webserver(settings), running_gateway(settings):
        yield scene


@contextmanager
def _full_webserver(settings: Settings) -> Iterator[None]:
    code = settings.root / "one_asset.py"
    code.write_text(_ONE_ASSET)
    workspace = settings.state_dir / "workspace.yaml"
    workspace.parent.mkdir(parents=True, exist_ok=True)
    workspace.write_text(f"load_from:\n  - python_file:\n      relative_path: {code}\n      location_name: analytics\n")
    settings.dagster_home.mkdir(parents=True, exist_ok=True)
    (settings.dagster_home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    process = subprocess.Popen(
        [
            str(Path(sys.executable).parent / "dagster-webserver"), "--host", "127.0.0.1",
            "--port", str(settings.dagster.port), "--workspace", str(workspace),
        ],
        env={**os.environ, "DAGSTER_HOME": str(settings.dagster_home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while not location_is_loaded(f"http://127.0.0.1:{settings.dagster.port}"):
            assert process.poll() is None, "the webserver ended"
            assert time.monotonic() < deadline, "the webserver did not load its location"
            time.sleep(0.2)
        yield
    finally:
        process.terminate()
        process.wait(20)
