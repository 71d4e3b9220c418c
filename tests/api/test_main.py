"""The process: what it imports, when it answers, how it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from api.services.ingestion import Ingestion
from resources.event_log.gate import IngestionGate
from tests.api.models import promote, put_features
from tests.conftest import free_port

FOREIGN = ("dagster", "mlflow", "pandas", "faust", "streaming", "deployments", "sensors", "platform_assets.defs")
HEAD = b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
EVENT = {"event_name": "tried", "source_service": "tests", "payload": {}}


@contextmanager
def server(broker: str, data_dir: Path, **extra: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """`python -m api` on a free port; its log goes to api.log in the data folder."""
    port = free_port()
    environment = os.environ | {
        "ANALYTICS_DATA_DIR": str(data_dir),
        "ANALYTICS_API__PORT": str(port),
        "ANALYTICS_KAFKA__BOOTSTRAP_SERVERS": broker,
        **extra,
    }
    with (data_dir / "api.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "api"], env=environment, stderr=log, stdout=log)
    try:
        yield process, port
    finally:
        process.kill()
        process.wait()


def answer(port: int, deadline_s: float = 15) -> float:
    """Seconds until an event is accepted."""
    started = time.monotonic()
    while time.monotonic() - started < deadline_s:
        try:
            response = httpx.post(f"http://127.0.0.1:{port}/v1/events", json=EVENT, timeout=10)
        except httpx.ConnectError:
            time.sleep(0.02)
            continue
        if response.status_code == 202:
            return time.monotonic() - started
        time.sleep(0.02)
    raise AssertionError("No event was accepted")


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture(scope="module")
def running(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server with a champion and features, from its very start."""
    data_dir = tmp_path_factory.mktemp("data")
    promote(data_dir / "serving" / "models", version="1")
    put_features(data_dir / "serving" / "online.sqlite")
    with server(broker, data_dir) as (_, port):
        yield port


def test_the_api_imports_neither_other_processes_nor_scikit_learn() -> None:
    # scikit-learn comes in with the first model, on a thread, so that the door opens before it.
    script = f"import sys, api.main; print([name for name in {(*FOREIGN, 'sklearn')} if name in sys.modules])"
    assert run("-c", script).stdout.strip() == "[]"


def test_the_server_answers_events_at_once_and_predictions_once_the_model_is_loaded(running: int) -> None:
    assert answer(running) < 10
    response = httpx.post(f"http://127.0.0.1:{running}/v1/predictions/churn", json={"entity_id": "1228"}, timeout=40)
    assert response.status_code == 200


def test_a_large_body_is_refused_before_it_is_sent(running: int) -> None:
    answer(running)
    with socket.create_connection(("127.0.0.1", running)) as client:
        client.sendall(HEAD + b"Content-Length: 5000000\r\n\r\n[")
        client.settimeout(5)
        received = b""
        while chunk := client.recv(4096):
            received += chunk
    assert received.startswith(b"HTTP/1.1 413")
    assert b'"status": 413' in received


def test_sigterm_waits_for_the_request_in_flight(broker: str, tmp_path: Path) -> None:
    with server(broker, tmp_path) as (process, port):
        answer(port)
        body = json.dumps(EVENT).encode()
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body[:10])
            time.sleep(0.3)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            client.sendall(body[10:])
            client.settimeout(10)
            assert client.recv(4096).startswith(b"HTTP/1.1 202")
        process.wait(15)
    lines = [json.loads(line) for line in (tmp_path / "api.log").read_text().splitlines()]
    assert {line["service"] for line in lines} == {"analytics-api"}
    assert not [line for line in lines if line["level"] in {"error", "critical"}]


def test_a_taken_port_is_named_with_its_setting(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = run("-m", "api", ANALYTICS_API__PORT=port, ANALYTICS_DATA_DIR=str(tmp_path))
    assert ended.returncode == 2
    assert port in ended.stderr
    assert "ANALYTICS_API__PORT" in ended.stderr


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ANALYTICS_ENVIRONMENT", "prod", "ANALYTICS_API__ALLOWED_HOSTS is missing"),
        ("ANALYTICS_API__HOST", "0.0.0.0", "only this machine"),  # noqa: S104
        ("ANALYTICS_API__PORT", "none", "ANALYTICS_API__PORT"),
    ],
)
def test_unsafe_or_bad_settings_end_the_process_with_a_reason(name: str, value: str, said: str) -> None:
    ended = run("-m", "api", **{name: value})
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_request_admitted_before_the_gate_closed_counts_as_in_flight(tmp_path: Path) -> None:
    gate = IngestionGate(tmp_path)
    ingestion = Ingestion(None, gate)  # type: ignore[arg-type]  # the log is not touched here
    with ingestion.admitted():
        gate.close("now")
        assert ingestion.in_flight == 1
    assert ingestion.in_flight == 0
