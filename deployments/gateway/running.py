"""The gateway's two processes: nginx, and the webserver that refuses every mutation."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deployments.gateway.nginx import GatewayFault, binary, gateway_dir, write_checked
from deployments.local.demo.state import DemoRequest
from deployments.local.plan import REPOSITORY, environment
from deployments.local.ports import Port, require_free
from deployments.local.probes import answers_http, listens, location_is_loaded
from deployments.local.processes import Command, RunningProcess
from resources.settings import Settings

# The webserver imports Dagster for seconds, on a busy machine for many.
_STARTS_WITHIN_S = 120.0
_STOPS_WITHIN_S = 10.0


def require_platform(settings: Settings) -> None:
    """Raise where there is nothing to stand before.

    Raises:
        GatewayFault: the API or Dagster does not answer.
    """
    api = f"http://{settings.api.host}:{settings.api.port}"
    if not answers_http(f"{api}/health/live"):
        raise GatewayFault(f"The API does not answer at {api}; start the platform with `analytics up`.")
    if not listens(settings.dagster.port):
        raise GatewayFault(f"Dagster does not listen on port {settings.dagster.port}; `analytics up` starts it.")


@contextmanager
def running_gateway(settings: Settings) -> Iterator[dict[str, RunningProcess]]:
    """Both processes, ready; they end with the block.

    Raises:
        GatewayFault: nginx is missing or refuses its configuration, or a process does not start.
        PortTaken: somebody listens where one of them should.
    """
    gateway = settings.gateway
    require_free(
        [
            Port(gateway.port, "the gateway", "ANALYTICS_GATEWAY__PORT"),
            Port(gateway.viewers_port, "Dagster's read-only webserver", "ANALYTICS_GATEWAY__VIEWERS_PORT"),
        ]
    )
    configuration = write_checked(settings)
    processes: dict[str, RunningProcess] = {}
    try:
        for command in (_viewers(settings), _nginx(settings, configuration)):
            processes[command.name] = RunningProcess.start(command, settings.logs_dir / f"{command.name}.log")
        viewers = f"http://{settings.dagster.host}:{gateway.viewers_port}"
        deadline = time.monotonic() + _STARTS_WITHIN_S
        while not (listens(gateway.port) and location_is_loaded(viewers)):
            require_alive(processes, settings)
            if time.monotonic() > deadline:
                raise GatewayFault(
                    f"The gateway was not ready within {_STARTS_WITHIN_S:.0f} s; its logs are in {settings.logs_dir}."
                )
            time.sleep(0.1)
        yield processes
    finally:
        _stop(list(processes.values()))


def require_alive(processes: dict[str, RunningProcess], settings: Settings) -> None:
    """Raise where one of the processes has ended.

    Raises:
        GatewayFault: naming it and its log.
    """
    for name, process in processes.items():
        if process.exit_code() is not None:
            raise GatewayFault(f"{name} ended; {settings.logs_dir / f'{name}.log'} says why.")


def _nginx(settings: Settings, configuration: Path) -> Command:
    folder = str(gateway_dir(settings))
    return Command("gateway", (binary(), "-e", "stderr", "-p", folder, "-c", str(configuration)))


def _viewers(settings: Settings) -> Command:
    arguments = (
        str(Path(sys.executable).parent / "dagster-webserver"), "--read-only", "--host", settings.dagster.host,
        "--port", str(settings.gateway.viewers_port), "--workspace", str(settings.state_dir / "workspace.yaml"),
    )  # fmt: skip
    return Command("webserver-read-only", arguments, environment(settings, DemoRequest(None, runs=False)), REPOSITORY)


def _stop(processes: list[RunningProcess]) -> None:
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + _STOPS_WITHIN_S
    while any(process.exit_code() is None for process in processes) and time.monotonic() < deadline:
        time.sleep(0.05)
    for process in processes:
        process.end_group()
