"""/v1/metrics: declared metrics, from the published snapshot and from nothing else."""

import asyncio
import csv
import io
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from platform_assets.contracts.metrics import METRICS
from resources.settings import KafkaSettings, MetricsSettings, Settings
from resources.warehouse import Warehouse
from resources.warehouse.snapshots import publish_snapshot
from tests.api.conftest import UNLIMITED, serving
from tests.published_marts import PUBLISHED, publish_marts

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATH = "/v1/metrics/sales"
SQL = 'department" FROM marts.fct_orders; DROP TABLE x; --'


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a deployment that has published once. Metrics need no event log."""
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("data"),
        kafka=KafkaSettings(bootstrap_servers="127.0.0.1:1"),
        limits=UNLIMITED,
    )
    publish_marts(settings)
    return settings


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(published: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(published) as http:
        yield http


async def test_catalogue_names_every_metric_before_anything_is_published(serve: Any, unreachable: Settings) -> None:
    async with serve(unreachable) as api:
        response = await api.get("/v1/metrics")
    assert response.status_code == 200
    listed = response.json()["data"]["metrics"]
    assert [metric["name"] for metric in listed] == sorted(METRICS)
    sales = next(metric for metric in listed if metric["name"] == "sales")
    assert [dimension["name"] for dimension in sales["dimensions"]] == ["department", "brand"]
    assert "gt" not in sales["dimensions"][0]["operators"]


async def test_a_metric_answers_in_the_envelope_with_the_version_of_its_data(api: httpx.AsyncClient) -> None:
    response = await api.get(
        PATH,
        params={"grain": "month", "dimensions": "department,brand", "filter": "brand:eq:National", "order": "-value"},
    )
    assert response.status_code == 200
    body = response.json()
    assert body["success"] is True
    assert body["data"]["rows"][0] == {
        "period": "2017-01-01", "department": "=FUEL()", "brand": "National", "value": 62.0,
    }  # fmt: skip
    assert len(body["data"]["rows"]) == 4
    assert (body["data"]["unit"], body["data"]["is_truncated"]) == ("USD", False)
    snapshot = body["data"]["snapshot"]
    assert snapshot["version"] == response.headers["x-data-version"]
    assert (snapshot["data_through"], snapshot["is_late"]) == ("2017-02-09", False)
    assert body["metadata"]["request_id"] == response.headers["x-request-id"]


async def test_range_and_limit_are_kept(api: httpx.AsyncClient) -> None:
    data = (await api.get(f"{PATH}?from=2017-01-03&to=2017-01-07&limit=2")).json()["data"]
    assert [row["period"] for row in data["rows"]] == ["2017-01-03", "2017-01-04"]
    assert data["is_truncated"] is True


@pytest.mark.parametrize(
    "query",
    [
        "grain=hour",
        f"grain={SQL}",
        "dimensions=household_id",
        f"dimensions={SQL}",
        f"filter={SQL}:eq:1",
        "filter=department:like:x",
        "filter=department",
        f"order={SQL}",
        "order=sales_value",
        "limit=0",
        "limit=100000",
        "from=2017-02-30",
        "from=1483228800",
        "from=2017-02-01&to=2017-01-01",
        "where=1",
        "dimension=brand",
        "&".join(["filter=brand:eq:x"] * 11),
    ],
)
async def test_what_is_not_declared_is_a_422_that_names_what_is(api: httpx.AsyncClient, query: str) -> None:
    response = await api.get(f"{PATH}?{query}")
    assert response.status_code == 422
    problem = response.json()
    assert problem["type"].split(":")[-1] in {"invalid-metric-query", "invalid-request"}
    assert "DROP" not in response.text


@pytest.mark.parametrize("name", ["nothing", "fct_orders", "sales;", "read_csv('/etc/passwd')", "..%2Fsales", "S" * 65])
async def test_an_unknown_metric_is_404_or_422(api: httpx.AsyncClient, name: str) -> None:
    response = await api.get(f"/v1/metrics/{name}")
    assert response.status_code in {404, 422}
    assert response.headers["content-type"] == "application/problem+json"


async def test_sql_in_a_value_is_a_value(api: httpx.AsyncClient) -> None:
    """As a value it fits no row: the answer is empty and the next one is whole."""
    for value in ("' OR 1=1 --", '" OR 1=1 --', "x'); ATTACH '/tmp/x'; --", "read_csv('/etc/passwd')"):
        response = await api.get(PATH, params={"filter": f"department:eq:{value}"})
        assert (response.status_code, response.json()["data"]["rows"]) == (200, [])
    assert len((await api.get(PATH)).json()["data"]["rows"]) == 40


async def test_unchanged_data_is_304_and_a_new_snapshot_is_read(serve: Any, unreachable: Settings) -> None:
    publish_marts(unreachable)
    async with serve(unreachable) as api:
        asked = {"grain": "total"}
        first = await api.get(PATH, params=asked)
        etag = first.headers["etag"]
        for tags in (etag, f'"x", {etag}', "*"):
            again = await api.get(PATH, params=asked, headers={"If-None-Match": tags})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
        assert again.headers["cache-control"] == "private, no-cache"
        other = await api.get(PATH, params={"grain": "month"}, headers={"If-None-Match": etag})
        assert other.status_code == 200
        await asyncio.to_thread(publish_marts, unreachable, 3)
        deadline = time.monotonic() + 10
        while (changed := await api.get(PATH, params=asked, headers={"If-None-Match": etag})).status_code == 304:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        value = first.json()["data"]["rows"][0]["value"]
        assert changed.json()["data"]["rows"] == [{"value": 3 * value}]


async def test_csv_has_a_heading_and_no_formulas(api: httpx.AsyncClient) -> None:
    asked = {"grain": "month", "dimensions": "department"}
    response = await api.get(PATH, params=asked, headers={"Accept": "text/csv"})
    assert response.headers["content-type"].startswith("text/csv")
    assert (response.headers["vary"], response.headers["x-truncated"]) == ("Accept", "false")
    rows = list(csv.reader(io.StringIO(response.text)))
    assert rows[0] == ["period", "department", "value"]
    assert ["2017-01-01", "'=FUEL()", "62.0"] in rows
    as_json = await api.get(PATH, params=asked)
    assert as_json.headers["etag"] != response.headers["etag"]


async def test_before_the_first_publication_the_answer_is_503_with_retry_after(
    serve: Any, unreachable: Settings
) -> None:
    async with serve(unreachable) as api:
        response = await api.get(PATH)
        assert response.status_code == 503
        assert response.json()["type"].endswith("nothing-published")
        assert int(response.headers["retry-after"]) > 0
        await asyncio.to_thread(publish_marts, unreachable)
        assert (await api.get(PATH)).status_code == 200


async def test_a_damaged_snapshot_is_503_without_internals(serve: Any, unreachable: Settings) -> None:
    snapshot = publish_marts(unreachable)
    (unreachable.snapshots_dir / snapshot.files[0]).write_bytes(b"no database" * 1000)
    async with serve(unreachable) as api:
        response = await api.get(PATH)
    assert response.status_code == 503
    assert str(unreachable.root) not in response.text


async def test_a_snapshot_that_is_damaged_later_leaves_the_one_before_serving(
    serve: Any, unreachable: Settings
) -> None:
    publish_marts(unreachable)
    async with serve(unreachable) as api:
        assert (await api.get(PATH)).status_code == 200
        (unreachable.snapshots_dir / "snapshot.json").write_text("{")
        await asyncio.sleep(1.2)
        assert (await api.get(PATH, params={"grain": "month"})).status_code == 200


async def test_overload_is_refused_at_once_and_said_with_retry_after(serve: Any, published: Settings) -> None:
    """Of 40 different questions at once some are answered and the others told to come back; none waits in a pile."""
    few = published.model_copy(update={"metrics": MetricsSettings(workers=1, waiting=3, waiting_per_caller=50)})
    async with serve(few) as api:
        await api.get(PATH)
        responses = await asyncio.gather(*(api.get(PATH, params={"limit": limit}) for limit in range(1, 41)))
    statuses = {response.status_code for response in responses}
    assert statuses == {200, 503}
    assert all("retry-after" in response.headers for response in responses if response.status_code == 503)


async def test_one_caller_cannot_take_every_place(serve: Any, published: Settings) -> None:
    few = published.model_copy(update={"metrics": MetricsSettings(workers=1, waiting=100, waiting_per_caller=2)})
    async with serve(few) as api:
        await api.get(PATH)
        responses = await asyncio.gather(*(api.get(PATH, params={"limit": limit}) for limit in range(1, 11)))
    assert {response.status_code for response in responses} == {200, 429}


async def test_a_query_that_takes_too_long_is_ended_and_said(serve: Any, unreachable: Settings) -> None:
    """Distinct households of three million orders take some hundred times the limit."""
    publish_marts(unreachable)
    warehouse = Warehouse.of(unreachable)
    with warehouse.write("many orders") as connection:
        connection.execute(
            "CREATE OR REPLACE TABLE marts.fct_orders AS SELECT DATE '2017-01-01' AS order_date, i AS order_id, "
            "'h' || i AS household_id, 's' AS store_id, 1.0 AS sales_value FROM range(3000000) AS t(i)"
        )
    publish_snapshot(warehouse, unreachable.snapshots_dir, PUBLISHED)
    hurried = unreachable.model_copy(update={"metrics": MetricsSettings(query_timeout_s=0.005)})
    async with serve(hurried) as api:
        response = await api.get("/v1/metrics/active_households")
    assert response.status_code == 503
    assert response.json()["type"].endswith("metric-query-took-too-long")
    assert int(response.headers["retry-after"]) > 0


async def test_what_was_asked_is_answered_by_a_new_snapshot_without_a_query(serve: Any, unreachable: Settings) -> None:
    publish_marts(unreachable)
    async with serve(unreachable) as api:
        first = await api.get(PATH)
        snapshot = await asyncio.to_thread(publish_marts, unreachable, 3)
        service = api._transport.app.state.metrics
        deadline = time.monotonic() + 10
        while (await service.version()).version != snapshot.version:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        service._executor.shutdown()
        renewed = await api.get(PATH)
    values = [[row["value"] for row in answer.json()["data"]["rows"]] for answer in (first, renewed)]
    assert values[1] == [3 * value for value in values[0]]


async def test_an_answer_is_kept_for_its_snapshot(serve: Any, published: Settings) -> None:
    """The second answer comes without a query: there is no time for one."""
    async with serve(published) as api:
        first = await api.get(PATH)
        service = api._transport.app.state.metrics
        service._executor.shutdown()
        again = await api.get(PATH)
        assert again.json()["data"]["rows"] == first.json()["data"]["rows"]
