"""Spans of sampled requests, and nothing at all for the others."""

import time
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from resources.settings import TelemetrySettings
from resources.telemetry import trace_function
from resources.telemetry.tracing import request_span, start_tracing, step_span, stop_tracing
from tests.otlp_collector import OtlpCollector

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00"


@pytest.fixture
def collector() -> Iterator[OtlpCollector]:
    """Traces go to it; no request is chosen by chance."""
    made = OtlpCollector()
    start_tracing("shop", TelemetrySettings(otlp_endpoint=made.address, sampled_share=0))
    yield made
    stop_tracing()
    made.close()


def test_sampled_request_has_a_span_below_its_senders_and_steps_below_it(collector: OtlpCollector) -> None:
    with request_span("POST", SAMPLED, request_id="r1") as request, step_span("check", events=3) as step:
        assert request is not None
        assert step is not None
        assert request.traceparent.startswith(f"00-{TRACE}-")
        assert request.traceparent != SAMPLED
        step.note(refused=1)
    stop_tracing()
    check, post = collector.wait_for(lambda spans: len(spans) == 2)
    assert (post.name, post.trace_id, post.parent_id, post.service) == ("POST", TRACE, PARENT, "shop")
    assert (check.name, check.trace_id, check.parent_id) == ("check", TRACE, post.span_id)
    assert (post.attributes, check.attributes) == ({"request_id": "r1"}, {"events": 3, "refused": 1})


def test_request_that_its_sender_does_not_trace_has_no_span(collector: OtlpCollector) -> None:
    with request_span("POST", UNSAMPLED) as request, step_span("check") as step:
        assert (request, step) == (None, None)
    stop_tracing()  # which sends what there is
    assert collector.spans == []


def test_request_without_context_is_traced_by_chance() -> None:
    collector = OtlpCollector()
    start_tracing("shop", TelemetrySettings(otlp_endpoint=collector.address, sampled_share=0.25))
    for _ in range(2000):
        with request_span("POST", None):
            pass
    stop_tracing()
    collector.close()
    assert 400 < len(collector.spans) < 600
    assert len({span.trace_id for span in collector.spans}) == len(collector.spans)


def test_failed_step_says_what_kind_of_error_and_not_its_text(collector: OtlpCollector) -> None:
    with pytest.raises(ValueError, match="hunter2"), request_span("POST", SAMPLED), step_span("check"):
        raise ValueError("the password is hunter2")
    stop_tracing()
    spans = collector.wait_for(lambda spans: len(spans) == 2)
    assert [(span.is_error, span.attributes) for span in spans] == [(True, {"error.type": "ValueError"})] * 2
    assert b"hunter2" not in collector.bodies


async def test_decorated_function_is_a_step_where_the_request_is_traced(collector: OtlpCollector) -> None:
    @trace_function
    def double(number: int) -> int:
        return 2 * number

    @trace_function
    async def double_later(number: int) -> int:
        return double(number)

    assert await double_later(2) == 4
    with request_span("POST", SAMPLED):
        assert await double_later(2) == 4
    stop_tracing()
    spans = collector.wait_for(lambda spans: len(spans) == 3)
    assert [span.name.rpartition(".")[2] for span in spans] == ["double", "double_later", "POST"]


def test_collector_is_shown_the_credential() -> None:
    collector = OtlpCollector()
    secret = SecretStr("Bearer of-the-collector")
    start_tracing("shop", TelemetrySettings(otlp_endpoint=collector.address, otlp_authorization=secret))
    with request_span("POST", SAMPLED):
        pass
    stop_tracing()
    collector.close()
    assert collector.authorizations == {"Bearer of-the-collector"}


def test_untraced_request_costs_next_to_nothing(collector: OtlpCollector) -> None:
    """Its span and two steps, when there are none: 6 µs, measured."""
    rounds = []
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(1000):
            with request_span("POST", None), step_span("check"):
                pass
            with step_span("append"):
                pass
        rounds.append((time.perf_counter() - started) / 1000)
    assert min(rounds) < 50e-6
