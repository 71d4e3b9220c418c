"""Secrets planted in every place of a request and of the settings never come out again (security.md 41)."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from resources.settings import ApiSettings, KafkaSettings, Settings
from tests.conftest import free_port
from tests.otlp_collector import OtlpCollector
from tests.served_api import served_api

PLANTED = "kV8tQx2mR5zLw9PnPlanted"
HEADERS = [
    {"Authorization": f"Bearer {PLANTED}"},
    {"Authorization": f"Basic {PLANTED}"},
    {"Authorization": PLANTED},
    {"X-API-Key": PLANTED},
    {"Cookie": f"session={PLANTED}"},
    {"X-Request-ID": f"{PLANTED} with a blank"},
    {"traceparent": PLANTED},
    {"X-Forwarded-For": PLANTED},
    {"Host": f"{PLANTED}.example"},
    {"Content-Encoding": PLANTED},
    {"Content-Type": PLANTED},
]
BODIES = [
    f'{{"username": "ada", "password": "{PLANTED}"}}',
    f'{{"password": "{PLANTED}"',
    f'{{"event_name": 7, "payload": {{"token": "{PLANTED}"}}}}',
    f'{{"entity_id": {{"secret": "{PLANTED}"}}}}',
    f"grant_type=password&username=ada&password={PLANTED}",
    PLANTED,
]
# The address of a request is its author's to choose, and the answer and the log name its path, but never its query.
ROUTES = ["/v1/events", "/v1/predictions/churn", "/v1/tokens", "/v1/users", "/health", "/nothing", "/openapi.json"]


@pytest.fixture(scope="module")
def collector() -> Iterator[OtlpCollector]:
    """Where the server sends its traces."""
    made = OtlpCollector()
    yield made
    made.close()


@pytest.fixture(scope="module")
def log_and_answers(tmp_path_factory: pytest.TempPathFactory, broker: str, collector: OtlpCollector) -> tuple[str, str]:
    """Everything that a server wrote and answered when asked in all these ways."""
    folder = tmp_path_factory.mktemp("planted")
    settings = Settings(
        data_dir=folder / "data", api=ApiSettings(port=free_port()), kafka=KafkaSettings(bootstrap_servers=broker)
    )
    answers = []
    planted_settings = {
        "ANALYTICS_LIMITS__STORAGE_URL": f"redis://:{PLANTED}@127.0.0.1:1/0",  # nothing listens there
        "ANALYTICS_DAGSTER__POSTGRES_URL": f"postgresql://dagster:{PLANTED}@127.0.0.1:1/dagster",
        "ANALYTICS_REGISTRY__URI": f"https://mlflow:{PLANTED}@127.0.0.1:1",
        "ANALYTICS_TELEMETRY__OTLP_ENDPOINT": collector.address,
        "ANALYTICS_TELEMETRY__SAMPLED_SHARE": "1",
    }
    with (
        (folder / "log").open("wb") as log,
        served_api(settings, log=log, **planted_settings) as address,
        httpx.Client(base_url=address) as http,
    ):
        for route in ROUTES:
            query = {"api_key": PLANTED, "access_token": PLANTED, "q": PLANTED}
            for method in ("GET", "POST", "PATCH", "TRACE"):
                answers.append(http.request(method, route, params=query))
                answers += [http.request(method, route, headers=headers, content=BODIES[0]) for headers in HEADERS]
            for body in BODIES:
                for media_type in ("application/json", "application/x-ndjson", "application/x-www-form-urlencoded"):
                    answers.append(http.post(route, content=body, headers={"Content-Type": media_type}))
    told = "\n".join(f"{answer.status_code} {answer.headers} {answer.text}" for answer in answers)
    return Path(folder / "log").read_text(), told


def test_no_planted_secret_is_in_the_log(log_and_answers: tuple[str, str]) -> None:
    log, _ = log_and_answers
    lines = [json.loads(line) for line in log.splitlines()]
    assert len([line for line in lines if line["message"] == "Request"]) > 400
    assert [line for line in lines if PLANTED in str(line)] == []


def test_no_planted_secret_is_in_an_answer(log_and_answers: tuple[str, str]) -> None:
    _, answers = log_and_answers
    assert PLANTED not in answers


def test_no_planted_secret_is_in_a_trace(log_and_answers: tuple[str, str], collector: OtlpCollector) -> None:
    """Every request was traced."""
    log, _ = log_and_answers
    requests = log.count('"message":"Request"')
    assert len([span for span in collector.spans if "http.request.method" in span.attributes]) == requests > 400
    assert PLANTED.encode() not in collector.bodies


def test_no_request_of_these_breaks_the_server(log_and_answers: tuple[str, str]) -> None:
    log, answers = log_and_answers
    assert "Unhandled error" not in log
    assert not [line for line in answers.splitlines() if line.startswith("500 ")]
