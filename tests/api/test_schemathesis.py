"""Everything that the OpenAPI document allows, and much that it does not, sent to the served API in strict mode.

No 5xx, no status, header, media type or body that is not documented, nothing invalid taken and nothing valid refused.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from platform_assets.contracts.access import Role
from platform_assets.lineage.graph import Asset, AssetKind, Column, Edge, LineageGraph
from resources.identity.actor import SYSTEM
from resources.identity.service import Identity
from resources.identity.users import UserKind
from resources.lineage.store import LineageStore
from resources.settings import ApiSettings, KafkaSettings, Settings
from tests.api.conftest import UNLIMITED
from tests.api.models import promote, put_features
from tests.conftest import free_port
from tests.published_marts import publish_marts
from tests.served_api import REPOSITORY, served_api

pytestmark = pytest.mark.integration

NAME, PASSWORD = "admin", "a password of many words"
CONFIG = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "25")


@pytest.fixture(scope="module")
def address(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API in strict mode with an administrator, a promoted model, features, published marts and their lineage."""
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("data"),
        kafka=KafkaSettings(bootstrap_servers=broker),
        api=ApiSettings(port=free_port()),
        limits=UNLIMITED,
    )
    asyncio.run(_add_administrator(settings))
    promote(settings.models_dir, version="1")
    put_features(settings.online_store_path)
    publish_marts(settings)
    LineageStore(settings.lineage_dir).publish(_lineage())
    with served_api(settings, ANALYTICS_API__AUTH="required") as found:
        yield found


def _lineage() -> LineageGraph:
    """The asset of the document's examples, and what it is made of."""
    tables = [
        Asset(name=name, kind=AssetKind.TABLE, columns=(Column("sales_value"),))
        for name in ("marts/fct_order_lines", "marts/fct_orders")
    ]
    graph = LineageGraph(tables)
    lines, orders = (table.name for table in tables)
    graph.add_edge(
        Edge(source=lines, source_column="sales_value", target=orders, target_column="sales_value", found_in="a test")
    )
    return graph


async def _add_administrator(settings: Settings) -> None:
    identity = Identity(settings)
    await identity.start()
    await identity.users.create(NAME, Role.ADMIN, UserKind.USER, PASSWORD, SYSTEM)
    await identity.stop()


@pytest.fixture(scope="module")
def token(address: str) -> str:
    """The administrator's, from before wrong passwords close the log-in for a while."""
    answer = httpx.post(f"{address}/v1/tokens", json={"username": NAME, "password": PASSWORD}, timeout=30)
    return str(answer.json()["data"]["access_token"])


def test_administrator_meets_nothing_undocumented(address: str, token: str, tmp_path: Path) -> None:
    probe(address, token, tmp_path, "--header", f"Authorization: Bearer {token}")


def test_stranger_meets_nothing_undocumented(address: str, token: str, tmp_path: Path) -> None:
    """A stranger gets a 401 for what is valid and for a method that is not there, which two checks cannot know."""
    probe(address, token, tmp_path, "--exclude-checks", "positive_data_acceptance,unsupported_method")


def probe(address: str, token: str, folder: Path, *options: str) -> None:
    """Run schemathesis to its end; what it found is the failure's message. The token is for the document."""
    with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {token}"}, timeout=30) as http:
        document = http.get("/openapi.json")
        own_account = http.get("/v1/users/me").json()["data"]["id"]
    path = folder / "openapi.json"
    path.write_bytes(document.content)
    command = [
        str(Path(sys.executable).parent / "st"), "--config-file", str(CONFIG), "run", str(path),
        "--url", address, "--checks", "all",
        "--max-examples", EXAMPLES, "--generation-deterministic", "--no-shrink", "--continue-on-failure",
        "--suppress-health-check", "all", "--request-timeout", "20", "--no-color", *options,
    ]  # fmt: skip
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "SCHEMATHESIS_HOOKS": "tests.api.schemathesis_hooks",
        "OWN_ACCOUNT": own_account,
    }
    finished = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout[-20_000:]
