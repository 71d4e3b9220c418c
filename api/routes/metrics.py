"""GET /v1/metrics: the metrics that are declared. GET /v1/metrics/{name}: one of them, from the published marts.

Nothing that a caller writes becomes SQL: names are looked up in the metric's declaration, values are bound.
"""

import datetime as dt
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.dependencies import Caller, Metadata, TheMetrics
from api.envelope import APIMetadata, StandardResponse
from api.problems import ProblemError, unavailable
from api.services.metric_answers import AnswerForm, MetricAnswer
from api.services.metrics import (
    CallerBusy,
    DataVersion,
    MetricsBusy,
    MetricsUnavailable,
    NothingPublished,
    QueryTooCostly,
    QueryTookTooLong,
)
from platform_assets.contracts.metric_queries import (
    DEFAULT_ROWS,
    MAX_FILTERS,
    MAX_ROWS,
    MetricQuery,
    MetricQueryInvalid,
    UnknownMetric,
    find_metric,
    metric_query,
    read_day,
)
from platform_assets.contracts.metrics import METRICS, Grain, Metric, Operator, ValueType

CSV = "text/csv"

router = APIRouter(prefix="/metrics", tags=["metrics"])

MetricName = Annotated[str, Path(max_length=64, description="The metric's name.", examples=["sales"])]


class MetricDimension(BaseModel):
    """What a metric may be cut and filtered along."""

    name: str = Field(examples=["department"])
    type: ValueType
    description: str = Field(examples=["Department of the shop; null where the product is unknown."])
    operators: list[Operator] = Field(description="What a filter on it may be.", examples=[["eq", "ne", "in", "null"]])


class MetricDescription(BaseModel):
    """One metric."""

    name: str = Field(examples=["sales"])
    title: str = Field(examples=["Sales"])
    description: str = Field(examples=["What the shop received, coupons that manufacturers pay included."])
    unit: str = Field(examples=["USD"])
    grains: list[Grain]
    dimensions: list[MetricDimension]
    is_additive: bool = Field(description="Whether the values of periods and groups add up to that of the whole.")
    mart: str = Field(description="The mart that it is read from.", examples=["fct_daily_sales"])
    owner: str = Field(examples=["team:data"])
    late_after_s: int = Field(description="How old `checked_at` may be before an answer is late.", examples=[86_400])


class MetricList(BaseModel):
    """Every metric, in alphabetical order."""

    metrics: list[MetricDescription]


class MetricSnapshot(BaseModel):
    """Of when an answer is."""

    version: str = Field(description="Of the published snapshot.", examples=["1764122400000000000"])
    published_at: dt.datetime = Field(description="When a published mart last changed.")
    checked_at: dt.datetime = Field(description="When the published marts were last equal to the warehouse's.")
    is_late: bool = Field(description="`checked_at` is longer ago than the metric's owner promises.")
    data_through: dt.date | None = Field(description="The last business day with data.", examples=["2017-12-31"])


class MetricResult(BaseModel):
    """A metric's values. Periods at both ends of the range hold only the days that were asked for."""

    metric: str = Field(examples=["sales"])
    unit: str = Field(examples=["USD"])
    grain: Grain
    dimensions: list[str] = Field(examples=[["department"]])
    rows: list[dict[str, str | int | float | bool | None]] = Field(
        description="`period` (its first business day; missing with the grain total), the dimensions, and `value`.",
        examples=[[{"period": "2017-01-02", "department": "GROCERY", "value": 41200.37}]],
    )
    is_truncated: bool = Field(description="There are more rows than `limit`.")
    snapshot: MetricSnapshot


class MetricParameters(BaseModel):
    """What may stand in the query string; anything else is refused."""

    model_config = ConfigDict(extra="forbid")

    grain: Grain = Field(Grain.DAY, description="Length of a period; weeks begin on Monday.")
    dimensions: list[str] = Field(
        [], description="Cut by these; separated by commas or repeated.", max_length=10, examples=[["department"]]
    )
    filter: list[str] = Field(
        [],
        description=(
            "`dimension:operator:value`, all have to hold. Values of `in` are separated by commas, one with a comma "
            'stands in "quotes".'
        ),
        max_length=MAX_FILTERS,
        examples=[["brand:eq:National"]],
    )
    first_day: str | None = Field(
        None, alias="from", description="First business day, YYYY-MM-DD.", examples=["2017-01-01"]
    )
    last_day: str | None = Field(None, alias="to", description="Last business day, inclusive.", examples=["2017-12-31"])
    order: list[str] = Field(
        [],
        description="`period`, `value` or a dimension, with `-` before it for descending; commas as above.",
        max_length=10,
        examples=[["-value"]],
    )
    limit: int = Field(DEFAULT_ROWS, ge=1, le=MAX_ROWS, description="Rows.")


@router.get("", summary="List metrics", response_description="Every metric and what it may be asked.")
async def get_metrics(metadata: Metadata) -> StandardResponse[MetricList]:
    """What is declared; whether it has been published yet is said by the metric itself."""
    found = MetricList(metrics=[_described(METRICS[name]) for name in sorted(METRICS)])
    message = f"{len(found.metrics)} metrics"
    return StandardResponse(success=True, data=found, message=message, metadata=metadata)


@router.get(
    "/{name}",
    summary="A metric's values",
    response_model=StandardResponse[MetricResult],
    responses={
        200: {
            "description": "From one snapshot of the marts; with `Accept: text/csv` the rows alone.",
            "content": {CSV: {"schema": {"type": "string"}, "example": "period,value\r\n2017-01-02,41200.37\r\n"}},
            "headers": {"ETag": {"description": "Of snapshot and question.", "schema": {"type": "string"}}},
        },
        304: {"description": "The snapshot is still the one of `If-None-Match`: the values are the same."},
        404: {"description": "There is no such metric."},
        422: {"description": "The question is outside the metric's declaration, or needs too much memory."},
        429: {"description": "The caller asks too often, or too much at once."},
        503: {"description": "Nothing has been published yet, the server is busy, or the query took too long."},
    },
)
async def get_metric(
    *,
    request: Request,
    name: MetricName,
    parameters: Annotated[MetricParameters, Query()],
    metrics: TheMetrics,
    caller: Caller,
    metadata: Metadata,
) -> Response:
    """Days are business days. All of an answer is from one snapshot, which `snapshot` and the ETag name."""
    with _problems():
        query = _query(name, parameters)
        form = AnswerForm.CSV if CSV in request.headers.get("accept", "") else AnswerForm.JSON
        version = await metrics.version()
        if _is_known(request.headers.get("if-none-match", ""), _etag(version, query, form)):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=_headers(version, query, form))
        version, answer = await metrics.answer(query, form, caller.id)
    headers = _headers(version, query, form)
    if form is AnswerForm.CSV:
        headers["Content-Disposition"] = f'attachment; filename="{query.metric.name}.csv"'
        headers["X-Truncated"] = str(answer.is_truncated).lower()
        return Response(answer.rows, media_type=CSV, headers=headers)
    return Response(_body(query, version, answer, metadata), media_type="application/json", headers=headers)


def _query(name: str, parameters: MetricParameters) -> MetricQuery:
    return metric_query(
        find_metric(name),
        grain=parameters.grain,
        dimensions=_split(parameters.dimensions),
        filters=parameters.filter,
        first_day=_day(parameters.first_day),
        last_day=_day(parameters.last_day),
        order=_split(parameters.order),
        limit=parameters.limit,
    )


def _split(words: list[str]) -> list[str]:
    return [part for word in words for part in word.split(",")]


def _day(word: str | None) -> dt.date | None:
    if word is None:
        return None
    day = read_day(word)
    if day is None:
        raise MetricQueryInvalid("A day is written YYYY-MM-DD, as 2017-01-31.")
    return day


def _etag(version: DataVersion, query: MetricQuery, form: AnswerForm) -> str:
    # Weak: the request's id differs. The declaration is part of it, so that a new release answers anew.
    digest = hashlib.blake2s(f"{query!r} {form}".encode(), digest_size=8).hexdigest()
    return f'W/"{version.version}-{digest}"'


def _is_known(if_none_match: str, etag: str) -> bool:
    return if_none_match.strip() == "*" or etag in (tag.strip() for tag in if_none_match.split(","))


def _headers(version: DataVersion, query: MetricQuery, form: AnswerForm) -> dict[str, str]:
    return {
        "ETag": _etag(version, query, form),
        "Cache-Control": "private, no-cache",  # a browser may keep it and has to ask
        "Vary": "Accept",
        "X-Data-Version": version.version,
    }


def _body(query: MetricQuery, version: DataVersion, answer: MetricAnswer, metadata: APIMetadata) -> bytes:
    """The envelope around rows that are encoded already: no model is made of thousands of them."""
    age = dt.datetime.now(dt.UTC) - version.checked_at
    body: dict[str, Any] = {
        "success": True,
        "data": {
            "metric": query.metric.name,
            "unit": query.metric.unit,
            "grain": query.grain,
            "dimensions": query.dimensions,
            "rows": msgspec.Raw(answer.rows),
            "is_truncated": answer.is_truncated,
            "snapshot": {
                "version": version.version,
                "published_at": version.published_at,
                "checked_at": version.checked_at,
                "is_late": age > query.metric.freshness,
                "data_through": answer.data_through,
            },
        },
        "message": "Metric found",
        "metadata": metadata.model_dump(),
    }
    return msgspec.json.encode(body)


def _described(metric: Metric) -> MetricDescription:
    return MetricDescription(
        name=metric.name,
        title=metric.title,
        description=metric.description,
        unit=metric.unit,
        grains=list(metric.grains),
        dimensions=[
            MetricDimension(
                name=dimension.name,
                type=dimension.type,
                description=dimension.description,
                operators=list(dimension.operators),
            )
            for dimension in metric.dimensions
        ],
        is_additive=metric.is_additive,
        mart=metric.mart,
        owner=metric.owner,
        late_after_s=round(metric.freshness.total_seconds()),
    )


@contextmanager
def _problems() -> Iterator[None]:
    try:
        yield
    except UnknownMetric as error:
        raise ProblemError(HTTPStatus.NOT_FOUND, "unknown-metric", str(error)) from None
    except MetricQueryInvalid as error:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-metric-query", str(error)) from None
    except QueryTooCostly as error:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "metric-query-too-costly", str(error)) from None
    except CallerBusy as error:
        status = HTTPStatus.TOO_MANY_REQUESTS
        raise ProblemError(status, "too-many-metric-queries", str(error), headers={"Retry-After": "1"}) from None
    except MetricsBusy as error:
        raise unavailable("metrics-busy", str(error)) from None
    except QueryTookTooLong as error:
        raise unavailable("metric-query-took-too-long", str(error), retry_after_s=5) from None
    except NothingPublished as error:
        raise unavailable("nothing-published", str(error), retry_after_s=10) from None
    except MetricsUnavailable as error:
        raise unavailable("metrics-unavailable", str(error), retry_after_s=10) from error
