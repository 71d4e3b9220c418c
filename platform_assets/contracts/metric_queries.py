"""A question about a metric, checked against its declaration: nothing gets through that is not named there."""

import csv
import datetime as dt
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from platform_assets.contracts.metrics import METRICS, Condition, Dimension, Grain, Metric, Operator, Value, ValueType

MAX_ROWS = 10_000
DEFAULT_ROWS = 1_000
MAX_FILTERS = 10
MAX_VALUES = 100
MAX_VALUE_LENGTH = 200
FILTER_FORM = "dimension:operator:value"

_FIRST_DAY = dt.date(1900, 1, 1)
_LAST_DAY = dt.date(9999, 12, 30)
_NUMBER = re.compile(r"-?\d{1,18}(\.\d{1,18})?\Z", re.ASCII)
_INTEGER = re.compile(r"-?\d{1,18}\Z", re.ASCII)


class UnknownMetric(LookupError):
    """There is no metric of this name; the message names those there are."""


class MetricQueryInvalid(ValueError):
    """The question is outside the metric's declaration; the message names what is allowed."""


@dataclass(frozen=True)
class Order:
    """One key to sort by: period, value or a dimension that is asked for."""

    key: str
    descending: bool = False


@dataclass(frozen=True)
class MetricQuery:
    """A checked question, hashable for caches. Days are business days and both belong to the range; None is open."""

    metric: Metric
    grain: Grain
    dimensions: tuple[str, ...]
    filters: tuple[Condition, ...]
    first_day: dt.date | None
    last_day: dt.date | None
    columns: tuple[str, ...]
    order: tuple[Order, ...]
    limit: int


def find_metric(name: str) -> Metric:
    """The metric of this name.

    Raises:
        UnknownMetric: there is none.
    """
    metric = METRICS.get(name)
    if metric is None:
        raise UnknownMetric(f"There is no metric of this name; there are: {', '.join(sorted(METRICS))}.")
    return metric


def metric_query(
    metric: Metric,
    *,
    grain: str = Grain.DAY.value,
    dimensions: Sequence[str] = (),
    filters: Sequence[str] = (),
    first_day: dt.date | None = None,
    last_day: dt.date | None = None,
    order: Sequence[str] = (),
    limit: int = DEFAULT_ROWS,
) -> MetricQuery:
    """A question from the words of whoever asks.

    Args:
        filters: each as `brand:eq:National` or `department:in:GROCERY,"A, B"`; all have to hold.
        order: `period`, `value` or a dimension of the question, with `-` before it for descending.

    Raises:
        MetricQueryInvalid: naming what is allowed.
    """
    known_grain = next((known for known in metric.grains if known.value == grain), None)
    if known_grain is None:
        raise MetricQueryInvalid(f"The grain is one of {_listed(known.value for known in metric.grains)}.")
    allowed = [dimension.name for dimension in metric.dimensions]
    if any(name not in allowed for name in dimensions):
        raise MetricQueryInvalid(f"The dimensions of {metric.name} are {_listed(allowed)}.")
    if len(set(dimensions)) != len(dimensions):
        raise MetricQueryInvalid("A dimension is named once.")
    if len(filters) > MAX_FILTERS:
        raise MetricQueryInvalid(f"There can be {MAX_FILTERS} filters.")
    for day in (first_day, last_day):
        if day is not None and not _FIRST_DAY <= day <= _LAST_DAY:
            raise MetricQueryInvalid(f"Days lie from {_FIRST_DAY} to {_LAST_DAY}.")
    if first_day is not None and last_day is not None and first_day > last_day:
        raise MetricQueryInvalid("The range ends before it begins; both of its days belong to it.")
    if not 1 <= limit <= MAX_ROWS:
        raise MetricQueryInvalid(f"The limit is from 1 to {MAX_ROWS:,} rows.")
    columns = (*(() if known_grain is Grain.TOTAL else ("period",)), *dimensions, "value")
    return MetricQuery(
        metric=metric,
        grain=known_grain,
        dimensions=tuple(dimensions),
        filters=tuple(_filter(metric, text) for text in filters),
        first_day=first_day,
        last_day=last_day,
        columns=columns,
        order=_order(columns, order),
        limit=limit,
    )


def _filter(metric: Metric, text: str) -> Condition:
    name, operator, values = _parts(text)
    dimension = metric.dimension(name)
    if dimension is None:
        allowed = _listed(dimension.name for dimension in metric.dimensions)
        raise MetricQueryInvalid(f"A filter is {FILTER_FORM}; the dimensions of {metric.name} are {allowed}.")
    known = next((known for known in dimension.operators if known.value == operator), None)
    if known is None:
        raise MetricQueryInvalid(
            f"A filter on {name} is one of {_listed(known.value for known in dimension.operators)}."
        )
    if known is Operator.NULL:
        return Condition(name, known, (_boolean(dimension, values),))
    words = _words(values) if known is Operator.IN else [values]
    if not 1 <= len(words) <= MAX_VALUES:
        raise MetricQueryInvalid(f"A filter on {name} has from 1 to {MAX_VALUES} values.")
    return Condition(name, known, tuple(_value(dimension, word) for word in words))


def _parts(text: str) -> tuple[str, str, str]:
    name, _, rest = text.partition(":")
    operator, _, values = rest.partition(":")
    return name, operator, values


def _words(values: str) -> list[str]:
    try:
        return next(csv.reader([values], strict=True), [])
    except csv.Error:
        raise MetricQueryInvalid('Values are separated by commas; one with a comma stands in "quotes".') from None


def _value(dimension: Dimension, word: str) -> Value:
    if len(word) > MAX_VALUE_LENGTH or "\0" in word:
        raise MetricQueryInvalid(f"A value has at most {MAX_VALUE_LENGTH} characters and no zero byte.")
    match dimension.type:
        case ValueType.TEXT:
            return word
        case ValueType.BOOLEAN:
            return _boolean(dimension, word)
        case ValueType.INTEGER:
            if _INTEGER.match(word):
                return int(word)
        case ValueType.NUMBER:
            if _NUMBER.match(word):  # of at most 18 digits, so never infinite
                return float(word)
        case ValueType.DATE:
            if (day := read_day(word)) is not None:
                return day
        case ValueType.TIMESTAMP:
            pass
    raise MetricQueryInvalid(f"A value of {dimension.name} is a {dimension.type.value}.")


def _boolean(dimension: Dimension, word: str) -> bool:
    if word not in {"true", "false"}:
        raise MetricQueryInvalid(f"Such a filter on {dimension.name} takes true or false.")
    return word == "true"


def read_day(word: str) -> dt.date | None:
    """A day as YYYY-MM-DD, or None where the word is none."""
    try:
        return dt.datetime.strptime(word, "%Y-%m-%d").replace(tzinfo=dt.UTC).date()
    except ValueError:
        return None


def _order(columns: Sequence[str], words: Sequence[str]) -> tuple[Order, ...]:
    orders = tuple(Order(word.removeprefix("-"), descending=word.startswith("-")) for word in words)
    keys = [order.key for order in orders]
    if any(key not in columns for key in keys) or len(set(keys)) != len(keys):
        allowed = _listed(columns)
        raise MetricQueryInvalid(f"The order names, once each, some of {allowed}; with - before it, descending.")
    # The rest of the key follows, so that the same question has the same answer.
    rest = tuple(Order(column) for column in columns[:-1] if column not in keys)
    return orders + rest


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words) or "none"
