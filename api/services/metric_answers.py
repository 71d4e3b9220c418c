"""Answers about metrics as bytes, and those that are kept for the snapshot that serves."""

import datetime as dt
import enum
import itertools
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from platform_assets.contracts.metric_queries import MetricQuery
from resources.csv_export import csv_text


class AnswerForm(enum.StrEnum):
    """How the rows are written."""

    JSON = "json"
    CSV = "csv"


@dataclass(frozen=True)
class MetricAnswer:
    """The rows as they are sent, whether there were more, and the last business day that the mart has."""

    rows: bytes
    is_truncated: bool
    data_through: dt.date | None


def encode_rows(columns: Sequence[str], rows: Sequence[tuple[Any, ...]], form: AnswerForm) -> bytes:
    """A JSON array of objects, or CSV with a heading."""
    if form is AnswerForm.JSON:
        return msgspec.json.encode([dict(zip(columns, row, strict=True)) for row in rows])
    return csv_text(columns, rows).encode()


AnswerKey = tuple[str, MetricQuery, AnswerForm]


class AnswerCache:
    """The answers asked for last, of one snapshot, within a number of bytes. For the event loop's thread alone."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._version = ""
        self._answers: OrderedDict[AnswerKey, MetricAnswer] = OrderedDict()

    def get(self, key: AnswerKey) -> MetricAnswer | None:
        """The kept answer."""
        answer = self._answers.get(key)
        if answer is not None:
            self._answers.move_to_end(key)
        return answer

    def newest(self, count: int) -> list[AnswerKey]:
        """What was asked for last, the last one first."""
        return list(itertools.islice(reversed(self._answers), count))

    def put(self, key: AnswerKey, answer: MetricAnswer) -> None:
        """Keep an answer; those of an older snapshot, and then the ones unused for longest, make room."""
        if key[0] < self._version:
            return  # asked of the snapshot before, and answered after the next one began to serve
        if key[0] != self._version:
            self._answers.clear()
            self._version, self._bytes = key[0], 0
        size = _size(answer)
        if key in self._answers or size > self._max_bytes:
            return
        self._answers[key] = answer
        self._bytes += size
        while self._bytes > self._max_bytes:
            _, oldest = self._answers.popitem(last=False)
            self._bytes -= _size(oldest)


def _size(answer: MetricAnswer) -> int:
    return len(answer.rows) + 2_000  # and the question
