"""The Dagster UI behind the log-in: real nginx, the real API, both real webservers."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from deployments.gateway.nginx import GatewayFault, write_checked
from platform_assets.contracts.access import Role
from resources.settings import GatewaySettings, Settings
from tests.integration.gateway_scene import ACCESS, REFRESH, Gateway, cookie_header, cookies, gateway

pytestmark = pytest.mark.integration

MATERIALISE = """mutation { reportRunlessAssetEvents(eventParams: {
    eventType: ASSET_MATERIALIZATION, assetKey: {path: ["orders"]}}) { __typename } }"""
COUNT = '{ assetOrError(assetKey: {path: ["orders"]}) { ... on Asset { assetMaterializations { timestamp } } } }'
PAGE = {"accept": "text/html", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with a user of each role, named as the role."""
    with gateway(tmp_path_factory.mktemp("gateway")) as found:
        yield found


def materialisations(scene: Gateway, kept: dict[str, str]) -> int:
    return len(scene.graphql(COUNT, kept).json()["data"]["assetOrError"].get("assetMaterializations", []))


def outcome(response: httpx.Response) -> str:
    assert response.status_code == 200, response.text
    return str(response.json()["data"]["reportRunlessAssetEvents"]["__typename"])


def test_stranger_is_led_to_the_form_and_back(scene: Gateway) -> None:
    response = scene.ask("/runs?view=1", **PAGE)
    assert (response.status_code, response.headers["location"]) == (303, "/login?next=/runs%3Fview%3D1")
    assert 'value="/runs?view=1"' in scene.ask(response.headers["location"]).text


def test_stranger_reaches_nothing_of_dagster(scene: Gateway) -> None:
    for path in ("/graphql", "/server_info", "/favicon.png", "/logs/x/y", "/runs"):
        assert scene.ask(path).status_code == 401
    assert scene.graphql(COUNT, None).status_code == 401


def test_viewer_sees_and_changes_nothing(scene: Gateway) -> None:
    kept = scene.log_in("viewer")
    assert "Dagster" in scene.ask("/", kept, **PAGE).text
    before = materialisations(scene, kept)
    assert outcome(scene.graphql(MATERIALISE, kept)) == "UnauthorizedError"
    refused = scene.ask("/report_asset_materialization/orders", kept, json={})
    assert refused.status_code == 401
    assert materialisations(scene, kept) == before


@pytest.mark.parametrize("name", ["engineer", "admin"])
def test_operator_changes_what_a_viewer_then_sees(scene: Gateway, name: str) -> None:
    viewer = scene.log_in("viewer")
    before = materialisations(scene, viewer)
    assert outcome(scene.graphql(MATERIALISE, scene.log_in(name))) == "ReportRunlessAssetEventsSuccess"
    assert materialisations(scene, viewer) == before + 1


def test_headers_of_the_client_make_it_nobody_else(scene: Gateway) -> None:
    spoofed = {
        "x_auth_user": "admin", "x_auth_role": "admin", "x_auth_access": "operate", "x_forwarded_for": "127.0.0.1",
        "x_original_uri": "/login", "x_original_method": "GET", "forwarded": "for=127.0.0.1",
    }  # fmt: skip
    assert scene.graphql(MATERIALISE, None, **spoofed).status_code == 401
    assert outcome(scene.graphql(MATERIALISE, scene.log_in("analyst"), **spoofed)) == "UnauthorizedError"


def test_page_of_another_site_acts_for_nobody(scene: Gateway) -> None:
    kept = scene.log_in("engineer")
    for headers in ({"sec_fetch_site": "cross-site"}, {"sec_fetch_site": "same-site"}):
        assert scene.graphql(MATERIALISE, kept, **headers).status_code == 403
    query = httpx.QueryParams(query=MATERIALISE)
    assert scene.ask(f"/graphql?{query}", kept).status_code == 405
    assert scene.ask(f"/%67raphql?{query}", kept).status_code == 405


def test_check_is_not_for_clients(scene: Gateway) -> None:
    assert scene.ask("/auth/check", scene.log_in("viewer")).status_code == 404


def test_other_host_name_is_not_served(scene: Gateway) -> None:
    assert scene.ask("/login", host="evil.example").status_code == 421


def test_framing_is_refused(scene: Gateway) -> None:
    assert scene.ask("/", scene.log_in("viewer"), **PAGE).headers["x-frame-options"] == "DENY"


def test_session_is_renewed_without_a_word(scene: Gateway) -> None:
    """The access token is gone, as after ten minutes; the next answer brings new cookies, and they work."""
    kept = scene.log_in("viewer")
    response = scene.ask("/server_info", {REFRESH: kept[REFRESH]})
    assert response.status_code == 200
    renewed = cookies(response)
    assert renewed.keys() == {ACCESS, REFRESH}
    assert renewed[REFRESH] != kept[REFRESH]
    assert scene.ask("/server_info", renewed).status_code == 200


def test_subscriptions_pass_for_who_is_logged_in(scene: Gateway) -> None:
    address = scene.address.replace("http", "ws", 1) + "/graphql"
    protocol = [Subprotocol("graphql-ws")]
    ours = Origin(scene.address)
    headers = {"Cookie": cookie_header(scene.log_in("viewer"))}
    with connect(address, origin=ours, subprotocols=protocol, additional_headers=headers) as socket:
        socket.send(json.dumps({"type": "connection_init"}))
        assert json.loads(socket.recv(10)) == {"type": "connection_ack"}
    with pytest.raises(InvalidStatus) as refused, connect(address, origin=ours, subprotocols=protocol):
        pass
    assert refused.value.response.status_code == 401
    other = Origin("http://localhost:1")
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(address, origin=other, subprotocols=protocol, additional_headers=headers),
    ):
        pass
    assert refused.value.response.status_code == 403


def test_closed_user_loses_access_within_five_seconds(scene: Gateway) -> None:
    scene.add_user("leaver", Role.ENGINEER)
    kept = scene.log_in("leaver")
    assert scene.ask("/server_info", kept).status_code == 200
    scene.change_user("leaver", is_active=False)
    seconds = _seconds_until(lambda: scene.ask("/server_info", kept).status_code == 401)
    assert seconds < 6  # five, and the time of a request


def test_operator_who_becomes_a_viewer_is_one_within_five_seconds(scene: Gateway) -> None:
    scene.add_user("mover", Role.ENGINEER)
    kept = scene.log_in("mover")
    assert outcome(scene.graphql(MATERIALISE, kept)) == "ReportRunlessAssetEventsSuccess"
    scene.change_user("mover", role=Role.VIEWER)
    seconds = _seconds_until(lambda: outcome(scene.graphql(MATERIALISE, kept)) == "UnauthorizedError")
    assert seconds < 6


def test_log_names_the_user_and_holds_no_secret(scene: Gateway) -> None:
    kept = scene.log_in("viewer")
    scene.ask("/server_info?token=s3cret", kept)
    log = (scene.settings.root / "gateway" / "access.log").read_text()
    assert '"path":"/server_info","status":200' in log
    assert '"user":"viewer","access":"view"' in log
    assert "s3cret" not in log
    assert all(value not in log for value in kept.values())


def _seconds_until(condition: object) -> float:
    assert callable(condition)
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < 10
        time.sleep(0.1)
    return time.monotonic() - started


def test_nginx_reads_a_configuration_with_a_certificate(tmp_path: Path) -> None:
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
            "-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "chain.pem"),
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    certificate = GatewaySettings(tls_certificate=tmp_path / "chain.pem", tls_key=tmp_path / "key.pem")
    assert write_checked(Settings(data_dir=tmp_path, gateway=certificate)).is_file()


def test_configuration_that_nginx_refuses_is_told(tmp_path: Path) -> None:
    nothing = GatewaySettings(tls_certificate=tmp_path / "none.pem", tls_key=tmp_path / "none.pem")
    with pytest.raises(GatewayFault, match="cannot load certificate"):
        write_checked(Settings(data_dir=tmp_path, gateway=nothing))
