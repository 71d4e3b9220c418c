"""Expectations on a data set as a whole: a verdict with its numbers, and sample rows where there are any."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from platform_assets.quality.dataset import Dataset
from platform_assets.quality.drift import is_drift, measure_drift
from platform_assets.quality.expectations import (
    ColumnType,
    CustomSql,
    Drift,
    Expectation,
    FilledColumns,
    Freshness,
    RowCount,
)
from platform_assets.quality.row_rules import CannotJudge
from platform_assets.quality.samples import shown_value
from platform_assets.quality.sql_text import is_moment, quoted


@dataclass(frozen=True)
class Verdict:
    """Whether it holds, its numbers, and rows that should not be there, unmasked."""

    success: bool
    details: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)


def judge_data(
    expectation: Expectation,
    dataset: Dataset,
    *,
    types: Mapping[str, str],
    row_count: int,
    now: dt.datetime,
    most_rows: int,
) -> Verdict:
    """The verdict on an expectation that no single row passes or fails. Its columns are there.

    Raises:
        CannotJudge: it does not fit the data set.
        duckdb.Error: the same, said by the engine.
    """
    match expectation:
        case RowCount(min=least, max=most):
            holds = least <= row_count and (most is None or row_count <= most)
            verdict = Verdict(holds, {"rows": row_count, "min": least, "max": most})
        case FilledColumns():
            verdict = _filled_columns(dataset, tuple(types))
        case Freshness():
            verdict = _freshness(expectation, dataset, types[expectation.column], now)
        case ColumnType(column=column, data_type=wanted):
            verdict = Verdict(types[column] == wanted.upper(), {"found": types[column], "wanted": wanted.upper()})
        case Drift():
            verdict = _drift(expectation, dataset, types[expectation.column])
        case CustomSql(sql=sql, max_rows=tolerated):
            found = dataset.person_sql(sql, most_rows)
            details = {"rows": found.count, "tolerated_rows": tolerated}
            verdict = Verdict(found.count <= tolerated, details, found.rows)
        case _:
            verdict = Verdict(success=True)  # a column that is there
    return verdict


def _filled_columns(dataset: Dataset, columns: tuple[str, ...]) -> Verdict:
    counts = ", ".join(f"count({quoted(name)})" for name in columns)
    row = dataset.connection.execute(
        f"SELECT count(*), {counts} FROM {dataset.relation}",  # noqa: S608 - quoted names
        dict(dataset.parameters),
    ).fetchone()
    rows, *filled = row or (0,)
    empty = [name for name, count in zip(columns, filled, strict=True) if rows and not count]
    return Verdict(not empty, {"empty_columns": empty})


def _freshness(expectation: Freshness, dataset: Dataset, data_type: str, now: dt.datetime) -> Verdict:
    column = quoted(expectation.column)
    value = column if is_moment(data_type) else f"TRY_CAST({column} AS TIMESTAMPTZ)"
    row = dataset.connection.execute(
        f"SELECT epoch(max({value})) FROM {dataset.relation}",  # noqa: S608 - quoted names
        dict(dataset.parameters),
    ).fetchone()
    if row is None or row[0] is None:
        raise CannotJudge(f"`{expectation.column}` has no time")
    newest = dt.datetime.fromtimestamp(float(row[0]), dt.UTC)
    age_hours = (now - newest).total_seconds() / 3600
    return Verdict(
        age_hours <= expectation.max_age_hours,
        {"newest": shown_value(newest), "age_hours": age_hours, "max_age_hours": expectation.max_age_hours},
    )


def _drift(expectation: Drift, dataset: Dataset, data_type: str) -> Verdict:
    reference = dataset.references(expectation.reference)
    distance, n, m = measure_drift(expectation, dataset, data_type, reference)
    details = {expectation.method: distance.statistic, "p_value": distance.p_value}
    return Verdict(not is_drift(expectation, distance), {**details, "values": n, "reference_values": m})
