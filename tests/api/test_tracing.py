"""A request that is traced: its spans, and the trace that its events carry on."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from resources.settings import Settings, TelemetrySettings
from tests.api.conftest import Serve
from tests.otlp_collector import OtlpCollector

EVENT = {"event_name": "page_view", "source_service": "shop", "payload": {}}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"

Log = Callable[[str], tuple[list[Any], list[Any]]]


@pytest.fixture
def collector() -> Iterator[OtlpCollector]:
    made = OtlpCollector()
    yield made
    made.close()


@pytest_asyncio.fixture
async def traced(settings: Settings, collector: OtlpCollector, serve: Serve) -> AsyncIterator[httpx.AsyncClient]:
    """Only what its sender wants traced is."""
    telemetry = TelemetrySettings(otlp_endpoint=collector.address, sampled_share=0)
    async with serve(settings.model_copy(update={"telemetry": telemetry})) as http:
        yield http


async def test_traced_request_has_a_span_of_its_route_and_one_for_each_step(
    traced: httpx.AsyncClient, collector: OtlpCollector, on_the_log: Log
) -> None:
    headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "X-Request-ID": "traced-1"}
    answer = await traced.post("/v1/events", json=[EVENT, {"event_name": 7}], headers=headers)
    assert answer.status_code == 207
    spans = {span.name: span for span in collector.wait_for(lambda spans: len(spans) >= 3)}
    request = spans["POST /v1/events"]
    assert (request.service, request.trace_id, request.parent_id) == ("analytics-api", TRACE, "00f067aa0ba902b7")
    assert request.attributes == {
        "request_id": "traced-1",
        "http.request.method": "POST",
        "http.response.status_code": 207,
        "http.route": "/v1/events",
    }
    assert spans["check events"].attributes == {"events": 2, "accepted": 1, "refused": 1}
    assert {spans[step].parent_id for step in ("check events", "append to the log")} == {request.span_id}
    (event,), _ = on_the_log("traced-1")
    assert event["traceparent"] == f"00-{TRACE}-{request.span_id}-01"


async def test_untraced_request_hands_its_senders_context_on(
    traced: httpx.AsyncClient, collector: OtlpCollector, on_the_log: Log
) -> None:
    context = f"00-{TRACE}-00f067aa0ba902b7-00"
    for number, headers in enumerate(({"traceparent": context}, {})):
        answer = await traced.post("/v1/events", json=EVENT, headers={"X-Request-ID": f"untraced-{number}", **headers})
        assert answer.status_code == 202
    assert [on_the_log(f"untraced-{number}")[0][0]["traceparent"] for number in (0, 1)] == [context, None]
    other = "0af7651916cd43dd8448eb211c80319c"
    await traced.get("/v1/users/me", headers={"traceparent": f"00-{other}-00f067aa0ba902b7-01"})
    spans = collector.wait_for(lambda spans: len(spans) >= 1)
    assert {span.trace_id for span in spans} == {other}  # spans leave in order: one of before would be here


async def test_asked_path_is_in_no_span(traced: httpx.AsyncClient, collector: OtlpCollector) -> None:
    """It names users, and whatever somebody types."""
    headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    await traced.get("/v1/users/usr_of-somebody", headers=headers)
    await traced.get("/no/such/of-somebody", headers=headers)
    spans = collector.wait_for(lambda spans: len(spans) == 2)
    assert [span.name for span in spans] == ["GET /v1/users/{user_id}", "GET"]
    assert b"of-somebody" not in collector.bodies
