"""uvicorn's HTTP protocol with bounds on a request's head: its time, and its size.

uvicorn 0.54 waits for ever for the end of the headers and keeps as many of them as come. A few thousand connections
that say a byte a minute (slow-loris), or one that never ends its headers, would use up the server.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 65_536

_REFUSAL = b"HTTP/1.1 %s\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_TOO_LARGE = _REFUSAL % b"431 Request Header Fields Too Large"
_TOO_SLOW = _REFUSAL % b"408 Request Timeout"


class HeadTooLarge(Exception):
    """Ends the parser's work on a head; httptools turns it into its own error."""


class BoundedHeadProtocol(HttpToolsProtocol):
    """Closes a connection whose request's head does not end in time or in bounds."""

    header_timeout_s = 10.0

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._head_timer: asyncio.TimerHandle | None = None
        self._is_in_body = False
        self._parsed_bytes = 0  # of whole headers
        self._fed_bytes = 0  # of an unfinished head: a header that never ends reaches no callback

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection that says nothing counts as a slow head."""
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end of the connection ends the watch."""
        self._rest()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Also a blank line before a request starts the watch: it ends uvicorn's own watch of idle connections."""
        if not self._is_in_body:
            self._watch()
        super().data_received(data)
        if self._head_timer is not None:
            self._fed_bytes += len(data)
            if self._fed_bytes > MAX_HEAD_BYTES:
                self._refuse(_TOO_LARGE)

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self._parsed_bytes = self._fed_bytes = 0
        self._watch()

    def on_url(self, url: bytes) -> None:
        """A part of the request line."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole; what follows is the application's to bound."""
        self._rest()
        self._is_in_body = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body is whole."""
        self._is_in_body = False
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """The parser has given up, over a fault or over the size."""
        self._rest()
        if self._parsed_bytes > MAX_HEAD_BYTES:
            self._refuse(_TOO_LARGE)
        else:
            super().send_400_response(msg)

    def _count(self, size: int) -> None:
        self._parsed_bytes += size
        if self._parsed_bytes > MAX_HEAD_BYTES:
            raise HeadTooLarge

    def _watch(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.header_timeout_s, self._expire)

    def _rest(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _expire(self) -> None:
        self._head_timer = None
        if self.cycle is not None and not self.cycle.response_complete:
            self._watch()  # the next request's head is slow, but the answer to the one before is not out yet
        else:
            self._refuse(_TOO_SLOW)

    def _refuse(self, answer: bytes) -> None:
        self._rest()
        if not self.transport.is_closing():
            self.transport.write(answer)
            self.transport.close()


def bounded_head_protocol(header_timeout_s: float) -> type[BoundedHeadProtocol]:
    """The protocol class with this time limit; uvicorn makes the instances and passes no options of ours."""
    return type("BoundedHeadProtocol", (BoundedHeadProtocol,), {"header_timeout_s": header_timeout_s})
