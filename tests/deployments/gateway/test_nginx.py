"""What nginx is told follows from the settings, and no setting can say more than a value."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from deployments.gateway.nginx import GatewayFault, render
from resources.settings import ApiSettings, DagsterSettings, GatewaySettings, Settings


def settings(tmp_path: Path, gateway: GatewaySettings) -> Settings:
    return Settings(data_dir=tmp_path, api=ApiSettings(port=8111), dagster=DagsterSettings(port=3111), gateway=gateway)


def test_configuration_names_the_upstreams_of_the_settings(tmp_path: Path) -> None:
    text = render(settings(tmp_path, GatewaySettings(port=8181, viewers_port=3113)))
    assert "listen 127.0.0.1:8181;" in text
    assert "server 127.0.0.1:8111;" in text
    assert "server 127.0.0.1:3111;" in text
    assert "server 127.0.0.1:3113;" in text
    assert "${GATEWAY_DIR}" not in text
    assert "ssl_certificate" not in text


def test_configuration_with_a_certificate_insists_on_tls(tmp_path: Path) -> None:
    certificate = GatewaySettings(tls_certificate=tmp_path / "chain.pem", tls_key=tmp_path / "key.pem")
    text = render(settings(tmp_path, certificate))
    assert f"ssl_certificate {tmp_path}/chain.pem;" in text
    assert "listen 127.0.0.1:8080 ssl http2;" in text
    assert "Strict-Transport-Security" in text


def test_certificate_wants_its_key(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="go together"):
        GatewaySettings(tls_certificate=tmp_path / "chain.pem")


@pytest.mark.parametrize("name", ["x; include /etc/passwd", "x}", "$host", "a\nb", "x'"])
def test_setting_cannot_add_a_directive(tmp_path: Path, name: str) -> None:
    with pytest.raises(GatewayFault, match="cannot stand"):
        render(settings(tmp_path, GatewaySettings(server_names=(name,))))


def test_every_header_that_names_a_caller_is_set_by_the_gateway(tmp_path: Path) -> None:
    """A location with one proxy_set_header of its own inherits none of the server's."""
    text = render(settings(tmp_path, GatewaySettings()))
    for block in (text.partition("location = /auth/check {")[2], text.partition("location / {")[2]):
        directives = block.partition("\n    }")[0]
        for name in ("X-Forwarded-For $remote_addr", "X-Real-IP $remote_addr", 'Forwarded ""', "Host $http_host"):
            assert f"proxy_set_header {name};" in directives
