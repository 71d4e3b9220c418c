"""Which rows fail and why, by their key: what a quarantine keeps out."""

from collections.abc import Sequence
from typing import Any

from platform_assets.quality.dataset import Dataset
from platform_assets.quality.expectations import Expectation
from platform_assets.quality.row_rules import CannotJudge, missing_columns, row_rule
from platform_assets.quality.sql_text import Bindings, quoted


def failing_rows(
    dataset: Dataset, expectations: Sequence[Expectation], key: str, watermark: str
) -> tuple[str, dict[str, Any]]:
    """SQL and its values: `row_key` as text, `row_loaded_at` and `reasons` of each row that fails an expectation.

    `reasons` are the labels of what fails, with commas. `mostly` counts for nothing here.

    Raises:
        CannotJudge: an expectation does not fit the data set, or does not judge rows by themselves, as those on order
            and repeats: which of two rows is the wrong one is not for them to say.
    """
    types, bindings, reasons = dataset.types(), Bindings(dict(dataset.parameters)), []
    for expectation in expectations:
        problem = missing_columns(expectation, types, dataset.name)
        if problem is not None:
            raise CannotJudge(problem)
        rule = row_rule(expectation, types, bindings, dataset.references)
        if rule is None or rule.in_order:
            raise CannotJudge(f"`{expectation.label}` does not judge rows by themselves and cannot quarantine them")
        reasons.append(f"CASE WHEN {rule.failing} THEN {bindings.add(expectation.label)} END")
    return (
        f"SELECT row_key, row_loaded_at, reasons FROM (SELECT CAST(d.{quoted(key)} AS VARCHAR) AS row_key, "  # noqa: S608
        f"d.{quoted(watermark)} AS row_loaded_at, concat_ws(', ', {', '.join(reasons)}) AS reasons "
        f"FROM {dataset.relation} AS d) WHERE reasons <> ''",
        bindings.values,
    )
