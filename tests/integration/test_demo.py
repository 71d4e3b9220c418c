"""The main job, as a newcomer and the three kinds of users see it: one platform with the sample, used in every way."""

import datetime as dt
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from deployments.local.lineage_picture import take
from tests.integration.conftest import Platform

pytestmark = [pytest.mark.integration, pytest.mark.alone]


class RunningDemo:
    """A platform whose sample demo has ended, and what `up` said and took."""

    def __init__(self, platform: Platform, finished: "subprocess.CompletedProcess[str]", seconds: float) -> None:
        self.platform = platform
        self.finished = finished
        self.seconds = seconds
        self.api = platform.address("api")
        self.dagster = platform.address("dagster")

    def graphql(self, query: str, **variables: Any) -> dict[str, Any]:
        answer = httpx.post(f"{self.dagster}/graphql", json={"query": query, "variables": variables}, timeout=30).json()
        assert "errors" not in answer, answer
        return dict(answer["data"])


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    # The hourly checks every minute, so that a schedule ticks while the tests run.
    platform = Platform(tmp_path_factory.mktemp("demo") / "data", ANALYTICS_DAGSTER__PLATFORM_CHECKS_CRON="* * * * *")
    started = time.monotonic()
    finished = platform.analytics("up", "--detach", "--sample", timeout_s=900)
    yield RunningDemo(platform, finished, time.monotonic() - started)
    platform.destroy()


def test_up_ends_with_a_real_prediction_the_auc_beside_the_rule_and_the_addresses(demo: RunningDemo) -> None:
    assert demo.finished.returncode == 0, demo.finished.stdout + demo.finished.stderr
    said = demo.finished.stdout
    assert "Household 1228 will buy nothing in the next 28 days with probability" in said
    assert "AUC 0." in said
    assert "of the recency rule" in said
    assert "promoted as bootstrap" in said
    assert demo.dagster in said


def test_status_says_ready_in_the_documented_shape(demo: RunningDemo) -> None:
    finished = demo.platform.analytics("status", "--json")
    status = json.loads(finished.stdout)
    assert finished.returncode == 0
    assert status["ready"] is True
    assert status["accepting"] is True
    assert status["demo"] == {"phase": "done", "done": 109_686, "total": 109_686}
    assert {"name", "pid", "state", "restarts"} == set(status["processes"][0])
    assert {"api", "dagster"} <= set(status["addresses"])


def test_every_sent_line_is_in_the_warehouse_or_refused_with_a_reason(demo: RunningDemo) -> None:
    (landed,) = demo.platform.sql(
        "SELECT count(DISTINCT event_id) FROM landing.events WHERE event_name = 'purchase_line'"
    )
    (refused,) = demo.platform.sql("SELECT count(DISTINCT event_id) FROM landing.rejected_events WHERE origin = 'door'")
    (counted,) = demo.platform.sql(
        "SELECT sum(event_count)::BIGINT FROM marts.fct_event_days WHERE event_name = 'purchase_line'"
    )
    assert int(landed) + int(refused) == 109_686
    assert counted == landed


def test_prediction_answers_for_a_household_over_rest(demo: RunningDemo) -> None:
    response = httpx.post(f"{demo.api}/v1/predictions/churn", json={"entity_id": "1228"})
    answer = response.json()
    assert response.status_code == 200
    assert answer["success"] is True
    assert set(answer["data"]) == {"entity_id", "probability", "model", "model_version", "features_as_of"}
    assert 0 < answer["data"]["probability"] < 1
    assert answer["data"]["features_as_of"] == "2018-01-01"


@pytest.mark.parametrize(
    ("route", "body", "status"),
    [
        ("/v1/predictions/churn", {"entity_id": "no-such-household"}, 404),
        ("/v1/predictions/no-such-model", {"entity_id": "1228"}, 404),
        ("/v1/predictions/churn", {"entity": "1228"}, 422),
        ("/v1/events", {"event_name": "page_view"}, 422),
    ],
)
def test_bad_request_gets_a_problem_that_says_what_is_wrong(
    demo: RunningDemo, route: str, body: dict[str, str], status: int
) -> None:
    response = httpx.post(f"{demo.api}{route}", json=body)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["request_id"]
    assert response.json()["detail"]


def test_own_event_is_seen_on_landing_and_then_counted_in_the_marts_by_the_sensor_alone(demo: RunningDemo) -> None:
    event_id = f"mine-{time.time_ns()}"
    response = httpx.post(
        f"{demo.api}/v1/events",
        json={"event_id": event_id, "event_name": "page_view", "source_service": "my_shop", "payload": {"page": "/"}},
    )
    assert response.status_code == 202
    deadline = time.monotonic() + 30
    while event_id not in demo.platform.sql("SELECT event_id FROM landing.events WHERE source_service = 'my_shop'"):
        assert time.monotonic() < deadline, "the event did not land"
    deadline = time.monotonic() + 180
    while demo.platform.sql("SELECT event_count FROM marts.fct_event_days WHERE source_service = 'my_shop'") != ["1"]:
        assert time.monotonic() < deadline, "the sensor did not bring the event into the marts"
        time.sleep(1)
    sensor = demo.graphql(
        """{ runsOrError(filter: {pipelineName: "warehouse_job"}) { ... on Runs {
        results { status tags { key value } } } } }"""
    )["runsOrError"]["results"]
    assert any(tag == {"key": "dagster/sensor_name", "value": "landed_events_sensor"} for tag in sensor[0]["tags"])


def test_daemon_ticks_a_schedule(demo: RunningDemo) -> None:
    deadline = time.monotonic() + 150
    while True:
        runs = demo.graphql(
            """{ runsOrError(filter: {pipelineName: "platform_checks_job"}) { ... on Runs {
            results { status tags { key value } } } } }"""
        )["runsOrError"]["results"]
        by_schedule = [
            run for run in runs if {"key": "dagster/schedule_name", "value": "platform_checks_hourly"} in run["tags"]
        ]
        if any(run["status"] == "SUCCESS" for run in by_schedule):
            return
        assert time.monotonic() < deadline, f"no run by the schedule succeeded: {runs}"
        time.sleep(2)


def test_every_asset_has_owner_group_kinds_description_and_a_check_and_none_is_an_orphan(demo: RunningDemo) -> None:
    nodes = demo.graphql(
        """{ assetNodes { assetKey { path } groupName description kinds owners { ... on TeamAssetOwner { team } }
        hasAssetChecks dependencyKeys { path } dependedByKeys { path } isExecutable } }"""
    )["assetNodes"]
    for node in nodes:
        name = "/".join(node["assetKey"]["path"])
        assert node["groupName"] == node["assetKey"]["path"][0], name
        assert node["description"], name
        assert node["owners"], name
        assert 1 <= len(node["kinds"]) <= 2, name
        assert node["hasAssetChecks"], name
    children = {tuple(n["assetKey"]["path"]): {tuple(k["path"]) for k in n["dependedByKeys"]} for n in nodes}
    parents = {tuple(n["assetKey"]["path"]): {tuple(k["path"]) for k in n["dependencyKeys"]} for n in nodes}
    reached = {("routes", "ingest_events")}
    while True:
        more = reached | {key for known in reached for key in children[known] | parents[known]}
        if more == reached:
            break
        reached = more
    assert reached == set(children), set(children) - reached
    ahead = {("log", "events")}
    for _ in children:
        ahead |= {child for known in ahead for child in children[known]}
    assert ("serving", "predict_churn") in ahead


def test_every_check_that_ran_passed(demo: RunningDemo) -> None:
    nodes = demo.graphql(
        """{ assetNodes { assetKey { path } assetChecksOrError { ... on AssetChecks { checks { name
        executionForLatestMaterialization { status evaluation { severity } } } } } } }"""
    )["assetNodes"]
    statuses = {
        ("/".join(node["assetKey"]["path"]), check["name"]): check["executionForLatestMaterialization"]
        for node in nodes
        for check in node["assetChecksOrError"]["checks"]
    }
    ran = {key: found for key, found in statuses.items() if found is not None}
    failed = {
        key
        for key, found in ran.items()
        if found["status"] not in ("SUCCEEDED", "IN_PROGRESS") and (found["evaluation"] or {}).get("severity") != "WARN"
    }
    assert not failed
    assert len(ran) > 100


def test_ui_shows_the_graph_from_the_topic_to_the_prediction_route(demo: RunningDemo, tmp_path: Path) -> None:
    picture = tmp_path / "lineage.png"
    take(demo.dagster, picture)  # waits until every name on the way stands on the graph
    with Image.open(picture) as graph:
        assert graph.width > 1500
        colours = graph.convert("RGB").getcolors(1 << 24) or []
    # Green: an asset that was materialised and whose checks passed.
    greenish = [
        count for count, colour in colours if isinstance(colour, tuple) and colour[1] > max(200, colour[0] + 10)
    ]
    assert sum(greenish) > 10_000


def test_second_start_accepts_in_ten_seconds_and_is_ready_in_forty_five(
    demo: RunningDemo, record_property: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert demo.platform.analytics("down").returncode == 0
    assert demo.platform.processes() == []
    started = time.monotonic()
    demo.platform.start("--detach")
    demo.platform.wait(lambda status: status["accepting"], "accepting", 60)
    accepting_s = time.monotonic() - started
    assert httpx.post(f"{demo.api}/v1/predictions/churn", json={"entity_id": "1228"}, timeout=10).status_code == 200
    demo.platform.wait(lambda status: status["ready"], "ready", 120)
    ready_s = time.monotonic() - started
    with capsys.disabled():
        print(f"\nsample demo {demo.seconds:.0f} s; second start accepting {accepting_s:.1f} s, ready {ready_s:.1f} s")  # noqa: T201
    assert accepting_s < 10
    assert ready_s < 45
    assert demo.platform.sql("SELECT count(*) - count(DISTINCT event_id) FROM landing.events") == ["0"]


def test_features_know_nothing_after_their_day(demo: RunningDemo) -> None:
    answer = httpx.post(f"{demo.api}/v1/predictions/churn", json={"entity_id": "1228"}, timeout=10).json()
    (last,) = demo.platform.sql("SELECT max(order_date) FROM marts.fct_orders")
    assert dt.date.fromisoformat(answer["data"]["features_as_of"]) == dt.date.fromisoformat(last) + dt.timedelta(days=1)
