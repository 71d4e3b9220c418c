"""The contract of the landed rows as conditions in DuckDB's SQL, for checks where the rows are.

Each rule is a condition that is true of a row that breaks it, and never null. Names and values in it are the
contract's own. dbt's tests and Dagster's checks of the raw tables are made of them; they come to the verdict that the
decoders come to, event by event.
"""

import enum
from dataclasses import dataclass

from platform_assets.contracts.columns import Column
from platform_assets.contracts.landed_rows import EVENT_ROWS, LandedRows
from platform_assets.quality.contract.conditions import has_bounds, has_text_limits, is_within, text_fits
from platform_assets.quality.contract.payload import payload_rules, record_is_too_large
from platform_assets.quality.sql_text import text_literal


class RuleKind(enum.StrEnum):
    """What a rule asks: no null, one of the known values, or any other condition."""

    NOT_NULL = "not_null"
    ACCEPTED_VALUES = "accepted_values"
    CONDITION = "condition"


@dataclass(frozen=True)
class Rule:
    """`name` states what is true of a good row, `broken` is the condition that finds the others."""

    name: str
    kind: RuleKind
    column: str
    broken: str


def rules_of(rows: LandedRows) -> tuple[Rule, ...]:
    """All rules of a landed table's rows but the key's uniqueness, which is no matter of one row."""
    found = [rule for column in rows.columns for rule in _column_rules(column)]
    if rows is EVENT_ROWS:
        payload = {**payload_rules(), "record_is_within_its_size": record_is_too_large()}
        found.extend(Rule(name, RuleKind.CONDITION, "payload", broken) for name, broken in payload.items())
    return tuple(found)


def _column_rules(column: Column) -> list[Rule]:
    name = column.name
    rules = []
    if column.required:
        rules.append(Rule(f"{name}_is_not_null", RuleKind.NOT_NULL, name, f"{name} IS NULL"))
    if column.values:
        known = ", ".join(map(text_literal, column.values))
        broken = f"{name} IS NOT NULL AND {name} NOT IN ({known})"
        rules.append(Rule(f"{name}_is_known", RuleKind.ACCEPTED_VALUES, name, broken))
    if has_text_limits(column):
        broken = f"{name} IS NOT NULL AND NOT ({text_fits(name, column)})"
        rules.append(Rule(f"{name}_is_well_formed", RuleKind.CONDITION, name, broken))
    if has_bounds(column):
        broken = f"{name} IS NOT NULL AND NOT ({is_within(name, column)})"
        rules.append(Rule(f"{name}_is_in_range", RuleKind.CONDITION, name, broken))
    return rules
