"""/v1/predictions: a real exported model asked, and the stream's newest prediction, on a real online store."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from platform_assets.contracts.predictions import StreamPrediction, prediction_id
from resources.online_store import SqlitePredictionStore
from resources.settings import Settings
from tests.api.models import AS_OF, promote, put_features

PATH = "/v1/predictions/churn"
ASK = {"entity_id": "1228"}


@pytest.fixture
async def api(serve: Any, unreachable: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Predictions need no event log."""
    async with serve(unreachable) as http:
        yield http


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + 10
    while not await condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_a_prediction_answers_in_the_envelope_and_waits_for_the_first_load(
    serve: Any, unreachable: Settings
) -> None:
    expected = promote(unreachable.models_dir, version="3")
    put_features(unreachable.online_store_path)
    async with serve(unreachable) as api:
        response = await api.post(PATH, json=ASK)
        assert response.status_code == 200
        body = response.json()
        assert body["success"] is True
        assert body["data"] == {
            "entity_id": "1228",
            "probability": pytest.approx(expected, abs=1e-9),
            "model": "churn",
            "model_version": "3",
            "features_as_of": AS_OF.isoformat(),
        }
        assert body["metadata"]["request_id"] == response.headers["x-request-id"]
        parts = (await api.get("/health/ready")).json()["parts"]
        assert parts["models"] == {"churn": {"state": "loaded", "version": "3"}}
        assert (parts["online_store"]["present"], parts["online_store"]["entities"]) == (True, 1)


async def test_an_unknown_entity_is_404(serve: Any, unreachable: Settings) -> None:
    promote(unreachable.models_dir, version="1")
    put_features(unreachable.online_store_path)
    async with serve(unreachable) as api:
        response = await api.post(PATH, json={"entity_id": "no-such"})
        assert response.status_code == 404
        assert response.json()["type"].endswith("unknown-entity")
        assert "'no-such'" in response.json()["detail"]


@pytest.mark.parametrize(
    ("model", "status"),
    # An escaped slash makes it the path of an entity, which is only read.
    [("spend", 404), ("..", 404), ("CHURN", 404), ("%2e%2e%2fchurn", 405)],
)
async def test_an_unknown_model_is_404(api: httpx.AsyncClient, model: str, status: int) -> None:
    response = await api.post(f"/v1/predictions/{model}", json=ASK)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"


async def test_before_the_first_promotion_the_answer_says_so(api: httpx.AsyncClient) -> None:
    response = await api.post(PATH, json=ASK)
    assert response.status_code == 503
    assert "No churn model has been promoted yet" in response.json()["detail"]
    assert int(response.headers["retry-after"]) >= 1


async def test_without_features_the_answer_says_so(serve: Any, unreachable: Settings) -> None:
    promote(unreachable.models_dir, version="1")
    async with serve(unreachable) as api:
        response = await api.post(PATH, json=ASK)
        assert response.status_code == 503
        assert "has no features customer_activity version 1" in response.json()["detail"]


async def test_a_model_of_another_feature_version_does_not_answer(serve: Any, unreachable: Settings) -> None:
    promote(unreachable.models_dir, version="1", feature_set_version=2)
    put_features(unreachable.online_store_path)
    async with serve(unreachable) as api:
        response = await api.post(PATH, json=ASK)
        assert response.status_code == 503
        assert "reads customer_activity version 2, but this release serves" in response.json()["detail"]


async def test_a_damaged_store_is_a_503_without_internals(serve: Any, unreachable: Settings) -> None:
    promote(unreachable.models_dir, version="1")
    unreachable.online_store_path.write_bytes(b"not a database, but long enough to be read as one" * 100)
    async with serve(unreachable) as api:
        response = await api.post(PATH, json=ASK)
        assert response.status_code == 503
        assert str(unreachable.root) not in response.text


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"nope", b"[]", b'{"entity_id": 1228}', b'{"entity_id": ""}', b'{"entity_id": "1", "model": "x"}'],
)
async def test_a_malformed_request_is_a_422_problem(api: httpx.AsyncClient, body: bytes) -> None:
    response = await api.post(PATH, content=body, headers={"content-type": "application/json"})
    assert response.status_code == 422
    problem = response.json()
    assert problem["type"].endswith("invalid-request")
    assert problem["errors"][0]["location"][0] == "body"
    assert "input" not in problem["errors"][0]


async def test_a_body_of_bytes_or_endless_depth_is_a_4xx(api: httpx.AsyncClient) -> None:
    for body in (b"\xff\xfe", b"[" * 100_000):
        response = await api.post(PATH, content=body, headers={"content-type": "application/json"})
        assert 400 <= response.status_code < 500


async def test_a_promotion_is_served_without_a_failed_request(serve: Any, unreachable: Settings) -> None:
    promote(unreachable.models_dir, version="1")
    put_features(unreachable.online_store_path)
    async with serve(unreachable) as api:
        versions: list[str] = []

        async def ask() -> bool:
            response = await api.post(PATH, json=ASK)
            assert response.status_code == 200
            versions.append(response.json()["data"]["model_version"])
            return versions[-1] == "2"

        assert not await ask()
        await asyncio.to_thread(promote, unreachable.models_dir, version="2", shift=1.0)
        await until(ask)
        assert versions == sorted(versions)


async def test_a_corrupt_promotion_leaves_the_old_champion_serving(serve: Any, unreachable: Settings) -> None:
    promote(unreachable.models_dir, version="1")
    put_features(unreachable.online_store_path)
    async with serve(unreachable) as api:
        await api.post(PATH, json=ASK)
        pointer = unreachable.models_dir / "churn" / "champion.json"
        pointer.write_text(json.dumps({"version": "9", "manifest_sha256": "0" * 64}))

        async def failed() -> bool:
            part = (await api.get("/health/ready")).json()["parts"]["models"]["churn"]
            return bool(part == {"state": "failed", "version": "1"})

        await until(failed)
        response = await api.post(PATH, json=ASK)
        assert (response.status_code, response.json()["data"]["model_version"]) == (200, "1")


async def test_a_corrupt_first_champion_is_a_503(serve: Any, unreachable: Settings) -> None:
    pointer = unreachable.models_dir / "churn" / "champion.json"
    pointer.parent.mkdir(parents=True)
    pointer.write_text("{}")
    async with serve(unreachable) as api:
        response = await api.post(PATH, json=ASK)
        assert response.status_code == 503
        assert "cannot be loaded" in response.json()["detail"]


def put_in_stream(settings: Settings, entity_id: str) -> StreamPrediction:
    """What the scorer would have written."""
    made = StreamPrediction(
        prediction_id=prediction_id("churn", "3", entity_id, "L/2/41"),
        model="churn",
        model_version="3",
        entity_id=entity_id,
        probability=0.083,
        features_as_of=AS_OF,
        predicted_ms=1_764_000_000_120,
        source_topic="windows.v1",
        source_log="L",
        source_partition=2,
        source_offset=41,
    )
    SqlitePredictionStore(settings.prediction_store_path).put_predictions("scorer", [made], {})
    return made


@pytest.mark.parametrize("entity", ["1228", "user 7", "it's"])
async def test_the_stream_s_prediction_answers_in_the_envelope(
    api: httpx.AsyncClient, unreachable: Settings, entity: str
) -> None:
    made = put_in_stream(unreachable, entity)
    response = await api.get(f"{PATH}/{quote(entity)}")
    assert response.status_code == 200
    body = response.json()
    assert body["data"] == {
        "entity_id": entity,
        "probability": 0.083,
        "model": "churn",
        "model_version": "3",
        "features_as_of": AS_OF.isoformat(),
        "prediction_id": made.prediction_id,
        "predicted_at": "2025-11-24T16:00:00.120000Z",
    }
    assert body["metadata"]["request_id"] == response.headers["x-request-id"]


@pytest.mark.parametrize("path", ["churn/17", "spend/1228"])
async def test_what_the_stream_did_not_predict_is_a_404_problem(
    api: httpx.AsyncClient, unreachable: Settings, path: str
) -> None:
    """Before the scorer ran, and for others than it scored."""
    assert (await api.get(f"/v1/predictions/{path}")).status_code == 404
    put_in_stream(unreachable, "1228")
    response = await api.get(f"/v1/predictions/{path}")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"].endswith("not-predicted")


async def test_a_damaged_prediction_store_is_a_503_without_internals(
    api: httpx.AsyncClient, unreachable: Settings
) -> None:
    unreachable.prediction_store_path.parent.mkdir(parents=True, exist_ok=True)
    unreachable.prediction_store_path.write_bytes(b"not a database, but long enough to be read as one" * 100)
    response = await api.get(f"{PATH}/1228")
    assert response.status_code == 503
    assert str(unreachable.root) not in response.text
