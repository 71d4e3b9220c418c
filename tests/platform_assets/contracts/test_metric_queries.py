"""A question about a metric says only what the metric's declaration allows (security 19)."""

import datetime as dt
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from platform_assets.contracts.metric_queries import (
    MAX_FILTERS,
    MAX_ROWS,
    MAX_VALUES,
    MetricQuery,
    MetricQueryInvalid,
    Order,
    UnknownMetric,
    find_metric,
    metric_query,
)
from platform_assets.contracts.metrics import (
    METRICS,
    Condition,
    Count,
    Dimension,
    Metric,
    Operator,
    TimeColumn,
    ValueType,
)

SALES = METRICS["sales"]
TYPED = Metric(
    name="typed",
    title="Typed",
    description="One dimension of each type.",
    unit="1",
    mart="typed",
    time=TimeColumn("day"),
    measure=Count(),
    dimensions=tuple(Dimension(kind.value, kind, "x") for kind in ValueType),
)
SQL = 'department" FROM marts.fct_orders; DROP TABLE x; --'


def conditions(*filters: str) -> tuple[Condition, ...]:
    return metric_query(TYPED, filters=filters).filters


def test_question_with_everything_is_read() -> None:
    first, last = dt.date(2017, 1, 1), dt.date(2017, 3, 31)
    query = metric_query(
        SALES,
        grain="week",
        dimensions=["department"],
        filters=["brand:eq:National"],
        first_day=first,
        last_day=last,
        order=["-value"],
        limit=5,
    )
    assert query.filters == (Condition("brand", Operator.EQ, ("National",)),)
    assert query.columns == ("period", "department", "value")
    assert query.order == (Order("value", descending=True), Order("period"), Order("department"))
    assert (query.first_day, query.last_day, query.limit) == (first, last, 5)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("text:eq:a:b,c", ("a:b,c",)),
        ('text:in:a,"b, c","d ""e"""', ("a", "b, c", 'd "e"')),
        ("text:eq:", ("",)),
        ("text:eq", ("",)),  # an empty text is a text
        ("text:null:true", (True,)),
        ("integer:gte:-7", (-7,)),
        ("number:lt:1.5", (1.5,)),
        ("boolean:eq:false", (False,)),
        ("date:in:2017-01-01,2017-02-01", (dt.date(2017, 1, 1), dt.date(2017, 2, 1))),
        (f"text:eq:{SQL}", (SQL,)),
    ],
)
def test_values_have_the_type_of_their_dimension(text: str, values: tuple[object, ...]) -> None:
    assert conditions(text)[0].values == values


@pytest.mark.parametrize(
    "text",
    [
        "",
        "text",
        "unknown:eq:1",
        f"{SQL}:eq:1",
        "text:like:a%",
        "text:gt:a",
        "text:eq\0:a",
        "text:eq:a\0",
        "text:null:maybe",
        "text:in:",
        'text:in:"a',
        "text:in:" + ",".join("a" * (MAX_VALUES + 1)),
        "text:eq:" + "a" * 201,
        "integer:eq:1.5",
        "integer:eq:9999999999999999999",
        "integer:eq:\u0661",
        "number:eq:nan",
        "number:eq:inf",
        "number:eq:1e5",
        "boolean:eq:True",
        "boolean:ne:true",
        "date:eq:2017-02-30",
        "timestamp:eq:2017-01-01",
    ],
)
def test_filter_outside_the_declaration_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(MetricQueryInvalid) as refused:
        conditions(text)
    assert "DROP" not in str(refused.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"grain": "hour"},
        {"grain": SQL},
        {"dimensions": ["household_id"]},
        {"dimensions": [SQL]},
        {"dimensions": ["brand", "brand"]},
        {"order": ["sales_value"]},
        {"order": ["department"]},
        {"order": [SQL]},
        {"order": ["value", "-value"]},
        {"order": ["period"], "grain": "total"},
        {"limit": 0},
        {"limit": MAX_ROWS + 1},
        {"first_day": dt.date(2017, 2, 1), "last_day": dt.date(2017, 1, 1)},
        {"first_day": dt.date(1, 1, 1)},
        {"last_day": dt.date.max},
        {"filters": ["brand:eq:x"] * (MAX_FILTERS + 1)},
    ],
)
def test_word_outside_the_declaration_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(MetricQueryInvalid) as refused:
        metric_query(SALES, **wrong)
    assert "DROP" not in str(refused.value)


def test_refusal_names_what_is_allowed() -> None:
    with pytest.raises(MetricQueryInvalid, match="department, brand"):
        metric_query(SALES, dimensions=["x"])
    with pytest.raises(MetricQueryInvalid, match="day, week, month, total"):
        metric_query(SALES, grain="x")
    with pytest.raises(UnknownMetric, match="active_households"):
        find_metric("x")


_NAMES = st.sampled_from(["brand", "department", "value", "period", 'brand"; DROP TABLE x']) | st.text(max_size=20)
_FILTERS = st.builds("{}:{}:{}".format, _NAMES, st.sampled_from(["eq", "in", "ne"]), st.text(max_size=40))


@given(text=_FILTERS, order=st.builds(str.__add__, st.sampled_from(["", "-"]), _NAMES), dimension=_NAMES)
@example(text="brand:eq:x", order="-value", dimension="brand")
def test_no_word_gets_through_as_anything_but_a_value(text: str, order: str, dimension: str) -> None:
    for arguments in ({"filters": [text]}, {"order": [order]}, {"dimensions": [dimension]}):
        try:
            query = metric_query(SALES, **arguments)  # type: ignore[arg-type]
        except MetricQueryInvalid:
            continue
        assert _words(query) <= {"sales", "period", "value", "department", "brand"}


def _words(query: MetricQuery) -> set[str]:
    return {
        query.metric.name,
        *query.dimensions,
        *(order.key for order in query.order),
        *(condition.column for condition in query.filters),
    }
