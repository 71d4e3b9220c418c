"""GET /v1/lineage: from the published file only, by any of an asset's names, and bounded."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from api.envelope import StandardResponse
from api.routes.lineage import LineageAnswer
from platform_assets.lineage.graph import Asset, AssetKind, Column, Edge, Influence, LineageGraph
from resources.lineage.store import POINTER, LineageStore
from resources.settings import Settings


def chain(length: int) -> LineageGraph:
    """log/events.payload.amount → marts/m0.amount → … and a filter that decides the rows of the first."""
    events = Asset(
        name="log/events",
        kind=AssetKind.TOPIC,
        columns=(Column("event_name"), Column("payload"), Column("payload.amount")),
        aliases=("events",),
    )
    graph = LineageGraph([events])
    before, column = "log/events", "payload.amount"
    for number in range(length):
        name = f"marts/m{number}"
        graph.add_asset(Asset(name=name, kind=AssetKind.TABLE, columns=(Column("amount"), Column("other"))))
        graph.add_edge(
            Edge(
                source=before,
                source_column=column,
                target=name,
                target_column="amount",
                found_in=f"dbt model m{number}",
            )
        )
        before, column = name, "amount"
    graph.add_edge(
        Edge(
            source="log/events", source_column="event_name", target="marts/m0", target_column="*",
            influence=Influence.CONDITION, found_in="dbt model m0",
        )
    )  # fmt: skip
    return graph


@pytest.fixture
async def api(serve: Any, unreachable: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with serve(unreachable) as http:
        yield http


@pytest.fixture
def published(unreachable: Settings) -> LineageStore:
    store = LineageStore(unreachable.lineage_dir)
    store.publish(chain(4))
    return store


def places(answer: httpx.Response, direction: str) -> list[str]:
    return [f"{one['asset']}.{one['column']}" for one in answer.json()["data"][direction]]


async def test_column_is_followed_downstream_with_the_edges_that_say_so(
    api: httpx.AsyncClient, published: LineageStore
) -> None:
    answer = await api.get("/v1/lineage/events", params={"column": "payload.amount", "direction": "downstream"})
    assert answer.status_code == 200
    StandardResponse[LineageAnswer].model_validate_json(answer.content, strict=True)
    assert places(answer, "downstream") == [f"marts/m{number}.amount" for number in range(4)]
    assert places(answer, "upstream") == []
    data = answer.json()["data"]
    assert data["edges"][0] == {
        "source": "log/events",
        "source_column": "payload.amount",
        "target": "marts/m0",
        "target_column": "amount",
        "influence": "direct",
        "found_in": "dbt model m0",
    }
    pointer = published.pointer()
    assert pointer is not None
    assert data["version"]["sha256"] == pointer.sha256
    assert not data["truncated"]


async def test_asset_answers_to_dots_and_aliases_and_both_directions(
    api: httpx.AsyncClient, published: LineageStore
) -> None:
    answer = await api.get("/v1/lineage/marts.m1")
    data = answer.json()["data"]
    assert [one["asset"] for one in data["upstream"]] == ["marts/m0", "log/events"]
    assert [one["asset"] for one in data["downstream"]] == ["marts/m2", "marts/m3"]
    assert {(edge["source"], edge["target"]) for edge in data["edges"]} == {
        ("log/events", "marts/m0"), ("marts/m0", "marts/m1"), ("marts/m1", "marts/m2"), ("marts/m2", "marts/m3"),
    }  # fmt: skip
    by_dots = await api.get("/v1/lineage/events.payload.amount", params={"depth": 1, "direction": "downstream"})
    assert places(by_dots, "downstream") == ["marts/m0.amount"]


async def test_conditions_can_be_left_out(api: httpx.AsyncClient, published: LineageStore) -> None:
    asked = {"column": "other", "direction": "upstream"}
    everything = await api.get("/v1/lineage/marts.m0", params=asked)
    assert places(everything, "upstream") == ["marts/m0.*", "log/events.event_name"]
    assert {one["influence"] for one in everything.json()["data"]["upstream"]} == {"condition"}
    direct = await api.get("/v1/lineage/marts.m0", params=asked | {"conditions": "false"})
    assert places(direct, "upstream") == []


async def test_answer_is_bounded_and_says_so(api: httpx.AsyncClient, published: LineageStore) -> None:
    """The nearest places come; what is asked for beyond the bounds is refused."""
    answer = await api.get("/v1/lineage/events.payload.amount", params={"limit": 2})
    assert places(answer, "downstream") == ["marts/m0.amount", "marts/m1.amount"]
    assert answer.json()["data"]["truncated"]
    for bad in ({"limit": "2001"}, {"depth": "0"}, {"direction": "sideways"}, {"column": "x" * 201}):
        assert (await api.get("/v1/lineage/events", params=bad)).status_code == 422


async def test_unknown_name_is_not_found_and_near_ones_are_named(
    api: httpx.AsyncClient, published: LineageStore
) -> None:
    for path, near in (("marts.m00", "marts.m0"), ("events.payload.amounts", "payload.amount")):
        answer = await api.get(f"/v1/lineage/{path}")
        assert answer.status_code == 404
        assert answer.json()["type"].endswith("unknown-lineage")
        assert near in answer.json()["near"]
    missing = await api.get("/v1/lineage/events", params={"column": "' or 1=1"})
    assert missing.status_code == 404
    assert (await api.get("/v1/lineage/..%2Fetc")).status_code in {404, 422}


async def test_assets_are_listed(api: httpx.AsyncClient, published: LineageStore) -> None:
    data = (await api.get("/v1/lineage")).json()["data"]
    assert [one["asset"] for one in data["assets"]] == ["log/events", "marts/m0", "marts/m1", "marts/m2", "marts/m3"]
    assert data["assets"][0]["columns"] == ["event_name", "payload", "payload.amount"]


async def test_next_publication_answers_without_a_restart(api: httpx.AsyncClient, published: LineageStore) -> None:
    assert (await api.get("/v1/lineage/marts.m7")).status_code == 404
    published.publish(chain(8))
    assert (await api.get("/v1/lineage/marts.m7")).status_code == 200


async def test_before_the_first_publication_and_after_damage_it_is_unavailable(
    api: httpx.AsyncClient, unreachable: Settings
) -> None:
    """503, with when to come back; the damage is the log's matter and not the client's."""
    answer = await api.get("/v1/lineage/events")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "60"
    assert "analytics lineage build" in answer.json()["detail"]
    store = LineageStore(unreachable.lineage_dir)
    pointer, _ = store.publish(chain(1))
    (store.folder / pointer.file).write_bytes(b"{}")
    damaged = await api.get("/v1/lineage/events")
    assert damaged.status_code == 503
    assert damaged.json()["type"].endswith("lineage-unreadable")
    assert str(store.folder) not in damaged.text
    (store.folder / POINTER).write_text("{")
    assert (await api.get("/v1/lineage")).status_code == 503
