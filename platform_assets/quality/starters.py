"""What can be expected of nearly every data set."""

from typing import Any


def create_common_expectations() -> list[dict[str, Any]]:
    """Expectations that hold for any healthy data set, as dicts to extend with what is true of yours.

    There are rows, none of them twice, and no column is without any value, which is only a warning.
    """
    return [
        {"type": "row_count", "min": 1, "name": "there_are_rows"},
        {"type": "unique_rows", "name": "no_row_is_repeated"},
        {"type": "filled_columns", "name": "no_column_is_empty", "severity": "warn"},
    ]
