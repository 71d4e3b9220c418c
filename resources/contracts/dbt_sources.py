"""dbt's YAML of the landed sources, written from the contract: columns, types, descriptions and tests."""

from pathlib import Path
from typing import Any

from platform_assets.contracts.landed_rows import LANDED_ROWS, PREDICTION_ROWS, LandedRows
from platform_assets.quality.contract.rules import RuleKind, rules_of
from resources.warehouse.dbt_build import JUDGED_AT_THE_LOAD
from resources.warehouse.landed_tables import LOAD_COLUMNS, SQL_TYPES

SOURCES_FILE = Path("models") / "staging" / "_landed__sources.yml"
"""Inside the dbt project."""

_HEAD = """\
# Written by `analytics contract generate` from platform_assets/contracts/landed_rows.py: change the contract instead.
"""
_ASSETS = {PREDICTION_ROWS.name: ["inference", "raw_predictions"]}
_LEFT_TO_THE_LOAD = {"config": {"tags": [JUDGED_AT_THE_LOAD]}}
"""On every test here: the load judges the same rows by the same rules, so the platform's builds leave them out."""
_LOADED = {"loaded_at": "When its load began; grows from load to load."}


def landed_sources() -> str:
    """The file's content, the same to the byte for the same contract."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """As PyYAML's, but the items of a list are indented, as in the other files, and nothing is an alias."""

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
            super().increase_indent(flow, indentless=False)

        def ignore_aliases(self, data: object) -> bool:
            return True

    document = {
        "sources": [
            {
                "name": "raw",
                "schema": "raw",
                "description": "The landed records of the event log, loaded as they came.",
                "tables": [_table(rows) for rows in LANDED_ROWS],
            }
        ]
    }
    return _HEAD + yaml.dump(document, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120)


def _table(rows: LandedRows) -> dict[str, Any]:
    rules = rules_of(rows)
    columns = [
        {"name": column.name, "data_type": SQL_TYPES[column.kind], "description": column.description}
        | _column_tests(rows, column.name, column.values)
        for column in rows.columns
    ]
    columns += [
        {"name": name, "data_type": SQL_TYPES[kind], "description": _LOADED[name]}
        for name, kind in LOAD_COLUMNS.items()
    ]
    # What dbt has a test of its own for is said by that.
    conditions = {
        rule.name: rule.broken
        for rule in rules
        if rule.kind is not RuleKind.ACCEPTED_VALUES
        and not (rule.kind is RuleKind.NOT_NULL and rule.column == rows.key)
    }
    asset_key = _ASSETS.get(rows.name, ["raw", rows.name])
    return {
        "name": rows.name,
        "description": rows.description,
        "config": {
            "meta": {"dagster": {"asset_key": asset_key, "group": asset_key[0], "owners": ["team:data"]}},
        },
        "data_tests": [
            {
                "rows_keep_the_contract": {
                    "name": f"{rows.name}_keep_the_contract",
                    "arguments": {"rules": conditions},
                }
                | _LEFT_TO_THE_LOAD
            }
        ],
        "columns": columns,
    }


def _column_tests(rows: LandedRows, name: str, values: tuple[str, ...]) -> dict[str, Any]:
    tests: dict[str, dict[str, Any]] = {"not_null": {}, "unique": {}} if name == rows.key else {}
    if values:
        tests["accepted_values"] = {"arguments": {"values": list(values)}}
    return {"data_tests": [{test: said | _LEFT_TO_THE_LOAD} for test, said in tests.items()]} if tests else {}
