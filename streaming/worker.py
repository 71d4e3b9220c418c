"""Starts the worker as a process and turns its end into an exit code."""

import logging
import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from platform_assets.contracts.topics import PARTIALS
from resources.event_log.topics import Log, LogUnavailable, ensure_topics
from resources.settings import Settings
from streaming.event_loops import poll_sparingly
from streaming.interpreter import collect_rarely, go_without_pandas

BROKER_PATIENCE_S = 30.0
CRASH_PATIENCE_S = 5.0
# The event loop waits this long for a thread that computes, at each of the steps between a record and its window.
SWITCH_INTERVAL_S = 0.001

_log = logging.getLogger("streaming.worker")


class CannotStart(RuntimeError):
    """Something that the worker needs is not there; the message names it and the remedy."""


def run(settings: Settings) -> None:
    """Run until a signal or an error; does not return.

    Raises:
        CannotStart: the broker does not answer within 30 s, or the web port is taken.
        SystemExit: 0 after SIGTERM or SIGINT with everything landed, 1 after an error.
    """
    check_port(settings.streaming.web_port, "ANALYTICS_STREAMING__WEB_PORT")
    logs = wait_for_topics(settings.kafka.address)
    go_without_pandas()
    # Arrow's own allocator keeps what it was given: 50 MB more at the peak, for nothing that could be measured.
    # Parquet's writer asks for the default by this name and not for the pool that pyarrow was told to use.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    # Imported once there is a broker: half a second of Faust.
    from streaming.app import create_app
    from streaming.process_memory import hand_back_free_memory

    hand_back_free_memory()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    collect_rarely()
    poll_sparingly()
    execute(create_app(settings, part_partitions=logs[PARTIALS.name].partitions), settings.root / "worker")


def execute(app: Any, folder: Path) -> None:
    """Run a Faust app with its own files in a folder, until a signal or an error; does not return.

    Raises:
        SystemExit: 0 after SIGTERM or SIGINT, 1 after an error.
    """
    from faust import Worker

    folder.mkdir(parents=True, exist_ok=True)
    threading.Thread(target=_end_after_crash, args=[app], name="end-after-crash", daemon=True).start()
    worker = Worker(app, quiet=True, override_logging=False, redirect_stdouts=False, workdir=folder)
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
    for module in ("streaming.microbatch", "streaming.faust_app"):
        logging.getLogger(module).setLevel(logging.WARNING)


def _end_after_crash(app: Any) -> None:
    """End the process where Faust's own stop after a crash does not.

    A crash in the middle of a rebalance leaves it waiting for services that wait for it (seen on Kafka), while the
    heartbeats go on and keep the partitions from the other workers. Files are whole at any moment, so nothing is lost.
    """
    while not app.crashed:
        time.sleep(0.2)
    time.sleep(CRASH_PATIENCE_S)
    _log.critical("ended_after_crash patience_s=%.0f", CRASH_PATIENCE_S)
    os._exit(1)


def check_port(port: int, variable: str) -> None:
    """Raises CannotStart where a web view's port is taken; `variable` is what changes it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise CannotStart(
                f"Port {port} of the web view is taken ({error.strerror}); choose another with {variable}"
            ) from None


def wait_for_topics(address: str) -> dict[str, Log]:
    """Make the topics that are missing and describe all. Raises CannotStart where no broker answers within 30 s."""
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
            return logs
