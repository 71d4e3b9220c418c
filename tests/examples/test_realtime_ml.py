"""The specification's example of live inference, run as it stands beside the embedded broker, the API and MLflow.

Only the import path is changed, and a model is trained and put into production first.
"""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from api.main import create_app
from platform_assets.contracts.features import CUSTOMER_ACTIVITY, CUSTOMER_LIVE
from platform_assets.features.live import LIVE_WINDOWS
from platform_assets.modeling.gate import Verdict
from platform_assets.sdk import ModelRegistry
from resources.event_log.topics import LogUnavailable, ensure_topics
from resources.online_store import SqliteLiveStore, SqliteOnlineStore
from resources.settings import Settings, load_settings
from streaming import EventStore, EventType, RealtimeMLPipeline
from streaming.realtime_ml import PipelineFailed, UnfitModel
from tests.conftest import running_broker
from tests.streaming.window_changes import activity, append

HOUSEHOLDS = [str(number) for number in range(50)]
AS_OF = dt.date(2017, 12, 1)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A broker with the topics, features of fifty households, and a model in production."""
    with running_broker() as address, pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANALYTICS_DATA_DIR", str(tmp_path_factory.mktemp("data")))
        patch.setenv("ANALYTICS_KAFKA__BOOTSTRAP_SERVERS", address)
        patch.setenv("ANALYTICS_STREAMING__SESSION_TIMEOUT_S", "1")
        settings = load_settings()
        ensure_topics(address)
        names = CUSTOMER_ACTIVITY.feature_names
        rows = np.random.default_rng(2).random((len(HOUSEHOLDS), len(names)))
        SqliteOnlineStore(settings.online_store_path).put_features(
            CUSTOMER_ACTIVITY,
            AS_OF,
            [
                (entity, dict(zip(names, row.tolist(), strict=True)))
                for entity, row in zip(HOUSEHOLDS, rows, strict=True)
            ],
        )
        asyncio.run(put_into_production())
        yield settings


async def put_into_production() -> None:
    registry = ModelRegistry(gate=lambda _: Verdict(True, "good enough for an example", "full"))
    version = await registry.register_model("user_churn_predictor", a_model(), "")
    await registry.transition_model(version.name, version.version, "production")


def a_model(width: int = len(CUSTOMER_ACTIVITY.feature_names)) -> LogisticRegression:
    random = np.random.default_rng(1)
    matrix = random.random((200, width))
    return LogisticRegression().fit(matrix, matrix[:, 0] > matrix[:, 1])


@pytest.fixture
async def rest(platform: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the API on the same data folder."""
    app = create_app(platform)
    transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 50000))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as http,
    ):
        yield http


async def answer(rest: httpx.AsyncClient, path: str) -> Any:
    """The data of a prediction, once there is one."""
    deadline = asyncio.get_running_loop().time() + 20
    while (response := await rest.get(path)).status_code == 404:
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.05)
    assert response.status_code == 200
    return response.json()["data"]


async def test_example_of_the_specification_runs_and_its_results_are_on_rest(
    platform: Settings, rest: httpx.AsyncClient
) -> None:
    """The registered model's own probability, from the features of the household, under the registered name."""
    # Setup real-time ML inference
    ml_pipeline = RealtimeMLPipeline()
    model_registry = ModelRegistry()

    # Load production model
    model = await model_registry.get_model("user_churn_predictor", stage="production")

    # Process events with ML inference
    async def ml_inference_pipeline() -> None:
        await ml_pipeline.start()

        # Register model for real-time inference
        await ml_pipeline.register_model("churn_prediction", model)

        # Events automatically flow through ML inference
        # Results are available via WebSocket or REST API

    await ml_inference_pipeline()
    try:
        await asyncio.to_thread(append, platform.kafka.address, [(3, activity(["17", "unknown"]))])
        found = await answer(rest, "/v1/predictions/churn_prediction/17")
    finally:
        await ml_pipeline.stop()
    vector = SqliteOnlineStore(platform.online_store_path).get_features(CUSTOMER_ACTIVITY, "17")
    assert vector is not None
    expected = a_model().predict_proba(np.array([list(vector.values.values())]))[0, 1]
    assert found["probability"] == pytest.approx(expected, abs=1e-12)
    assert (found["model_version"], found["features_as_of"]) == (model.version, AS_OF.isoformat())
    assert (await rest.get("/v1/predictions/churn_prediction/unknown")).status_code == 404


async def test_pipeline_goes_on_where_it_stopped(platform: Settings, rest: httpx.AsyncClient) -> None:
    """What came while none ran is scored by the next one."""
    await asyncio.to_thread(append, platform.kafka.address, [(2, activity(["18"]))])
    pipeline = RealtimeMLPipeline()
    await pipeline.register_model("second", a_model(), version="7")
    await pipeline.start()
    try:
        assert (await answer(rest, "/v1/predictions/second/18"))["model_version"] == "7"
    finally:
        await pipeline.stop()


async def test_pipeline_that_ended_on_its_own_says_why_when_it_is_stopped(platform: Settings) -> None:
    """A model that fails after it was registered; nothing is scored in silence with another."""

    class Fickle(LogisticRegression):  # type: ignore[misc]
        asked = 0

        def predict_proba(self, matrix: Any) -> Any:
            self.asked += 1
            if self.asked > 1:
                raise ArithmeticError("out of numbers")
            return a_model().predict_proba(matrix)

    model = Fickle()
    pipeline = RealtimeMLPipeline(reader="fickle")
    await pipeline.register_model("fickle", model)
    await pipeline.start()
    await asyncio.to_thread(append, platform.kafka.address, [(1, activity(["5"]))])
    while model.asked < 2:
        await asyncio.sleep(0.05)
    with pytest.raises(PipelineFailed, match="out of numbers"):
        await pipeline.stop()


async def test_events_are_processed_without_a_log(platform: Settings) -> None:
    """One prediction per user with features; the newest run wins over an earlier one."""
    event = EventStore().create_event(EventType.USER_ACTION, "page_view", {}, "web_app", user_id="5")
    unknown = EventStore().create_event(EventType.USER_ACTION, "page_view", {}, "web_app", user_id="nobody")
    for version in ("1", "2"):
        pipeline = RealtimeMLPipeline(follows_log=False)
        await pipeline.start()
        assert await pipeline.process([event]) == []  # no model yet
        await pipeline.register_model("direct", a_model(), version=version)
        (made,) = await pipeline.process([event, unknown, event])
        assert (made.entity_id, made.model, made.model_version) == ("5", "direct", version)
        assert await pipeline.newest("direct", "5") == made
        await pipeline.stop()


async def test_live_features_can_be_scored(platform: Settings) -> None:
    SqliteLiveStore(platform.live_store_path).put_live(
        LIVE_WINDOWS["user_activity_1m"], [["5", 1_700_000_000_000, 1_700_000_060_000, 3, 12.5]]
    )
    pipeline = RealtimeMLPipeline(follows_log=False)
    await pipeline.register_model("live", a_model(len(CUSTOMER_LIVE.feature_names)), feature_set=CUSTOMER_LIVE)
    event = EventStore().create_event(EventType.USER_ACTION, "page_view", {}, "web_app", user_id="5")
    (made,) = await pipeline.process([event])
    assert made.features_as_of == dt.date(2023, 11, 14)
    assert made.probability == pytest.approx(
        a_model(5).predict_proba(np.array([[3.0, 12.5, 0.0, 0.0, 0.0]]))[0, 1], abs=1e-12
    )


async def test_model_that_does_not_fit_its_features_is_refused_at_once(platform: Settings) -> None:
    with pytest.raises(UnfitModel, match="cannot score the 25 features of customer_activity"):
        await RealtimeMLPipeline(follows_log=False).register_model("narrow", a_model(3))


async def test_start_names_the_broker_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANALYTICS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("ANALYTICS_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    with pytest.raises(LogUnavailable, match=r"127\.0\.0\.1:1"):
        await RealtimeMLPipeline().start()
