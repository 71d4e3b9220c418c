"""Finds out before anything starts whether the ports are free, and whom to ask when they are not."""

import socket
from collections.abc import Iterable
from dataclasses import dataclass

import psutil


class PortTaken(RuntimeError):
    """A port is in use; the message names by whom and the setting that changes it."""


@dataclass(frozen=True)
class Port:
    """A port that the platform is about to listen on."""

    number: int
    purpose: str
    setting: str


def require_free(ports: Iterable[Port]) -> None:
    """Raise for the ports that somebody listens on.

    Raises:
        PortTaken: one line per port.
    """
    taken = [port for port in ports if _is_taken(port.number)]
    if taken:
        raise PortTaken("\n".join(_complaint(port) for port in taken))


def _is_taken(number: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
        except OSError:
            return True
    return False


def _complaint(port: Port) -> str:
    owner = _owner(port.number)
    by = f" by {owner}" if owner else ""
    return (
        f"Port {port.number} ({port.purpose}) is taken{by}. Stop that process, or choose another with {port.setting}."
    )


def _owner(number: int) -> str | None:
    try:
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (number,) and connection.pid:
                return f"process {connection.pid} ({psutil.Process(connection.pid).name()})"
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        return None  # other users' sockets are not ours to look at
    return None
