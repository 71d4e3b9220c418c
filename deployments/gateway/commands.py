"""`analytics gateway`: the Dagster UI behind the API's log-in."""

import signal
import threading
import types

import click

from deployments.gateway.nginx import GatewayFault, render
from deployments.gateway.running import require_alive, require_platform, running_gateway
from deployments.local.ports import PortTaken
from resources.settings import Settings
from resources.settings.console import err, out
from resources.settings.options import with_settings


@click.command()
@click.option("--print", "only_print", is_flag=True, help="Print nginx's configuration and start nothing.")
@with_settings
def gateway(settings: Settings, only_print: bool) -> None:
    """Put the Dagster UI of the running platform behind a log-in, until Ctrl-C.

    Viewers and analysts see everything and change nothing; engineers and administrators operate.
    """
    try:
        if only_print:
            click.echo(render(settings), nl=False)
            return
        require_platform(settings)
        stop = _stop_on_signals()
        err.print("Starting nginx and the read-only webserver …")
        with running_gateway(settings) as processes:
            out.print(f"The Dagster UI with a log-in: {settings.gateway.address}")
            err.print("Ctrl-C stops the gateway; the platform goes on.")
            while not stop.wait(0.5):
                require_alive(processes, settings)
    except (GatewayFault, PortTaken) as error:
        raise click.ClickException(str(error)) from None


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()

    def note(number: int, frame: types.FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, note)
    return stop
