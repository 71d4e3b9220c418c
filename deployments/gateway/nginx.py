"""The gateway's nginx configuration: filled in from the settings, and checked by nginx itself."""

import re
import shutil
import subprocess
from pathlib import Path

from resources.settings import Settings

_TEMPLATE = Path(__file__).with_name("nginx.conf.template")
_PLACEHOLDER = re.compile(r"\$\{(GATEWAY_[A-Z_]+)\}")
# What may stand in a directive of nginx without ending it or beginning another.
_PLAIN = re.compile(r"[A-Za-z0-9._:/\[\] ~+@-]+\Z")


class GatewayFault(RuntimeError):
    """The gateway cannot be set up; the message names the cause and the remedy."""


def binary() -> str:
    """The nginx of this machine. Debian keeps it out of the path of ordinary users.

    Raises:
        GatewayFault: it is not installed.
    """
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/bin")
    if found is None:
        raise GatewayFault("nginx is missing: install the Debian package nginx-light.")
    return found


def render(settings: Settings) -> str:
    """The configuration for these settings.

    Raises:
        GatewayFault: a value would be read by nginx as something else than a value.
    """
    gateway = settings.gateway
    host = f"[{gateway.host}]" if ":" in gateway.host else gateway.host
    tls = gateway.tls_certificate is not None
    values = {
        "GATEWAY_DIR": _plain(str(gateway_dir(settings))),
        "GATEWAY_LISTEN": _plain(f"{host}:{gateway.port}") + (" ssl http2" if tls else ""),
        "GATEWAY_SERVER_NAMES": _plain(" ".join(gateway.server_names)),
        "GATEWAY_API": _plain(f"{settings.api.host}:{settings.api.port}"),
        "GATEWAY_OPERATORS": _plain(f"{settings.dagster.host}:{settings.dagster.port}"),
        "GATEWAY_VIEWERS": _plain(f"{settings.dagster.host}:{gateway.viewers_port}"),
        "GATEWAY_TLS": "",
        "GATEWAY_HSTS": "",
    }
    if gateway.tls_certificate is not None and gateway.tls_key is not None:
        values["GATEWAY_TLS"] = (
            f"ssl_certificate {_plain(str(gateway.tls_certificate.resolve()))};\n"
            f"  ssl_certificate_key {_plain(str(gateway.tls_key.resolve()))};\n"
            "  ssl_protocols TLSv1.2 TLSv1.3;\n"
            "  ssl_session_cache shared:tls:1m;\n"
            "  ssl_session_tickets off;"
        )
        values["GATEWAY_HSTS"] = 'add_header Strict-Transport-Security "max-age=31536000" always;'
    return _PLACEHOLDER.sub(lambda found: values[found[1]], _TEMPLATE.read_text())


def write_checked(settings: Settings) -> Path:
    """Write the configuration and have nginx read it; returns its path.

    Raises:
        GatewayFault: nginx is missing or refuses it.
    """
    nginx = binary()
    folder = gateway_dir(settings)
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    path = folder / "nginx.conf"
    path.write_text(render(settings))
    checked = subprocess.run(
        [nginx, "-t", "-q", "-e", "stderr", "-p", str(folder), "-c", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if checked.returncode:
        raise GatewayFault(f"nginx refuses {path}:\n{checked.stderr.strip()}")
    return path


def gateway_dir(settings: Settings) -> Path:
    """Where the gateway keeps its configuration, its process id and its logs."""
    return settings.root / "gateway"


def _plain(value: str) -> str:
    if not _PLAIN.match(value):
        raise GatewayFault(f"{value!r} cannot stand in nginx's configuration; use letters, digits and ._:/- only.")
    return value
