"""Which processes make up the local platform, in which order, and how each shows that it is ready."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deployments.local.demo.state import DemoRequest
from deployments.local.ports import Port
from deployments.local.probes import (
    answers_events_and_predictions,
    answers_http,
    daemons_beat,
    listens,
    location_is_loaded,
)
from deployments.local.processes import Command
from resources.settings import Settings

REPOSITORY = Path(__file__).resolve().parents[2]

BROKER, API, WORKER, SCORER = "broker", "api", "worker", "scorer"
CODE_SERVER, WEBSERVER, DAEMON = "code-server", "webserver", "daemon"
PREPARE, DEMO = "prepare", "demo"

# Faust, Dagster and the model each would start a thread per core for work that is done in one.
_THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Part:
    """One process of the platform."""

    command: Command
    is_ready: Callable[[], bool]
    after: tuple[str, ...] = ()
    one_shot: bool = False
    stop_timeout_s: float = 15.0

    @property
    def name(self) -> str:
        return self.command.name


def needs_embedded_broker(settings: Settings) -> bool:
    """Whether no other Kafka was named."""
    return settings.kafka.bootstrap_servers is None


def addresses(settings: Settings) -> dict[str, str]:
    """Where a person or a client finds the platform."""
    api = f"http://127.0.0.1:{settings.api.port}"
    return {
        "api": api,
        "docs": f"{api}/docs",
        "dagster": f"http://127.0.0.1:{settings.dagster.port}",
        "kafka": settings.kafka.address,
        "worker": f"http://127.0.0.1:{settings.streaming.web_port}",
        "scorer": f"http://127.0.0.1:{settings.streaming.scorer_web_port}",
    }


def ports(settings: Settings) -> dict[str, Port]:
    """The ports that the platform listens on, by process."""
    found = {
        API: Port(settings.api.port, "the API", "ANALYTICS_API__PORT"),
        WORKER: Port(settings.streaming.web_port, "the stream worker's web view", "ANALYTICS_STREAMING__WEB_PORT"),
        SCORER: Port(
            settings.streaming.scorer_web_port, "the scorer's web view", "ANALYTICS_STREAMING__SCORER_WEB_PORT"
        ),
        WEBSERVER: Port(settings.dagster.port, "Dagster's webserver", "ANALYTICS_DAGSTER__PORT"),
        CODE_SERVER: Port(
            settings.dagster.code_server_port, "Dagster's code server", "ANALYTICS_DAGSTER__CODE_SERVER_PORT"
        ),
    }
    if needs_embedded_broker(settings):
        found[BROKER] = Port(settings.kafka.embedded_port, "the embedded broker", "ANALYTICS_KAFKA__EMBEDDED_PORT")
    return found


def environment(settings: Settings, demo: DemoRequest) -> dict[str, str]:
    """What every process is told: the settings in force, and where Dagster and dbt keep their state."""
    found = {key: value for key, value in os.environ.items() if key.startswith("ANALYTICS_")}
    found |= {
        "ANALYTICS_DATA_DIR": str(settings.root),
        "ANALYTICS_KAFKA__BOOTSTRAP_SERVERS": settings.kafka.address,
        "ANALYTICS_WAREHOUSE__PATH": str(settings.warehouse_path),
        "DAGSTER_HOME": str(settings.dagster_home),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
        "PYTHONUNBUFFERED": "1",
        **_THREADS,
    }
    for name, value in demo.settings().items():
        found.setdefault(name, value)
    if needs_embedded_broker(settings):
        from resources.event_log.embedded import WORKER_SETTINGS

        found = {f"ANALYTICS_{name}": value for name, value in WORKER_SETTINGS.items()} | found
    return found


def parts(settings: Settings, demo: DemoRequest) -> list[Part]:
    """The processes in the order in which they start."""
    shared = environment(settings, demo)
    python = sys.executable
    scripts = Path(python).parent
    dagster_at = addresses(settings)["dagster"]
    workspace = str(settings.state_dir / "workspace.yaml")

    def command(name: str, *arguments: str) -> Command:
        return Command(name, arguments, shared, REPOSITORY)

    found: list[Part] = []
    if needs_embedded_broker(settings):
        from resources.event_log.embedded import broker_command

        broker = Command(BROKER, tuple(broker_command(settings.kafka.embedded_port)))
        found.append(Part(broker, lambda: listens(settings.kafka.embedded_port)))
    log = (BROKER,) if found else ()
    found += [
        Part(
            command(API, python, "-m", "api"),
            lambda: answers_events_and_predictions(addresses(settings)["api"]),
            log,
        ),
        Part(
            command(WORKER, python, "-m", "streaming"),
            lambda: answers_http(f"{addresses(settings)['worker']}/health/ready"),
            # After the API: two cores import one process's libraries sooner than two processes' at once.
            (API,),
            stop_timeout_s=30.0,
        ),
        Part(
            # Two seconds of imports that nobody waits for: the others' come first.
            command(SCORER, "nice", "-n", "10", python, "-m", "streaming", "scorer"),
            lambda: answers_http(f"{addresses(settings)['scorer']}/health/ready"),
            (WORKER,),
        ),
        Part(command(PREPARE, python, "-m", "deployments.local.prepare"), lambda: True, (API,), one_shot=True),
        Part(
            command(
                CODE_SERVER, str(scripts / "dagster"), "api", "grpc", "--module-name", "platform_assets.definitions",
                "--host", settings.dagster.host, "--port", str(settings.dagster.code_server_port),
                "--location-name", "analytics",
            ),
            lambda: listens(settings.dagster.code_server_port),
            (PREPARE,),
        ),
        Part(
            command(
                WEBSERVER, str(scripts / "dagster-webserver"), "--host", settings.dagster.host,
                "--port", str(settings.dagster.port), "--workspace", workspace,
            ),
            lambda: location_is_loaded(dagster_at),
            (CODE_SERVER,),
        ),
        Part(
            command(DAEMON, str(scripts / "dagster-daemon"), "run", "--workspace", workspace),
            lambda: daemons_beat(dagster_at),
            (CODE_SERVER,),
        ),
    ]  # fmt: skip
    if demo.runs and demo.mode is not None:
        found.append(
            Part(
                command(DEMO, python, "-m", "deployments.local.demo", demo.mode),
                lambda: True,
                (API, WORKER),
                one_shot=True,
            )
        )
    return found
