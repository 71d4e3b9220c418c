"""Traces: what a sampled request did and how long each step took, as OpenTelemetry spans to an OTLP collector.

Whether a request is traced is decided once, where it comes in: by its sender's W3C `traceparent` if it has one, else by
chance. For all others nothing is made, so that a step costs them a look at a context variable. Spans carry names,
numbers and ids; no body, no query, no header and no exception's text ever gets into one.
"""

import contextlib
import functools
import inspect
import random
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from resources.settings import TelemetrySettings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span as OtelSpan
    from opentelemetry.trace import SpanKind, Tracer

P = ParamSpec("P")
R = TypeVar("R")
Value = str | int | float | bool

_EXPORT_TIMEOUT_S = 5
_SAMPLED = 1

_current: ContextVar["Span | None"] = ContextVar("current_span", default=None)


class Span:
    """One step of a traced request."""

    def __init__(self, span: "OtelSpan") -> None:
        self._span = span

    @property
    def traceparent(self) -> str:
        """This step as the parent of another process's, in W3C's form."""
        context = self._span.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-01"

    def note(self, **attributes: Value) -> None:
        """Add attributes; a double underscore in a name stands for OpenTelemetry's dot."""
        self._span.set_attributes({name.replace("__", "."): value for name, value in attributes.items()})

    def name(self, name: str) -> None:
        """Call it otherwise, once more is known."""
        self._span.update_name(name)

    def fail(self, kind: str) -> None:
        """Mark the step as failed."""
        from opentelemetry.trace import Status, StatusCode

        self._span.set_status(Status(StatusCode.ERROR))
        self._span.set_attribute("error.type", kind)


class Tracing:
    """Makes and sends the spans of this process."""

    def __init__(self, service: str, settings: TelemetrySettings) -> None:
        self._share = settings.sampled_share
        self._provider = _provider(service, settings)
        self._tracer: Tracer = self._provider.get_tracer("analytics")

    def traces(self, traceparent: str | None) -> bool:
        """Whether to trace a request that came with this context."""
        if traceparent is not None:
            return bool(int(traceparent[-2:], 16) & _SAMPLED)
        # Not a secret: which requests are looked at may be guessed.
        return random.random() < self._share  # noqa: S311

    @contextlib.contextmanager
    def root(self, name: str, traceparent: str | None, **attributes: Value) -> Iterator[Span]:
        """The span of a whole request."""
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        carrier = {} if traceparent is None else {"traceparent": traceparent}
        parent = TraceContextTextMapPropagator().extract(carrier)
        with self.open(name, SpanKind.SERVER, attributes, parent) as span:
            yield span

    @contextlib.contextmanager
    def open(
        self, name: str, kind: "SpanKind | None" = None, attributes: dict[str, Value] | None = None, parent: Any = None
    ) -> Iterator[Span]:
        """A span inside the current one, or inside `parent`."""
        from opentelemetry.trace import SpanKind

        with self._tracer.start_as_current_span(
            name,
            context=parent,
            kind=kind or SpanKind.INTERNAL,
            # An exception's text may quote what was sent.
            record_exception=False,
            set_status_on_exception=False,
        ) as made:
            span = Span(made)
            span.note(**(attributes or {}))
            before = _current.set(span)
            try:
                yield span
            except BaseException as error:
                span.fail(type(error).__qualname__)
                raise
            finally:
                _current.reset(before)

    def stop(self) -> None:
        """Send what is left; blocks for some seconds where the collector is gone."""
        self._provider.shutdown()


_active: Tracing | None = None


def start_tracing(service: str, settings: TelemetrySettings) -> None:
    """Trace from now on, if the settings name a collector."""
    global _active  # noqa: PLW0603 - a process has one way out for its spans, as it has one for its logs
    stop_tracing()
    if settings.otlp_endpoint is not None:
        _active = Tracing(service, settings)


def stop_tracing() -> None:
    """Send what is left and trace no more."""
    global _active
    active, _active = _active, None
    if active is not None:
        active.stop()


@contextlib.contextmanager
def request_span(name: str, traceparent: str | None, **attributes: Value) -> Iterator[Span | None]:
    """The span of a request; None where it is not traced."""
    tracing = _active
    if tracing is None or not tracing.traces(traceparent):
        yield None
        return
    with tracing.root(name, traceparent, **attributes) as span:
        yield span


@contextlib.contextmanager
def step_span(name: str, **attributes: Value) -> Iterator[Span | None]:
    """The span of a step of the request that is being served; None where that is not traced."""
    tracing = _active
    if tracing is None or _current.get() is None:
        yield None
        return
    with tracing.open(name, attributes=attributes) as span:
        yield span


def trace_function(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function, plain or async: a call during a traced request is a step of its own."""
    name = function.__qualname__

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def traced_async(*args: P.args, **kwargs: P.kwargs) -> Any:
            with step_span(name):
                return await function(*args, **kwargs)

        return cast("Callable[P, R]", traced_async)

    @functools.wraps(function)
    def traced(*args: P.args, **kwargs: P.kwargs) -> R:
        with step_span(name):
            return function(*args, **kwargs)

    return traced


def _provider(service: str, settings: TelemetrySettings) -> "TracerProvider":
    # 0.4 s to import, which a process without traces goes without.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON

    authorization = settings.otlp_authorization
    exporter = OTLPSpanExporter(
        endpoint=f"{settings.otlp_endpoint}/v1/traces",
        headers=None if authorization is None else {"Authorization": authorization.get_secret_value()},
        timeout=_EXPORT_TIMEOUT_S,
    )
    # Who gets a span was decided before it is made.
    provider = TracerProvider(sampler=ALWAYS_ON, resource=Resource({SERVICE_NAME: service}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1000))
    return provider
