"""What the worker's metrics say after what happened, read back from their text format."""

import math

import faust
import pytest
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from streaming.metrics import StreamMetrics, add_metrics_page

TOPIC = "events.v1"


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.5

    def __call__(self) -> float:
        return self.now


def exposed(metrics: StreamMetrics) -> dict[tuple[str, str | None], float]:
    """The platform's own samples by name and partition."""
    families = text_string_to_metric_families(generate_latest(metrics.registry).decode())
    samples = [sample for family in families for sample in family.samples]
    return {
        (sample.name.removeprefix("analytics_stream_"), sample.labels.get("partition")): sample.value
        for sample in samples
        if sample.name.startswith("analytics_stream_")
    }


def take(metrics: StreamMetrics, events: int, seconds: float, *, next_offset: int = 0, high_watermark: int = 0) -> None:
    metrics.batch(TOPIC, 0, events, seconds, next_offset=next_offset, high_watermark=high_watermark)


def test_batches_add_up_per_partition() -> None:
    metrics = StreamMetrics()
    for partition in (0, 0, 1):
        metrics.batch(
            TOPIC, partition, 100, 0.01, next_offset=500, high_watermark=800, rejected=1, late=2, duplicates=3
        )
    metrics.landed(TOPIC, 1, 99)
    metrics.windows_open(TOPIC, 1, 7)
    metrics.buffered(4096)
    found = exposed(metrics)
    assert (found["events_total", "0"], found["events_total", "1"]) == (200, 100)
    assert (found["rejected_total", "0"], found["late_total", "0"], found["duplicates_total", "0"]) == (2, 4, 6)
    assert (found["landed_files_total", "1"], found["landed_rows_total", "1"], found["windows_open", "1"]) == (1, 99, 7)
    assert found["busy_seconds_total", None] == pytest.approx(0.03)
    assert found["buffer_bytes", None] == 4096


def test_processes_that_decode_are_counted_as_they_come_and_go() -> None:
    metrics = StreamMetrics()
    assert exposed(metrics)["decoder_processes", None] == 0
    metrics.decoder_processes(2)
    assert exposed(metrics)["decoder_processes", None] == 2


def test_lag_is_the_distance_to_the_newest_end_of_the_log() -> None:
    """A batch that waited its turn carries an older end than the fetch after it."""
    metrics = StreamMetrics()
    take(metrics, 100, 0.01, next_offset=300, high_watermark=1_000)
    take(metrics, 100, 0.01, next_offset=400, high_watermark=900)
    assert exposed(metrics)["lag_events", "0"] == 600


def test_assigned_partition_has_no_lag_until_the_log_is_seen() -> None:
    metrics = StreamMetrics()
    metrics.assigned(TOPIC, 0, 5_000)
    assert exposed(metrics)["lag_events", "0"] == 0
    take(metrics, 100, 0.01, next_offset=5_100, high_watermark=5_400)
    assert exposed(metrics)["lag_events", "0"] == 300


def test_released_partition_reports_no_lag_but_keeps_its_counts() -> None:
    metrics = StreamMetrics()
    take(metrics, 100, 0.01, next_offset=100, high_watermark=900)
    metrics.released(TOPIC, 0)
    found = exposed(metrics)
    assert ("lag_events", "0") not in found
    assert found["drain_seconds", None] == 0
    assert found["events_total", "0"] == 100


def test_busy_share_and_rate_are_those_of_the_last_ten_seconds() -> None:
    clock = Clock()
    metrics = StreamMetrics(clock)
    for _ in range(30):
        take(metrics, 500, 0.5)
        clock.now += 1
    assert metrics.busy_share == pytest.approx(0.5, rel=0.12)
    assert metrics.events_per_second == pytest.approx(500, rel=0.12)
    clock.now += 5
    assert metrics.busy_share == pytest.approx(0.2, abs=0.06)
    clock.now += 6
    assert metrics.busy_share == 0
    assert metrics.events_per_second == 0


def test_busy_share_of_a_worker_that_has_just_started_is_over_its_life() -> None:
    clock = Clock()
    metrics = StreamMetrics(clock)
    clock.now += 2
    take(metrics, 100, 1.5)
    assert metrics.busy_share == pytest.approx(0.75)


def test_drain_time_is_the_lag_at_the_recent_rate() -> None:
    clock = Clock()
    metrics = StreamMetrics(clock)
    clock.now += 10
    take(metrics, 5_000, 1, next_offset=5_000, high_watermark=20_000)
    assert metrics.drain_seconds == pytest.approx(30, rel=0.1)
    clock.now += 60
    assert metrics.drain_seconds == math.inf
    assert exposed(metrics)["drain_seconds", None] == math.inf


@pytest.mark.parametrize("is_paused", [True, False])
def test_pause_shows(is_paused: bool) -> None:
    metrics = StreamMetrics()
    metrics.paused(is_paused)
    assert exposed(metrics)["paused", None] == int(is_paused)


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [("*/*", "text/plain; version="), ("application/openmetrics-text", "application/openmetrics-text; version=")],
)
async def test_page_serves_the_format_that_the_client_prefers(accept: str, content_type: str) -> None:
    app = faust.App("test-metrics", broker="memory://", store="memory://")
    metrics = StreamMetrics()
    take(metrics, 3, 0.1, next_offset=3, high_watermark=9)
    add_metrics_page(app, metrics)
    app.finalize()
    async with TestClient(TestServer(await app.web.wsgi())) as client:
        response = await client.get("/metrics", headers={"Accept": accept})
        text = await response.text()
        assert (await client.get("/metrics/")).status == 200
    assert response.status == 200
    assert response.headers["Content-Type"].startswith(content_type)
    assert 'analytics_stream_lag_events{partition="0",topic="events.v1"} 6' in text
    assert "process_resident_memory_bytes" in text
