"""Judges a data set in the engine that holds it: one scan counts for all expectations that need no order of rows.

A second scan, for samples, runs only where something failed. An expectation on the order of rows or on repeats has a
scan of its own, and so have freshness, drift and custom SQL. No more rows come to Python than the samples.
"""

import datetime as dt
import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from platform_assets.quality.data_rules import judge_data
from platform_assets.quality.dataset import Dataset
from platform_assets.quality.expectations import Expectation
from platform_assets.quality.results import ExpectationResult, SampleRow, ValidationResult
from platform_assets.quality.row_rules import ROW_NUMBER, CannotJudge, RowRule, missing_columns, row_rule
from platform_assets.quality.samples import shown_values
from platform_assets.quality.sql_text import Bindings, quoted

SAMPLE_ROWS = 5


def validate(
    dataset: Dataset,
    expectations: Sequence[Expectation],
    *,
    now: dt.datetime,
    masked: Collection[str] = (),
    sample_rows: int = SAMPLE_ROWS,
) -> ValidationResult:
    """Judge all expectations; one that cannot be judged fails with its `problem` and spoils no other.

    Args:
        now: what `freshness` counts from.
        masked: columns whose values no sample shows, beside those that `samples` masks by name.

    Raises:
        duckdb.Error: the data set itself cannot be read.
    """
    return _Validation(dataset, now, masked, sample_rows).run(expectations)


@dataclass(frozen=True)
class _Scan:
    """The row rules of one scan, by their place among the expectations, and the values that they bind."""

    rules: dict[int, RowRule]
    bindings: Bindings

    @property
    def in_order(self) -> bool:
        return any(rule.in_order for rule in self.rules.values())

    @property
    def flags(self) -> str:
        """Per rule two columns of truth."""
        columns = [f"{rule.judged} AS j{place}, {rule.failing} AS f{place}" for place, rule in self.rules.items()]
        return ", ".join(columns) or "1"


class _Validation:
    def __init__(self, dataset: Dataset, now: dt.datetime, masked: Collection[str], sample_rows: int) -> None:
        self._dataset = dataset
        self._now = now
        self._masked = masked
        self._sample_rows = sample_rows
        self._types = dataset.types()
        # Each foreign key asks for its table when it is checked, counted and sampled.
        self._references = functools.cache(dataset.references)

    def run(self, expectations: Sequence[Expectation]) -> ValidationResult:
        found: dict[int, ExpectationResult] = {}
        together: dict[int, Expectation] = {}
        alone: dict[int, Expectation] = {}
        for place, expectation in enumerate(expectations):
            problem = missing_columns(expectation, self._types, self._dataset.name)
            try:
                rule = None if problem else row_rule(expectation, self._types, Bindings(), self._references)
            except CannotJudge as error:
                problem = str(error)
            if problem is not None:
                found[place] = _result(expectation, success=False, problem=problem)
            elif rule is not None:
                (alone if rule.in_order else together)[place] = expectation
        row_count, judged = self._judge_together(together)
        found |= judged
        for place, expectation in alone.items():
            found[place] = self._judge_alone(expectation)
        for place, expectation in enumerate(expectations):
            if place not in found:
                found[place] = _guarded(expectation, lambda one: self._judge_data(one, row_count))
        results = tuple(found[place] for place in range(len(expectations)))
        return ValidationResult(self._dataset.name, row_count, self._now, results)

    def _judge_together(self, expectations: Mapping[int, Expectation]) -> tuple[int, dict[int, ExpectationResult]]:
        try:
            return self._judge_rows(expectations)
        except duckdb.Error:
            # One of them does not fit its column. Alone, each fails or passes by itself.
            row_count, _ = self._judge_rows({})
            return row_count, {place: self._judge_alone(one) for place, one in expectations.items()}

    def _judge_alone(self, expectation: Expectation) -> ExpectationResult:
        return _guarded(expectation, lambda one: self._judge_rows({0: one})[1][0])

    def _judge_rows(self, expectations: Mapping[int, Expectation]) -> tuple[int, dict[int, ExpectationResult]]:
        scan = self._scan(expectations)
        counts = "".join(
            f", count(*) FILTER (WHERE j{place}), count(*) FILTER (WHERE f{place})" for place in scan.rules
        )
        rows = self._numbered if scan.in_order else self._dataset.relation
        row = self._one(f"SELECT count(*){counts} FROM (SELECT {scan.flags} FROM {rows} AS d)", scan.bindings)  # noqa: S608
        numbers = {
            place: (int(judged), int(failing))
            for place, judged, failing in zip(scan.rules, row[1::2], row[2::2], strict=True)
        }
        failed = {place: expectations[place] for place, (_, failing) in numbers.items() if failing}
        samples = self._samples(failed) if failed and self._sample_rows else {}
        return int(row[0]), {
            place: _row_result(expectations[place], *numbers[place], samples.get(place, ())) for place in numbers
        }

    def _samples(self, expectations: Mapping[int, Expectation]) -> dict[int, tuple[SampleRow, ...]]:
        scan = self._scan(expectations)
        first = ", ".join(f"min_by(row, place, {self._sample_rows:d}) FILTER (WHERE f{place})" for place in scan.rules)
        place_column = f"d.{quoted(ROW_NUMBER)}"
        found = self._one(
            f"SELECT {first} FROM (SELECT d AS row, {place_column} AS place, {scan.flags} FROM {self._numbered} AS d)",  # noqa: S608
            scan.bindings,
        )
        return {place: tuple(map(self._sample, rows or ())) for place, rows in zip(scan.rules, found, strict=True)}

    def _sample(self, values: dict[str, Any]) -> SampleRow:
        place = int(values.pop(ROW_NUMBER))
        return SampleRow(place, shown_values(values, self._masked))

    def _scan(self, expectations: Mapping[int, Expectation]) -> _Scan:
        bindings = Bindings(dict(self._dataset.parameters))
        rules = {
            place: row_rule(expectation, self._types, bindings, self._references)
            for place, expectation in expectations.items()
        }
        return _Scan({place: rule for place, rule in rules.items() if rule is not None}, bindings)

    @property
    def _numbered(self) -> str:
        return f"(SELECT *, row_number() OVER () AS {quoted(ROW_NUMBER)} FROM {self._dataset.relation})"  # noqa: S608

    def _one(self, query: str, bindings: Bindings) -> tuple[Any, ...]:
        row = self._dataset.connection.execute(query, bindings.values).fetchone()
        assert row is not None  # noqa: S101 - an aggregate has a row
        return tuple(row)

    def _judge_data(self, expectation: Expectation, row_count: int) -> ExpectationResult:
        verdict = judge_data(
            expectation,
            self._dataset,
            types=self._types,
            row_count=row_count,
            now=self._now,
            most_rows=self._sample_rows,
        )
        samples = tuple(SampleRow(None, shown_values(row, self._masked)) for row in verdict.rows)
        return _result(expectation, success=verdict.success, details=verdict.details, samples=samples)


def _guarded(expectation: Expectation, judge: Callable[[Expectation], ExpectationResult]) -> ExpectationResult:
    try:
        return judge(expectation)
    except CannotJudge as error:
        return _result(expectation, success=False, problem=str(error))
    except duckdb.Error as error:
        return _result(expectation, success=False, problem=str(error).splitlines()[0])


def _row_result(
    expectation: Expectation, judged: int, failing: int, samples: tuple[SampleRow, ...]
) -> ExpectationResult:
    mostly = float(getattr(expectation, "mostly", 1.0))
    # A share that is not exact in binary must not fail the last row that it allows.
    success = judged - failing >= (mostly - 1e-9) * judged
    details = {"mostly": mostly} if mostly < 1 else {}
    return _result(expectation, success=success, judged=judged, failing=failing, samples=samples, details=details)


def _result(expectation: Expectation, *, success: bool, **found: Any) -> ExpectationResult:
    return ExpectationResult(
        expectation.label, expectation.type, expectation.columns_read, expectation.severity, success, **found
    )
