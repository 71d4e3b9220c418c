"""Connections to checked addresses: a name is looked up once, and what was checked is what is connected to.

So a name server that gives a public address to the check and a private one to the connection (DNS rebinding) gains
nothing. TLS and the Host header keep the name.
"""

import ipaddress
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import httpcore
from httpcore import SOCKET_OPTION

from resources.outbound.policy import IpAddress, OutboundError, OutboundPolicy

Resolve = Callable[[str, int, float], list[IpAddress]]
"""Host, port and seconds to the addresses of the host, in the order in which they are tried."""


class Deadline:
    """One limit for all steps of a request: a server that drips a byte now and then does not get more time by it."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds until the end.

        Raises:
            httpcore.TimeoutException: none are left.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the time for the whole request is over")
        return left


class CheckedNetwork(httpcore.NetworkBackend):
    """Opens connections for one request."""

    def __init__(self, policy: OutboundPolicy, deadline: Deadline, resolve: Resolve) -> None:
        self._policy = policy
        self._deadline = deadline
        self._resolve = resolve
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """A connection to the first address of the host that takes one.

        Raises:
            AddressRefused: one of its addresses is not allowed.
            OutboundError: the host is unknown.
            httpcore.ConnectError, httpcore.TimeoutException: nobody answers.
        """
        addresses = self._resolve(host, port, self._deadline.left())
        self._policy.check_addresses(host, addresses)
        failure: Exception = OutboundError(f"{host} has no address")
        for address in addresses:
            try:
                connected = self._sockets.connect_tcp(
                    str(address), port, self._deadline.left(), local_address, socket_options
                )
                return _LimitedStream(connected, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


class _LimitedStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        encrypted = self._stream.start_tls(ssl_context, server_hostname, self._deadline.left())
        return _LimitedStream(encrypted, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def look_up(host: str, port: int, timeout_s: float) -> list[IpAddress]:
    """Ask the system's resolver, which knows no time limit of its own: hence the thread.

    Raises:
        OutboundError: the name is unknown or nobody says what it is in time.
    """
    answers: queue.SimpleQueue[list[str] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            answers.put(error if isinstance(error, OSError) else OSError(str(error)))
        else:
            answers.put([str(entry[4][0]) for entry in found])

    threading.Thread(target=ask, name="look-up", daemon=True).start()
    try:
        answer = answers.get(timeout=timeout_s)
    except queue.Empty:
        raise OutboundError(f"{host} was not looked up within {timeout_s:.0f} s") from None
    if isinstance(answer, OSError):
        raise OutboundError(f"{host} is unknown to the name server ({answer.strerror or answer})") from None
    return [ipaddress.ip_address(text) for text in dict.fromkeys(answer)]
