"""Expectations are read as a whole or refused with the place of the mistake and what is allowed there."""

import datetime as dt
from typing import Any

import pytest

from platform_assets.quality.expectations import NotNull, Range
from platform_assets.quality.reading import TYPES, BadExpectation, read_expectations


def test_dicts_and_expectations_are_read_side_by_side() -> None:
    found = read_expectations([{"type": "not_null", "column": "a"}, Range(column="a", min=1)])
    assert found == [NotNull(column="a"), Range(column="a", min=1)]
    assert [expectation.label for expectation in found] == ["not_null_a", "range_a"]


def test_dates_of_yaml_stay_dates() -> None:
    (found,) = read_expectations([{"type": "range", "column": "a", "min": dt.date(2026, 1, 1)}])
    assert isinstance(found, Range)
    assert found.min == dt.date(2026, 1, 1)


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([], "`expectations` is empty"),
        ({"type": "not_null"}, "`expectations` is a list"),
        (["not_null"], r"expectations\[0\]: an expectation is a mapping"),
        ([{"column": "a"}], r"expectations\[0\]: `type` is missing; allowed are column_exists, column_type, compare"),
        ([{"type": "nul"}], "unknown type 'nul'; allowed are column_exists"),
        ([{"type": "not_null", "colum": "a"}], "unknown key 'colum'; allowed are type, name, severity, column, mostly"),
        ([{"type": "not_null"}], "missing required field `column`"),
        ([{"type": "not_null", "column": "a", "mostly": 1.5}], r"<= 1.0 - at `\$.mostly`"),
        ([{"type": "completeness", "column": "a"}], "missing required field `mostly`"),
        ([{"type": "range", "column": "a"}], "`range` needs `min`, `max` or both"),
        ([{"type": "range", "column": "a", "min": 2, "max": 1}], "`min` 2 is larger than `max` 1"),
        ([{"type": "range", "column": "a", "min": 1, "max": "z"}], "both numbers, or both dates or texts"),
        ([{"type": "range", "column": "a", "min": True}], "True is no number, text, date or time"),
        ([{"type": "range", "column": "a", "min": float("nan")}], "NaN is no bound"),
        ([{"type": "in_set", "column": "a", "values": [1, "x"]}], "all texts, all numbers"),
        ([{"type": "in_set", "column": "a", "values": []}], "length >= 1"),
        ([{"type": "length", "column": "a", "min": 3, "max": 2}], "`min` 3 is larger"),
        ([{"type": "row_count", "min": 3, "max": 2}], "`min` 3 is larger"),
        ([{"type": "compare", "column": "a", "operator": "=<", "other": "b"}], "'=<'"),
        ([{"type": "drift", "column": "a", "reference": "b", "method": "tv"}], "'tv'"),
        (
            [{"type": "not_null", "column": "a"}, {"type": "not_null", "column": "a", "mostly": 0.5}],
            r"expectations\[1\]: there is a `not_null_a` already; give one of the two another `name`",
        ),
        ([{"type": "row_count", "name": f"n{place}"} for place in range(1001)], "more than 1,000"),
    ],
)
def test_mistake_is_refused_and_named(items: Any, said: str) -> None:
    with pytest.raises(BadExpectation, match=said):
        read_expectations(items)


def test_every_type_has_a_tag_of_its_own() -> None:
    assert len(TYPES) == 19
