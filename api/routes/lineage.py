"""GET /v1/lineage/{asset}: what an asset or column is made of, and what is made of it.

The answer comes from the lineage that was published with this deployment: no orchestrator, warehouse or registry is
asked. A slash in an asset's name is written as a dot.
"""

import datetime as dt
import enum
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from api.dependencies import Metadata, TheLineage
from api.envelope import StandardResponse
from api.problems import ProblemError, unavailable
from api.services.lineage import Answer, Question
from platform_assets.lineage.graph import Influence
from platform_assets.lineage.names import UnknownName
from platform_assets.lineage.walk import Direction
from resources.lineage.store import LineageUnreadable, NoLineage, Pointer

MAX_PLACES = 2_000

logger = logging.getLogger(__name__)
router = APIRouter(prefix="/lineage", tags=["lineage"])


class Asked(enum.StrEnum):
    """Which way to look."""

    UPSTREAM = "upstream"
    DOWNSTREAM = "downstream"
    BOTH = "both"


AssetName = Annotated[
    str,
    Path(
        max_length=200,
        pattern=r"^[A-Za-z0-9_.@:+-]+$",
        description="An asset or a column of one, dots for slashes: `marts.fct_orders`, `events.payload.quantity`.",
        examples=["marts.fct_orders"],
    ),
]
ColumnName = Annotated[
    str | None,
    Query(max_length=200, description="A column of the asset, or `*` for its rows.", examples=["sales_value"]),
]
Which = Annotated[Asked, Query(description="What it is made of, what is made of it, or both.")]
Depth = Annotated[int, Query(ge=1, le=100, description="At most so many assets on the way.")]
Conditions = Annotated[bool, Query(description="Also what only decides values: filters, joins, groups, cases.")]
Limit = Annotated[int, Query(ge=1, le=MAX_PLACES, description="At most so many places in each direction.")]


class LineageVersion(BaseModel):
    """Which publication answers."""

    sha256: str = Field(description="Of the published file.", examples=["9f2c" + "0" * 60])
    published_at: dt.datetime


class LineageAsset(BaseModel):
    """One asset of the graph."""

    asset: str = Field(examples=["marts/fct_orders"])
    kind: str = Field(examples=["table"])
    description: str = ""
    columns: list[str] = Field(default=[], examples=[["order_id", "sales_value"]])


_VERSION: JsonDict = {"sha256": "9f2c" + "0" * 60, "published_at": "2026-11-26T02:00:00Z"}
_ASSET: JsonDict = {
    "asset": "marts/fct_orders",
    "kind": "table",
    "description": "One row per order.",
    "columns": ["order_id", "sales_value"],
}


class LineageAssets(BaseModel):
    """Every asset, by name."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"assets": [_ASSET], "version": _VERSION}]})

    assets: list[LineageAsset]
    version: LineageVersion


class ReachedPlace(BaseModel):
    """An asset or column that was reached. A column that is null is the asset as a whole; `*` is which rows it has."""

    asset: str = Field(examples=["features/customer_activity"])
    kind: str = Field(examples=["features"])
    column: str | None = Field(None, examples=["sales_28d"])
    influence: Influence = Field(description="`direct`: as a part of it; `condition`: only by deciding it.")
    hops: int = Field(description="Assets on the way.", examples=[2])


class LineageEdge(BaseModel):
    """The source bears on the target; `found_in` names the contract, dbt model or statement that says so."""

    source: str = Field(examples=["marts/fct_orders"])
    source_column: str | None = Field(None, examples=["sales_value"])
    target: str = Field(examples=["features/customer_activity"])
    target_column: str | None = Field(None, examples=["sales_28d"])
    influence: Influence
    found_in: str = Field(examples=["statement of customer_activity version 1"])


class LineageAnswer(BaseModel):
    """What was asked for, what was reached in each direction, nearest first, and the edges between all of it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "asset": _ASSET,
                    "column": "sales_value",
                    "upstream": [],
                    "downstream": [
                        {
                            "asset": "features/customer_activity",
                            "kind": "features",
                            "column": "sales_28d",
                            "influence": "direct",
                            "hops": 1,
                        }
                    ],
                    "edges": [
                        {
                            "source": "marts/fct_orders",
                            "source_column": "sales_value",
                            "target": "features/customer_activity",
                            "target_column": "sales_28d",
                            "influence": "direct",
                            "found_in": "statement of customer_activity version 1",
                        }
                    ],
                    "truncated": False,
                    "version": _VERSION,
                }
            ]
        }
    )

    asset: LineageAsset
    column: str | None = Field(None, examples=["sales_value"])
    upstream: list[ReachedPlace]
    downstream: list[ReachedPlace]
    edges: list[LineageEdge]
    truncated: bool = Field(description="There is more than `limit` allows; ask for less depth or a column.")
    version: LineageVersion


_UNPUBLISHED: dict[int | str, dict[str, Any]] = {503: {"description": "No lineage has been published yet."}}


@router.get("", summary="List assets", response_description="Names, kinds and columns.", responses={**_UNPUBLISHED})
async def get_assets(request: Request, lineage: TheLineage, metadata: Metadata) -> StandardResponse[LineageAssets]:
    """Everything that lineage can be asked about, from routes and topics to features, models and metrics."""
    with _problems(request):
        pointer, assets = await lineage.assets()
    found = [
        LineageAsset(
            asset=one.name,
            kind=one.kind.value,
            description=one.description,
            columns=[column.name for column in one.columns],
        )
        for one in assets
    ]
    data = LineageAssets(assets=found, version=_version(pointer))
    return StandardResponse(success=True, data=data, message=f"{len(found)} assets", metadata=metadata)


@router.get(
    "/{asset}",
    response_model=StandardResponse[LineageAnswer],
    summary="Where an asset or column comes from and goes to",
    response_description="What was reached, and the edges between.",
    responses={
        404: {"description": "There is no such asset or column; `near` names some that look like it."},
        **_UNPUBLISHED,
    },
)
async def get_lineage(
    *,
    request: Request,
    asset: AssetName,
    lineage: TheLineage,
    metadata: Metadata,
    column: ColumnName = None,
    direction: Which = Asked.BOTH,
    depth: Depth = 100,
    conditions: Conditions = True,
    limit: Limit = 500,
) -> Response:
    """Without a column whole assets are followed, with one the columns are, as far as they are known."""
    directions = tuple(Direction) if direction is Asked.BOTH else (Direction(direction.value),)
    with _problems(request):
        answer = await lineage.ask(Question(asset, column, directions, depth, conditions, limit))
    # A thousand edges as pydantic models would take 8 ms of the event loop; as they are they take one.
    body = {
        "success": True,
        "data": _shown(answer),
        "message": "Lineage found",
        "metadata": metadata.model_dump(mode="json"),
    }
    return Response(msgspec.json.encode(body), media_type="application/json")


def _shown(answer: Answer) -> dict[str, Any]:
    """A `LineageAnswer` as plain data."""
    return {
        "asset": {
            "asset": answer.asset.name,
            "kind": answer.asset.kind,
            "description": answer.asset.description,
            "columns": [column.name for column in answer.asset.columns],
        },
        "column": answer.start.column,
        "upstream": _places(answer, Direction.UPSTREAM),
        "downstream": _places(answer, Direction.DOWNSTREAM),
        "edges": [
            {
                "source": edge.source,
                "source_column": edge.source_column,
                "target": edge.target,
                "target_column": edge.target_column,
                "influence": edge.influence,
                "found_in": edge.found_in,
            }
            for edge in answer.edges
        ],
        "truncated": answer.is_truncated,
        "version": {"sha256": answer.pointer.sha256, "published_at": answer.pointer.published_at},
    }


def _places(answer: Answer, direction: Direction) -> list[dict[str, Any]]:
    return [
        {
            "asset": one.place.asset,
            "kind": answer.kinds[one.place.asset],
            "column": one.place.column,
            "influence": one.influence,
            "hops": one.hops,
        }
        for one in answer.reached.get(direction, [])
    ]


def _version(pointer: Pointer) -> LineageVersion:
    return LineageVersion(sha256=pointer.sha256, published_at=pointer.published_at)


@contextmanager
def _problems(request: Request) -> Iterator[None]:
    try:
        yield
    except UnknownName as error:
        raise ProblemError(
            HTTPStatus.NOT_FOUND, "unknown-lineage", str(error), members={"near": list(error.near)}
        ) from None
    except NoLineage as error:
        raise unavailable("lineage-not-published", str(error), retry_after_s=60) from None
    except LineageUnreadable as error:
        logger.error("The published lineage is damaged", exc_info=error, extra={"request_id": request.state.request_id})
        raise unavailable("lineage-unreadable", "The published lineage cannot be read just now.") from error
