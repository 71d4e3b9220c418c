"""Bare DuckDB runs what dbt sent for models, and nothing else."""

import json
from pathlib import Path

from deployments.scale.bare import model_statements


def a_line(sql: str, unique_id: str | None, name: str = "SQLQuery") -> str:
    node = {} if unique_id is None else {"node_info": {"unique_id": unique_id, "node_relation": {"schema": "marts"}}}
    return json.dumps({"info": {"name": name}, "data": {"sql": sql, **node}})


def test_statements_of_tests_and_of_dbt_itself_are_left_out(tmp_path: Path) -> None:
    log = tmp_path / "dbt.log"
    lines = [
        a_line("select type from pragma", None),
        a_line("create table raw.x", "operation.analytics.analytics-on-run-start-0"),
        a_line("BEGIN", "model.analytics.fct_orders"),
        a_line("create table marts.fct_orders", "model.analytics.fct_orders"),
        a_line("select count(*)", "test.analytics.unique_fct_orders"),
        a_line("select 1", "unit_test.analytics.fct_orders.one"),
        a_line("", "model.analytics.fct_orders", name="SQLQueryStatus"),
        a_line("insert into snap", "snapshot.analytics.snap"),
    ]
    log.write_text("\n".join(lines) + "\n")
    assert model_statements(log) == [
        "CREATE SCHEMA IF NOT EXISTS marts",
        "create table raw.x",
        "BEGIN",
        "create table marts.fct_orders",
        "insert into snap",
    ]
