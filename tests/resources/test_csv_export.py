"""What is exported as CSV runs nothing in a spreadsheet (security 25)."""

import csv
import io

import pytest

from resources.csv_export import csv_text


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", '=HYPERLINK("x")'])
def test_text_that_would_be_a_formula_is_made_a_text(text: str) -> None:
    (_, row) = csv.reader(io.StringIO(csv_text(["a"], [[text]]), newline=""))
    assert row == [f"'{text}"]


def test_numbers_and_everything_else_stay_as_they_are() -> None:
    assert csv_text(["a", "b", "c"], [[-1.5, None, "a,b=c"]]) == 'a,b,c\r\n-1.5,,"a,b=c"\r\n'
