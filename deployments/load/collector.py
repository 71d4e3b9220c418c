"""Where the door's traces go during a measurement: a collector that answers and keeps nothing but a count."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer


class Collector:
    """Listens on a free port of loopback; `batches` is how often spans came."""

    def __init__(self) -> None:
        self.batches = 0
        self._server = HTTPServer(("127.0.0.1", 0), self._handler())
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def serve(self) -> None:
        """Answer until `close`."""
        self._server.serve_forever()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                collector.batches += 1
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing on stderr, where the progress is."""

        return Handler


@contextmanager
def collector() -> Iterator[Collector]:
    """One for the length of a block."""
    made = Collector()
    threading.Thread(target=made.serve, name="trace-collector", daemon=True).start()
    try:
        yield made
    finally:
        made.close()
