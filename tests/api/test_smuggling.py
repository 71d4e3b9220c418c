"""The real server against requests that two readers would cut differently, and against injected lines."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.settings import Settings
from resources.settings.api import ApiSettings
from resources.settings.kafka import KafkaSettings
from tests.conftest import free_port
from tests.served_api import served_api

pytestmark = pytest.mark.integration

EVENT = json.dumps({"event_name": "page_viewed", "source_service": "web", "payload": {}}).encode()
HIDDEN = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


@pytest.fixture(scope="module")
def address(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """The API as a process of its own."""
    folder: Path = tmp_path_factory.mktemp("data")
    settings = Settings(
        data_dir=folder, kafka=KafkaSettings(bootstrap_servers=broker), api=ApiSettings(port=free_port())
    )
    with served_api(settings):
        yield "127.0.0.1", settings.api.port


def say(address: tuple[str, int], *parts: bytes) -> bytes:
    """Everything that the server answers to these bytes until it closes, or says no more for two seconds."""
    answer = b""
    with socket.create_connection(address, timeout=2) as connection:
        try:
            for part in parts:
                connection.sendall(part)
            while received := connection.recv(65_536):
                answer += received
        except (TimeoutError, ConnectionError):
            pass
    return answer


def post(*headers: bytes, body: bytes = EVENT) -> bytes:
    lines = [b"POST /v1/events HTTP/1.1", b"Host: localhost", b"Content-Type: application/json", *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def statuses(answer: bytes) -> list[int]:
    return [int(status) for status in _STATUS.findall(answer)]


def length(body: bytes) -> bytes:
    return b"Content-Length: %d" % len(body)


CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(EVENT), EVENT)


def test_requests_that_are_cut_right_are_answered(address: tuple[str, int]) -> None:
    assert statuses(say(address, post(length(EVENT), b"Connection: close"))) == [202]
    assert statuses(say(address, post(b"Transfer-Encoding: chunked", b"Connection: close", body=CHUNKED))) == [202]


@pytest.mark.parametrize(
    "request_bytes",
    [
        post(length(CHUNKED + HIDDEN), b"Transfer-Encoding: chunked", body=CHUNKED + HIDDEN),
        post(b"Transfer-Encoding: chunked", length(CHUNKED + HIDDEN), body=CHUNKED + HIDDEN),
        post(b"Content-Length: 5", length(EVENT), body=EVENT + HIDDEN),
        post(b"Content-Length: 5, 5", body=EVENT + HIDDEN),
        post(b"Content-Length: +5", body=EVENT + HIDDEN),
        post(b"Content-Length: 0x5", body=EVENT + HIDDEN),
        post(b"Content-Length: -1", body=EVENT + HIDDEN),
        post(b"Content-Length : 5", body=EVENT + HIDDEN),
        post(b"Content-Length: 99999999999999999999999", body=EVENT + HIDDEN),
        post(b"Transfer-Encoding: xchunked", body=CHUNKED + HIDDEN),
        post(b"Transfer-Encoding: chunked, identity", body=CHUNKED + HIDDEN),
        post(b"Transfer-Encoding : chunked", body=CHUNKED + HIDDEN),
        post(b"Transfer-Encoding:\x0bchunked", body=CHUNKED + HIDDEN),
        post(b"Transfer-Encoding: chunked", body=b"5;\nx\r\nhello\r\n0\r\n\r\n" + HIDDEN),
        post(b"Transfer-Encoding: chunked", body=b"-5\r\nhello\r\n0\r\n\r\n" + HIDDEN),
        post(b"Transfer-Encoding: chunked", body=b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n" + HIDDEN),
        post(b" X-Folded: 1", length(EVENT), body=EVENT + HIDDEN),
        post(b"X-Null: \x00", length(EVENT), body=EVENT + HIDDEN),
        post(b"X-Bare: a\rTransfer-Encoding: chunked", length(EVENT), body=EVENT + HIDDEN),
    ],
)
def test_a_request_that_can_be_cut_in_two_ways_ends_its_connection(
    address: tuple[str, int], request_bytes: bytes
) -> None:
    """A refusal and no more: what hides behind it is never read as a request."""
    answer = say(address, request_bytes)
    assert len(statuses(answer)) <= 1
    assert all(status >= 400 for status in statuses(answer))
    assert b"healthy" not in answer


@pytest.mark.parametrize("header", [b"X-Request-ID", b"Idempotency-Key", b"traceparent", b"X-Sent-At"])
@pytest.mark.parametrize(
    "value",
    [b"a%0d%0aSet-Cookie: x=1", b"a\nSet-Cookie: x=1", b"a\r\n Set-Cookie: x=1", b"a\rSet-Cookie: x=1", b"\xff"],
)
def test_a_line_that_is_injected_by_a_header_comes_out_nowhere(
    address: tuple[str, int], header: bytes, value: bytes
) -> None:
    answer = say(address, post(header + b": " + value, length(EVENT), b"Connection: close"))
    head, _, _ = answer.partition(b"\r\n\r\n")
    assert b"set-cookie" not in head.lower()
    assert len(statuses(answer)) <= 1


def test_a_request_id_with_odd_characters_is_replaced(address: tuple[str, int]) -> None:
    answer = say(address, post(b"X-Request-ID: a%0d%0ab", length(EVENT), b"Connection: close"))
    assert statuses(answer) == [202]
    assert re.search(rb"x-request-id: [0-9a-f]{32}\r\n", answer, re.IGNORECASE)


def test_trace_is_refused_and_mirrors_nothing(address: tuple[str, int]) -> None:
    answer = say(address, b"TRACE /v1/events HTTP/1.1\r\nHost: localhost\r\nX-Secret: mirrored\r\n\r\n")
    assert statuses(answer)[0] in {405, 501}
    assert b"mirrored" not in answer


def test_a_declared_body_of_2_mb_is_refused_before_it_is_sent(address: tuple[str, int]) -> None:
    answer = say(address, post(b"Content-Length: 2000000", body=b""))
    assert statuses(answer) == [413]
    assert b"connection: close" in answer.lower()


def test_an_undeclared_body_is_refused_once_it_is_over_the_limit(address: tuple[str, int]) -> None:
    """Of the 100 MB that are offered, little more than the limit gets sent before the server closes."""
    sent = 0
    chunk = b"%x\r\n%b\r\n" % (50_000, b" " * 50_000)
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(post(b"Transfer-Encoding: chunked", body=b""))
        try:
            for _ in range(2000):
                connection.sendall(chunk)
                sent += len(chunk)
        except ConnectionError:
            pass
    assert sent < 20_000_000


def test_a_body_that_is_refused_unread_ends_the_connection(address: tuple[str, int]) -> None:
    """Else the server would read its rest as the next request."""
    answer = say(address, post(b"Content-Encoding: br", length(HIDDEN), body=HIDDEN), HIDDEN)
    assert statuses(answer) == [415]
