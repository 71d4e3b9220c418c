"""Starts the worker as a process and turns its end into an exit code."""

import logging
import socket
import sys
import time

from resources.event_log.topics import LogUnavailable, ensure_topics
from resources.settings import Settings

BROKER_PATIENCE_S = 30.0

_log = logging.getLogger("streaming.worker")


class CannotStart(RuntimeError):
    """Something that the worker needs is not there; the message names it and the remedy."""


def run(settings: Settings) -> None:
    """Run until a signal or an error; does not return.

    Raises:
        CannotStart: the broker does not answer within 30 s, or the web port is taken.
        SystemExit: 0 after SIGTERM or SIGINT with everything landed, 1 after an error.
    """
    _check_port(settings.streaming.web_port)
    _wait_for_topics(settings.kafka.address)
    # Imported once there is a broker: half a second of Faust.
    from faust import Worker

    from streaming.app import create_app

    folder = settings.root / "worker"
    folder.mkdir(parents=True, exist_ok=True)
    worker = Worker(create_app(settings), quiet=True, override_logging=False, redirect_stdouts=False, workdir=folder)
    worker.spinner = None
    worker.execute_from_commandline()


def configure_logging() -> None:
    """One plain line per event on standard error: time in UTC, level, logger, then key=value."""
    formatter = logging.Formatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("streaming").setLevel(logging.INFO)
    # Faust logs the life of its own services under the module of their subclass.
    logging.getLogger("streaming.microbatch").setLevel(logging.WARNING)


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise CannotStart(
                f"Port {port} of the worker's web view is taken ({error.strerror}); "
                "choose another with ANALYTICS_STREAMING__WEB_PORT"
            ) from None


def _wait_for_topics(address: str) -> None:
    deadline = time.monotonic() + BROKER_PATIENCE_S
    while True:
        try:
            logs = ensure_topics(address, timeout_s=min(5.0, BROKER_PATIENCE_S))
        except LogUnavailable as error:
            if time.monotonic() >= deadline:
                raise CannotStart(
                    f"No Kafka broker answered at {address} within {BROKER_PATIENCE_S:.0f} s ({error}). Start one, or "
                    "name it with ANALYTICS_KAFKA__BOOTSTRAP_SERVERS"
                ) from None
            _log.info("waiting_for_broker address=%s", address)
            time.sleep(0.25)
        else:
            _log.info("topics_found %s", " ".join(f"{log.topic}={log.log}" for log in logs.values()))
            return
