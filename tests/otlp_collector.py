"""A collector that takes OTLP over HTTP and keeps the spans."""

import gzip
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_ARRIVES_WITHIN_S = 15.0


@dataclass(frozen=True)
class CollectedSpan:
    """One span as it arrived; ids in hexadecimal, parent empty where there is none."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    is_error: bool
    attributes: dict[str, str | int | float | bool]


class OtlpCollector:
    """Listens on a free port of loopback from its making on."""

    def __init__(self) -> None:
        self.spans: list[CollectedSpan] = []
        self.authorizations: set[str | None] = set()
        self.bodies = b""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def wait_for(self, wanted: Callable[[list[CollectedSpan]], bool]) -> list[CollectedSpan]:
        """The spans, once they are as wanted."""
        deadline = time.monotonic() + _ARRIVES_WITHIN_S
        while not wanted(self.spans):
            assert time.monotonic() < deadline, f"Only these spans came: {[span.name for span in self.spans]}"
            time.sleep(0.05)
        return list(self.spans)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def _take(self, body: bytes) -> None:
        self.bodies += body
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = next(
                item.value.string_value for item in resource.resource.attributes if item.key == "service.name"
            )
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.spans.append(
                        CollectedSpan(
                            service,
                            span.name,
                            span.trace_id.hex(),
                            span.span_id.hex(),
                            span.parent_span_id.hex(),
                            span.status.code == span.status.STATUS_CODE_ERROR,
                            {item.key: _value(item.value) for item in span.attributes},
                        )
                    )

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.authorizations.add(self.headers["Authorization"])
                collector._take(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing on stderr."""

        return Handler


def _value(value: object) -> str | int | float | bool:
    found: str | int | float | bool = getattr(value, value.WhichOneof("value"))  # type: ignore[attr-defined]
    return found
