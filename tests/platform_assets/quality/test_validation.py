"""Planted faults of each type are found with exactly the right rows; nulls, emptiness and misfits are as documented."""

import datetime as dt
import decimal
from typing import Any

import pyarrow as pa
import pytest

from platform_assets.quality.expectations import Severity
from platform_assets.quality.reading import TYPES, read_expectations
from platform_assets.quality.results import ExpectationResult, ValidationResult
from platform_assets.quality.validation import validate
from tests.platform_assets.quality.conftest import MakeDataset

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
DAY = dt.date(2026, 1, 31)
NAN = float("nan")


def judged(make_dataset: MakeDataset, columns: Any, *items: dict[str, Any], **references: Any) -> ValidationResult:
    dataset = make_dataset(columns, **references)
    return validate(dataset, read_expectations(items), now=NOW, sample_rows=100)


def only(result: ValidationResult) -> ExpectationResult:
    (found,) = result.results
    return found


def failing_rows(result: ExpectationResult) -> list[int | None]:
    return [sample.row for sample in result.samples]


# expectation, columns, which rows fail (from 1), how many are judged
PLANTED: list[tuple[dict[str, Any], dict[str, list[Any]], list[int], int]] = [
    ({"type": "not_null", "column": "a"}, {"a": [1, None, 3, None]}, [2, 4], 4),
    ({"type": "completeness", "column": "a", "mostly": 1.0}, {"a": ["x", "", None, " \t", "y"]}, [2, 3], 5),
    ({"type": "range", "column": "a", "min": 13, "max": 120}, {"a": [12, 13, 120, 121, None]}, [1, 4], 4),
    ({"type": "range", "column": "a", "min": 0, "exclusive": True}, {"a": [0, 1, -1]}, [1, 3], 3),
    ({"type": "range", "column": "a", "min": 0}, {"a": [0.5, NAN, float("inf"), -0.5]}, [2, 4], 4),
    ({"type": "range", "column": "a", "max": 5}, {"a": ["4", "six", "6", "NaN", None]}, [2, 3, 4], 4),
    ({"type": "range", "column": "a", "min": "b", "max": "d"}, {"a": ["a", "b", "d", "da"]}, [1, 4], 4),
    ({"type": "range", "column": "a", "max": DAY}, {"a": [DAY, DAY + dt.timedelta(1), None]}, [2], 2),
    ({"type": "range", "column": "a", "max": "2026-01-31"}, {"a": [DAY, DAY + dt.timedelta(1)]}, [2], 2),
    ({"type": "range", "column": "a", "max": DAY}, {"a": ["2026-01-30", "2026-02-01", "soon"]}, [2, 3], 3),
    ({"type": "range", "column": "a", "max": 1.5}, {"a": [decimal.Decimal("1.50"), decimal.Decimal("1.51")]}, [2], 2),
    ({"type": "pattern", "column": "a", "pattern": r"^\+?1?\d{9,15}$"}, {"a": ["+15551234567", "call", None]}, [2], 2),
    ({"type": "pattern", "column": "a", "pattern": "^o'b"}, {"a": ["o'brien", "' OR 1=1 --"]}, [2], 2),
    ({"type": "pattern", "column": "a", "pattern": "^[0-9]{2}$"}, {"a": [12, 345]}, [2], 2),
    ({"type": "in_set", "column": "a", "values": ["x", "y"]}, {"a": ["x", "z", None, "y"]}, [2], 3),
    ({"type": "in_set", "column": "a", "values": [1, 2]}, {"a": ["1", "2.0", "3", "no"]}, [3, 4], 4),
    ({"type": "in_set", "column": "a", "values": ["1"]}, {"a": [1, 2]}, [2], 2),
    ({"type": "in_set", "column": "a", "values": [True]}, {"a": [True, False]}, [2], 2),
    ({"type": "in_set", "column": "a", "values": [DAY]}, {"a": [DAY, DAY + dt.timedelta(1)]}, [2], 2),
    ({"type": "length", "column": "a", "min": 2, "max": 3}, {"a": ["ä", "äö", "äöü", "äöüß", None]}, [1, 4], 4),
    ({"type": "compare", "column": "a", "operator": "<=", "other": "b"}, {"a": [1, 3, None], "b": [2, 2, 2]}, [2], 2),
    ({"type": "compare", "column": "a", "operator": "!=", "other": "b"}, {"a": [1, 2, 3], "b": [2, 2, None]}, [2], 2),
    ({"type": "unique", "column": "a"}, {"a": ["x", "y", "x", None, None, "x"]}, [3, 6], 4),
    ({"type": "unique", "column": "a", "first_by": "t"}, {"a": ["x", "x", "y"], "t": [2, 1, 0]}, [1], 3),
    ({"type": "unique_together", "columns": ["a", "b"]}, {"a": [1, 1, 1, None], "b": [1, 2, 1, 1]}, [3], 3),
    ({"type": "unique_rows"}, {"a": [1, None, 1, None, 1], "b": [2, 3, 2, 3, 4]}, [3, 4], 5),
    ({"type": "monotonic", "column": "a", "by": "t"}, {"a": [5, 1, 9, 9], "t": [3, 1, 2, 4]}, [1], 4),
    ({"type": "monotonic", "column": "a", "by": "t", "strictly": True}, {"a": [1, 1, None], "t": [1, 2, 3]}, [2], 2),
    (
        {"type": "monotonic", "column": "a", "by": "t", "within": "w", "direction": "decreasing"},
        {"a": [1, 9, 2, 8], "t": [1, 2, 3, 4], "w": ["x", "y", "x", "y"]},
        [3],
        4,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("expectation", "columns", "rows", "judged_rows"), PLANTED)
def test_planted_fault_is_found_with_exactly_its_rows(
    make_dataset: MakeDataset,
    expectation: dict[str, Any],
    columns: dict[str, list[Any]],
    rows: list[int],
    judged_rows: int,
) -> None:
    found = only(judged(make_dataset, columns, expectation))
    assert found.problem is None
    assert not found.success
    assert (failing_rows(found), found.failing, found.judged) == (rows, len(rows), judged_rows)
    assert found.failing_share == len(rows) / judged_rows


@pytest.mark.parametrize(("expectation", "columns", "rows", "judged_rows"), PLANTED)
def test_rows_without_the_fault_pass(
    make_dataset: MakeDataset,
    expectation: dict[str, Any],
    columns: dict[str, list[Any]],
    rows: list[int],
    judged_rows: int,
) -> None:
    types = pa.table(columns).schema
    kept = {
        name: pa.array([value for place, value in enumerate(values, 1) if place not in rows], types.field(name).type)
        for name, values in columns.items()
    }
    found = only(judged(make_dataset, kept, expectation))
    assert (found.success, found.failing) == (True, 0)


@pytest.mark.parametrize("expectation", [planted[0] for planted in PLANTED])
def test_no_row_is_no_failure(make_dataset: MakeDataset, expectation: dict[str, Any]) -> None:
    """Only row_count, freshness and drift find that a data set is empty."""
    empty = {name: pa.array([], pa.string()) for name in "abtw"}
    if isinstance(expectation.get("values", [""])[0], bool):
        empty["a"] = pa.array([], pa.bool_())
    found = only(judged(make_dataset, empty, expectation))
    assert (found.success, found.judged, found.problem) == (True, 0, None)


def test_value_without_its_reference_is_found(make_dataset: MakeDataset) -> None:
    found = only(
        judged(
            make_dataset,
            {"product": [1, 2, None, 9]},
            {"type": "foreign_key", "column": "product", "to": "products", "field": "id"},
            products={"id": ["1", "2", None]},
        )
    )
    assert (failing_rows(found), found.judged) == ([4], 3)


def test_empty_data_set_fails_what_needs_rows(make_dataset: MakeDataset) -> None:
    empty = {"a": pa.array([], pa.timestamp("us", "UTC"))}
    result = judged(
        make_dataset,
        empty,
        {"type": "row_count"},
        {"type": "freshness", "column": "a", "max_age_hours": 1},
        {"type": "drift", "column": "a", "reference": "before"},
        before={"a": [NOW]},
    )
    assert [found.success for found in result.results] == [False, False, False]
    assert result.results[1].problem == "`a` has no time"
    assert result.results[2].problem == "the data set has no values of `a` to compare"


def test_freshness_counts_from_now_and_reads_a_time_without_zone_as_utc(make_dataset: MakeDataset) -> None:
    times = [NOW.replace(tzinfo=None) - dt.timedelta(hours=hours) for hours in (30, 5)]
    result = judged(
        make_dataset,
        {"t": times},
        {"type": "freshness", "column": "t", "max_age_hours": 5, "name": "fresh"},
        {"type": "freshness", "column": "t", "max_age_hours": 4.9, "name": "stale"},
    )
    assert [found.success for found in result.results] == [True, False]
    assert result.results[1].details["age_hours"] == 5


def test_rows_columns_and_types_are_judged(make_dataset: MakeDataset) -> None:
    result = judged(
        make_dataset,
        {"a": [1, 2]},
        {"type": "row_count", "min": 3},
        {"type": "row_count", "min": 0, "max": 1, "name": "few"},
        {"type": "row_count", "max": 2, "name": "right"},
        {"type": "column_exists", "column": "a"},
        {"type": "column_exists", "column": "b"},
        {"type": "column_type", "column": "a", "data_type": "bigint"},
        {"type": "column_type", "column": "a", "data_type": "VARCHAR", "name": "wrong_type"},
    )
    assert [found.success for found in result.results] == [False, False, True, True, False, True, False]
    assert result.results[4].problem == "people has no column `b`; it has a"
    assert result.results[6].details == {"found": "BIGINT", "wanted": "VARCHAR"}
    assert result.success_rate == 100 * 3 / 7


def test_column_without_any_value_is_named(make_dataset: MakeDataset) -> None:
    columns = {"a": [1, None], "b": pa.array([None, None], pa.string())}
    found = only(judged(make_dataset, columns, {"type": "filled_columns"}))
    assert (found.success, found.details) == (False, {"empty_columns": ["b"]})


def test_missing_column_fails_its_expectation_alone(make_dataset: MakeDataset) -> None:
    result = judged(make_dataset, {"a": [1]}, {"type": "not_null", "column": "b"}, {"type": "not_null", "column": "a"})
    assert [found.success for found in result.results] == [False, True]
    assert result.results[0].problem == "people has no column `b`; it has a"


@pytest.mark.parametrize(
    ("misfit", "said"),
    [
        ({"type": "range", "column": "n", "min": "a"}, "a bound that is text"),
        ({"type": "range", "column": "t", "min": 3}, "its bounds are dates"),
        ({"type": "range", "column": "t", "min": "soon"}, "soon"),
        ({"type": "pattern", "column": "n", "pattern": "(?=1)"}, "perl operator"),
        ({"type": "in_set", "column": "n", "values": [True]}, "booleans fit BOOLEAN"),
        ({"type": "foreign_key", "column": "n", "to": "others", "field": "x"}, "others has no column `x`; it has id"),
        ({"type": "foreign_key", "column": "n", "to": "nowhere", "field": "x"}, "no data set nowhere"),
        (
            {"type": "drift", "column": "s", "method": "ks", "reference": "others", "reference_column": "id"},
            "ks needs numbers",
        ),
        ({"type": "drift", "column": "n", "reference": "others"}, "others has no column `n`"),
    ],
)
def test_misfit_fails_with_its_reason_and_spoils_no_other(
    make_dataset: MakeDataset, misfit: dict[str, Any], said: str
) -> None:
    columns = {"n": [1, 2], "t": [NOW, NOW], "s": ["x", "y"]}
    found = judged(
        make_dataset, columns, misfit, {"type": "range", "column": "n", "min": 2, "name": "good"}, others={"id": [1]}
    )
    assert said in str(found.results[0].problem)
    assert not found.results[0].success
    assert (found.results[1].problem, found.results[1].failing) == (None, 1)


@pytest.mark.parametrize(("nulls", "passes"), [(29, True), (30, False)])
def test_mostly_tolerates_its_share_exactly(make_dataset: MakeDataset, nulls: int, passes: bool) -> None:
    """29 of 100 are tolerated with a share of 0.71, which is not exact in binary."""
    columns = {"a": [None] * nulls + [1] * (100 - nulls)}
    assert only(judged(make_dataset, columns, {"type": "not_null", "column": "a", "mostly": 0.71})).success is passes


def test_warning_fails_without_failing_the_validation(make_dataset: MakeDataset) -> None:
    result = judged(
        make_dataset,
        {"a": [None]},
        {"type": "not_null", "column": "a", "severity": "warn"},
        {"type": "row_count"},
    )
    assert result.success
    assert [(found.type, found.severity) for found in result.failed_expectations] == [("not_null", Severity.WARN)]
    assert result.success_rate == 50


def test_samples_are_the_first_failing_rows_and_mask_what_is_personal(make_dataset: MakeDataset) -> None:
    columns = {"id": list(range(10)), "email": [f"u{n}@example.com" for n in range(10)], "city": ["Ulm"] * 10}
    dataset = make_dataset(columns)
    expectation = {"type": "range", "column": "id", "min": 4, "max": 8}
    (found,) = validate(dataset, read_expectations([expectation]), now=NOW, masked={"city"}, sample_rows=3).results
    assert found.failing == 5
    assert [(sample.row, sample.values) for sample in found.samples] == [
        (n + 1, {"id": n, "email": "***", "city": "***"}) for n in (0, 1, 2)
    ]


def test_names_and_values_with_quotes_are_names_and_values(make_dataset: MakeDataset) -> None:
    """Nothing of an expectation becomes SQL."""
    evil = 'a"; DROP TABLE people; --'
    result = judged(
        make_dataset,
        {evil: ["x'; DROP TABLE people; --", "y"]},
        {"type": "in_set", "column": evil, "values": ["x'; DROP TABLE people; --"]},
        {"type": "unique", "column": evil},
        {"type": "pattern", "column": evil, "pattern": "'; DROP TABLE people; --$"},
    )
    assert [found.failing for found in result.results] == [1, 0, 1]
    assert [found.problem for found in result.results] == [None] * 3


def test_every_type_of_expectation_is_planted_somewhere() -> None:
    planted = {str(item[0]["type"]) for item in PLANTED}
    elsewhere = {
        "foreign_key",
        "row_count",
        "freshness",
        "column_exists",
        "column_type",
        "filled_columns",
        "drift",
        "custom_sql",
    }
    assert planted | elsewhere == set(TYPES)
