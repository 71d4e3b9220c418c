"""Which rows fail and why, by their key: what a quarantine keeps out."""

from collections.abc import Sequence
from typing import Any

from platform_assets.quality.dataset import Dataset
from platform_assets.quality.expectations import Expectation
from platform_assets.quality.row_rules import CannotJudge, missing_columns, row_rule
from platform_assets.quality.sql_text import Bindings, quoted


def failing_rows(dataset: Dataset, expectations: Sequence[Expectation], key: str) -> tuple[str, dict[str, Any]] | None:
    """SQL and its values: `key` as text and `reasons`, the labels of what fails, for each row that fails something.

    None where no expectation judges rows by themselves. Those on order and repeats are left out: which of two rows is
    the wrong one is not for them to say. `mostly` counts for nothing here.

    Raises:
        CannotJudge: an expectation does not fit the data set.
    """
    types, bindings, reasons = dataset.types(), Bindings(dict(dataset.parameters)), []
    for expectation in expectations:
        problem = missing_columns(expectation, types, dataset.name)
        if problem is not None:
            raise CannotJudge(problem)
        rule = row_rule(expectation, types, bindings, dataset.references)
        if rule is not None and not rule.in_order:
            reasons.append(f"CASE WHEN {rule.failing} THEN {bindings.add(expectation.label)} END")
    if not reasons:
        return None
    found = f"list_filter([{', '.join(reasons)}], lambda reason: reason IS NOT NULL)"
    return (
        f"SELECT key, reasons FROM (SELECT CAST(d.{quoted(key)} AS VARCHAR) AS key, {found} AS reasons "  # noqa: S608
        f"FROM {dataset.relation} AS d) WHERE len(reasons) > 0",
        bindings.values,
    )
