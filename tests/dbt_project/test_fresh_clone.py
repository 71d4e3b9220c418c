"""`dbt build` in the project's folder alone: no setting, no warehouse, no folder for one."""

import shutil
from pathlib import Path

import duckdb

from tests.dbt_project.dbt_build import DBT_PROJECT, run_dbt_build


def test_fresh_clone_builds_an_empty_warehouse(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    project = clone / "dbt_project"
    shutil.copytree(DBT_PROJECT, project, ignore=shutil.ignore_patterns("target", "logs", "__pycache__", ".user.yml"))
    run_dbt_build(project, {}, "--exclude-resource-type", "unit_test")
    with duckdb.connect(str(clone / ".analytics" / "warehouse" / "analytics.duckdb"), read_only=True) as connection:
        tables = connection.sql("select schema_name, table_name from duckdb_tables() order by all").fetchall()
        counts = {table: connection.table(f"{schema}.{table}").count("*").fetchall() for schema, table in tables}
        rules = connection.sql("select sum(row_count)::bigint, sum(total_rows)::bigint from marts.data_quality_counts")
        assert rules.fetchall() == [(0, 0)]
    assert {schema for schema, _ in tables} == {"raw", "quality", "staging", "intermediate", "marts", "tests"}
    assert counts.pop("data_quality_counts") != [(0,)]
    assert set(map(str, counts.values())) == {"[(0,)]"}
