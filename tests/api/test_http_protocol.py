"""A real server ends connections whose request's head is too slow or too large."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from api.http_protocol import MAX_HEAD_BYTES, bounded_head_protocol

HEADER_TIMEOUT_S = 0.4
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n"


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        pass
    await PlainTextResponse("ok")(scope, receive, send)


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    """A uvicorn with our protocol on a free port."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        application, http=bounded_head_protocol(HEADER_TIMEOUT_S), lifespan="off", log_config=None, ws="none"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield listener.getsockname()
    server.should_exit = True
    thread.join(10)
    listener.close()


@pytest.fixture
def connection(address: tuple[str, int]) -> Iterator[socket.socket]:
    """A connection to it."""
    with socket.create_connection(address, timeout=5) as made:
        yield made


def answer(connection: socket.socket) -> bytes:
    """Everything until the server closes."""
    parts = []
    while part := connection.recv(65_536):
        parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize("said", [b"", b"GET", GET, GET + b"X-Slow: ", b"\r\n"])
def test_a_head_that_does_not_end_is_a_408(connection: socket.socket, said: bytes) -> None:
    started = time.monotonic()
    connection.sendall(said)
    assert answer(connection).startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - started < 4


def test_a_byte_now_and_then_does_not_prolong_the_time(connection: socket.socket) -> None:
    started = time.monotonic()
    connection.sendall(GET)
    connection.settimeout(0.1)
    received = b""
    while not received and time.monotonic() - started < 4:
        connection.sendall(b"X-A: b\r\n")
        try:
            received = connection.recv(4096)
        except TimeoutError:
            continue
    assert received.startswith(b"HTTP/1.1 408 ")


def test_blank_lines_do_not_keep_an_idle_connection_open(connection: socket.socket) -> None:
    connection.sendall(GET + b"\r\n")
    assert b"200 OK" in connection.recv(4096)
    connection.sendall(b"\r\n")
    assert answer(connection).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    "head",
    [
        GET + b"X-Large: " + b"x" * (MAX_HEAD_BYTES + 1) + b"\r\n\r\n",
        GET + b"X-Unfinished: " + b"x" * (MAX_HEAD_BYTES + 1),
        GET + b"X-Many: x\r\n" * (MAX_HEAD_BYTES // 7) + b"\r\n",
        b"GET /" + b"x" * (MAX_HEAD_BYTES + 1),
    ],
    ids=["one header", "unfinished", "many headers", "address"],
)
def test_a_head_over_the_limit_is_a_431(connection: socket.socket, head: bytes) -> None:
    connection.sendall(head)
    assert answer(connection).startswith(b"HTTP/1.1 431 ")


def test_a_large_body_is_not_taken_for_a_head(connection: socket.socket) -> None:
    connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500000\r\n\r\n" + b"x" * 500_000)
    assert b"200 OK" in connection.recv(4096)


def test_a_connection_serves_many_requests(connection: socket.socket) -> None:
    for _ in range(3):
        connection.sendall(GET + b"\r\n")
        assert b"200 OK" in connection.recv(4096)


def test_a_fault_in_a_head_is_a_400(connection: socket.socket) -> None:
    connection.sendall(b"GET / HTTP/1.1\r\nHost localhost\r\n\r\n")
    assert answer(connection).startswith(b"HTTP/1.1 400 ")
