"""The processes under load: a broker of our own, the door, and the worker behind it."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from deployments.load.bodies import JSON, NDJSON
from deployments.load.collector import Collector, collector
from deployments.load.generator import Target
from streaming.benchmark.cluster import cluster, free_port
from streaming.benchmark.platform_worker import Duties, PlatformWorker, platform_worker
from streaming.benchmark.processes import ChildProcess, ProcessFailed, answers_ok, child_process, own_environment

READY_S = 30.0


class Server(StrEnum):
    """What takes the events."""

    PLATFORM = "platform"
    FASTAPI = "fastapi"


@dataclass(frozen=True)
class Scene:
    """What runs. `worker` is None where only the door is measured; the landing files are in `data_dir`."""

    target: Target
    media_type: str
    api: ChildProcess
    broker: ChildProcess | None
    worker: PlatformWorker | None
    data_dir: Path
    traces: Collector | None


@contextmanager
def scene(server: Server, folder: Path, *, bootstrap: str | None, with_worker: bool) -> Iterator[Scene]:
    """Start everything for the length of a block; leaving it lets all that was taken land.

    Raises:
        ProcessFailed: a process ended or did not get ready.
        ClusterUnusable: there is no broker to use.
    """
    data_dir = folder / "data"
    data_dir.mkdir()
    with ExitStack() as ending:
        log = ending.enter_context(cluster(bootstrap, folder))
        worker = None
        if with_worker:
            worker = ending.enter_context(platform_worker(log, folder, Duties.ALL))
            worker.wait_until_ready()
        port = free_port()
        traces = None
        if server is Server.FASTAPI:
            command = [sys.executable, "-m", "deployments.load.plain_fastapi", str(port), log.address]
            environment: Mapping[str, str] = os.environ
            headers, media_type, ready = {"Content-Type": JSON}, JSON, "/health"
        else:
            command = [sys.executable, "-m", "api"]
            # As in a deployment: each request needs a key and counts against its limit, one in a hundred is traced.
            traces = ending.enter_context(collector())
            environment = own_environment(
                KAFKA__BOOTSTRAP_SERVERS=log.address,
                DATA_DIR=str(data_dir),
                API__PORT=str(port),
                API__AUTH="required",
                TELEMETRY__OTLP_ENDPOINT=traces.address,
                TELEMETRY__SAMPLED_SHARE="0.01",
            )
            key = _write_key(environment)
            headers = {"Content-Type": NDJSON, "Authorization": f"Bearer {key}"}
            media_type, ready = NDJSON, "/health/ready"
        api = ending.enter_context(child_process("api", command, folder / "api.log", environment))
        api.wait_until(lambda: answers_ok(f"http://127.0.0.1:{port}{ready}"), READY_S, "ready")
        target = Target("127.0.0.1", port, "/v1/events", headers)
        yield Scene(target, media_type, api, log.broker, worker, data_dir, traces)


def _write_key(environment: Mapping[str, str]) -> str:
    """A write key of the platform's own making, with a limit that a measurement does not reach."""
    owner, limit = "load-test", str(10**9)
    _analytics(environment, "users", "add", owner, "--role", "engineer", "--service")
    return _analytics(
        environment, "keys", "create", owner, "--owner", owner, "--write", "--events-per-minute", limit
    ).strip()


def _analytics(environment: Mapping[str, str], *arguments: str) -> str:
    command = [sys.executable, "-m", "deployments.cli", *arguments]
    finished = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False)
    if finished.returncode:
        raise ProcessFailed(f"analytics {arguments[0]} {arguments[1]} failed:\n{finished.stderr[-2000:]}")
    return finished.stdout
