"""The audit says *unchecked* where it could not look, never a false clean (security.md 45)."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from deployments.audit.dependencies import CLEAN, UNCHECKED, VULNERABLE, main

Answer = Callable[[str], tuple[int, bytes]]
HASH = "sha256:" + "0" * 64


def vulnerable(package: str) -> bytes:
    """An OSV answer with one vulnerability of a package."""
    event = {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "9.9"}]}
    affected = {"package": {"name": package, "ecosystem": "PyPI"}, "ranges": [event]}
    return json.dumps({"vulns": [{"id": "GHSA-test", "aliases": [], "affected": [affected]}]}).encode()


def knows(*packages: str) -> Answer:
    """A service that knows vulnerabilities of these."""
    return lambda package: (200, vulnerable(package) if package in packages else b"{}")


@pytest.fixture
def service() -> Iterator[Callable[[Answer], str]]:
    """Starts an OSV service on a free port; gives its address."""
    servers = []

    def start(answer: Answer) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, body = answer(asked["package"]["name"])
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/v1/query"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """A lock file of two packages, one of them for another platform only."""
    path = tmp_path / "requirements.lock"
    path.write_text(
        f"click==8.1.0 \\\n    --hash={HASH}\nsix==1.16.0 \\\n    --hash={HASH}\n"
        f"pywin32==306 ; sys_platform == 'win32' \\\n    --hash={HASH}\n"
    )
    return path


def audit(lock: Path, address: str) -> int:
    return main(["--lock", str(lock), "--osv-url", address])


def test_a_service_that_knows_nothing_bad_of_the_lock_is_clean(
    service: Callable[[Answer], str], lock: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit(lock, service(knows("jinja2"))) == CLEAN
    assert "was looked up" in capsys.readouterr().out


def test_a_known_vulnerability_is_named_with_its_fix(
    service: Callable[[Answer], str], lock: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit(lock, service(knows("jinja2", "six"))) == VULNERABLE
    assert "six 1.16.0: GHSA-test, fixed in 9.9" in capsys.readouterr().out


@pytest.mark.parametrize(
    "answer",
    [
        knows(),
        lambda _: (404, b"{}"),
        lambda _: (500, b""),
        lambda _: (200, b"<html>Sign in to the network</html>"),
        lambda package: (200, vulnerable(package)) if package == "jinja2" else (500, b""),
        lambda package: (200, vulnerable(package)) if package == "jinja2" else (200, b"<html>"),
    ],
    ids=["knows no package", "not found", "broken", "a page of the network", "breaks later", "a page later"],
)
def test_a_service_that_does_not_do_its_work_is_unchecked(
    service: Callable[[Answer], str], lock: Path, capsys: pytest.CaptureFixture[str], answer: Answer
) -> None:
    assert audit(lock, service(answer)) == UNCHECKED
    told = capsys.readouterr().out
    assert told.startswith("UNCHECKED: ")
    assert "no vulnerability is known" not in told


def test_a_service_that_is_not_there_is_unchecked(lock: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit(lock, "http://127.0.0.1:1/v1/query") == UNCHECKED
    assert capsys.readouterr().out.startswith("UNCHECKED: ")


@pytest.mark.parametrize("content", ["", "# nothing\n", "click\n", "not a requirement !\n"])
def test_a_lock_that_pins_nothing_is_unchecked(service: Callable[[Answer], str], tmp_path: Path, content: str) -> None:
    (tmp_path / "requirements.lock").write_text(content)
    assert audit(tmp_path / "requirements.lock", service(knows("jinja2"))) == UNCHECKED
