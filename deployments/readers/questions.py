"""What dashboards ask: the demo's metrics by day, week and month, cut and filtered, over ranges of its year."""

import datetime as dt
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from platform_assets.contracts.metric_queries import MetricQuery, metric_query
from platform_assets.contracts.metrics import METRICS

_QUARTERS = tuple((dt.date(2017, month, 1), dt.date(2017, month + 2, 30)) for month in (1, 4, 7, 10))


@dataclass(frozen=True)
class Question:
    """A question as the API and as the compiler take it."""

    path: str
    query: MetricQuery


def questions() -> list[Question]:
    """All of them, of the declared metrics that the demo has data for."""
    asked = []
    for name, metric in METRICS.items():
        if metric.mart == "fct_rejections":
            continue
        asked += [_question(name, grain=grain) for grain in ("day", "week", "month")]
        for first_day, last_day in _QUARTERS[-2:]:
            asked.append(_question(name, first_day=first_day, last_day=last_day, grain="week"))
        if metric.dimensions:
            dimension = metric.dimensions[0].name
            asked.append(_question(name, grain="month", dimensions=[dimension], limit=200))
            asked.append(_question(name, grain="total", dimensions=[dimension], order=["-value"], limit=10))
            asked.append(_question(name, grain="week", filters=[f"{dimension}:null:false"]))
    return asked


def _question(name: str, **words: Any) -> Question:
    names = {"first_day": "from", "last_day": "to", "filters": "filter"}
    in_url = {names.get(word, word): value for word, value in words.items()}
    return Question(f"/v1/metrics/{name}?{urlencode(in_url, doseq=True)}", metric_query(METRICS[name], **words))
