"""dbt's YAML of the landed sources is what the contract says."""

import yaml

from platform_assets.contracts.landed_rows import LANDED_ROWS
from platform_assets.quality.contract.rules import rules_of
from resources.contracts.dbt_sources import SOURCES_FILE, landed_sources
from resources.warehouse.dbt_build import JUDGED_AT_THE_LOAD
from resources.warehouse.landed_tables import SQL_TYPES
from tests.dbt_project.dbt_build import DBT_PROJECT


def test_file_in_the_project_is_the_one_that_the_contract_writes() -> None:
    """After a change of the contract: `analytics contract generate`."""
    assert (DBT_PROJECT / SOURCES_FILE).read_text() == landed_sources()


def test_each_table_has_its_columns_types_descriptions_and_a_test_of_every_rule() -> None:
    tables = {table["name"]: table for table in yaml.safe_load(landed_sources())["sources"][0]["tables"]}
    assert list(tables) == [rows.name for rows in LANDED_ROWS]
    for rows in LANDED_ROWS:
        table = tables[rows.name]
        *columns, loaded_at = table["columns"]
        assert loaded_at["name"] == "loaded_at"
        assert [(column["name"], column["data_type"]) for column in columns] == [
            (column.name, SQL_TYPES[column.kind]) for column in rows.columns
        ]
        assert all(column["description"] for column in table["columns"])
        tested = {column["name"]: column["data_tests"] for column in columns if "data_tests" in column}
        tests = [test for of_column in tested.values() for test in of_column] + table["data_tests"]
        assert all(said["config"]["tags"] == [JUDGED_AT_THE_LOAD] for test in tests for said in test.values())
        assert [list(test) for test in tested.pop(rows.key)] == [["not_null"], ["unique"]]
        assert set(tested) == {column.name for column in rows.columns if column.values}
        by_condition = table["data_tests"][0]["rows_keep_the_contract"]["arguments"]["rules"]
        by_dbt = {f"{rows.key}_is_not_null", *(f"{name}_is_known" for name in tested)}
        assert by_condition.keys() | by_dbt == {rule.name for rule in rules_of(rows)}


def test_nothing_in_the_conditions_is_a_template() -> None:
    """dbt renders what stands in a test's arguments."""
    assert not [mark for mark in ("{{", "{%", "{#") if mark in landed_sources()]
