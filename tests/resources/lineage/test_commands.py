"""`analytics lineage`: answers from code and dbt, with nothing of the platform running."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from resources.lineage.commands import lineage
from resources.lineage.store import LineageStore
from resources.settings import Settings
from resources.warehouse.dbt_build import DBT_PROJECT


def run(data_dir: Path, *arguments: str) -> Result:
    return CliRunner().invoke(lineage, [*arguments, "--data-dir", str(data_dir)])


@pytest.fixture(autouse=True)
def no_data_dir(monkeypatch: pytest.MonkeyPatch) -> None:
    """The option sets the variable: it must not outlive the test."""
    monkeypatch.setenv("ANALYTICS_DATA_DIR", "unused")


def test_impact_lists_what_a_field_reaches_by_kind(data_dir: Path) -> None:
    result = run(data_dir, "impact", "events.payload.sales_value")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert "  windows/user_activity_1m  sales" in lines
    assert "  metrics/sales  value" in lines
    assert lines.index("window") < lines.index("table") < lines.index("features") < lines.index("metric")
    decides = next(number for number, line in enumerate(lines) if line.startswith("It decides, through a filter"))
    assert lines.index("  metrics/rejections  which rows, and so every column") > decides
    direct = run(data_dir, "impact", "events.payload.sales_value", "--direct").output
    assert direct.splitlines() == lines[: decides - 1]


def test_why_shows_the_way_and_where_each_step_stands(data_dir: Path) -> None:
    output = run(data_dir, "impact", "fct_orders.sales_value", "--why", "--direct").output
    way = output[output.index("  metrics/average_order_value") :].splitlines()[1:5]
    assert [line.strip() for line in way] == [
        "value",
        "marts/fct_orders.sales_value  [start]",
        "→ serving/marts_snapshot.fct_orders.sales_value  [copy of the mart]",
        "→ metrics/average_order_value.value  [metric average_order_value]",
    ]


def test_json_is_for_programs(data_dir: Path) -> None:
    found = json.loads(run(data_dir, "impact", "fct_orders.units", "--json").stdout)
    assert found["of"] == "marts/fct_orders.units"
    assert {"asset", "kind", "column", "influence", "hops", "way"} <= found["affected"][0].keys()


def test_unknown_name_ends_with_near_ones(data_dir: Path) -> None:
    result = run(data_dir, "impact", "events.payload.sales_valu")
    assert result.exit_code == 1
    assert "payload.sales_value" in result.output


def test_show_tells_what_an_asset_is_and_both_sides_of_it(data_dir: Path) -> None:
    both = run(data_dir, "show", "fct_orders", "--depth", "1").output
    assert both.startswith("marts/fct_orders (table): ")
    assert "  marts/fct_order_lines" in both[both.index("upstream:") : both.index("downstream:")]
    assert "  features/customer_activity" in both[both.index("downstream:") :]
    up = run(data_dir, "show", "fct_orders.units", "--upstream", "--direct").output
    assert "downstream:" not in up
    assert "raw/events.payload.quantity" in up


def test_graph_is_drawn_whole_or_around_an_asset(data_dir: Path) -> None:
    mermaid = run(data_dir, "graph").output
    assert mermaid.startswith("flowchart LR\n")
    assert '(["routes/ingest_events"])' in mermaid
    around = run(data_dir, "graph", "raw/demographics", "--format", "dot").output
    assert '"raw/demographics" -> "staging/stg_shop__demographics";' in around
    assert "raw/events" not in around
    whole = json.loads(run(data_dir, "graph", "--format", "json").stdout)
    assert {"format", "assets", "edges"} <= whole.keys()


def test_build_publishes_once(data_dir: Path) -> None:
    first = run(data_dir, "build")
    assert first.exit_code == 0, first.output
    assert " published: " in first.stdout
    assert " unchanged: " in run(data_dir, "build").stdout
    _, document = LineageStore(Settings(data_dir=data_dir).lineage_dir).read()
    assert document.read.keys() == {"dbt_project"}


@pytest.mark.integration
def test_edit_of_a_dbt_model_is_answered_at_once(tmp_path: Path) -> None:
    """The project is copied and a model made to read another field; a project that is broken says why."""
    project = tmp_path / "dbt_project"
    shutil.copytree(DBT_PROJECT, project, ignore=shutil.ignore_patterns("target", "logs"))
    model = project / "models" / "marts" / "fct_orders_by_store.sql"
    model.write_text("select store_id, sum(quantity) as paid from {{ ref('fct_order_lines') }} group by store_id")
    asked = ("impact", "fct_order_lines.sales_value", "--project", str(project), "--direct")
    before = run(tmp_path, *asked)
    assert "missing or stale; dbt compiles" in before.output
    assert "fct_orders_by_store" not in before.output
    model.write_text(model.read_text().replace("sum(quantity)", "sum(sales_value)"))
    after = run(tmp_path, *asked)
    assert "missing or stale; dbt compiles" in after.output
    assert "  marts/fct_orders_by_store  paid" in after.output.splitlines()
    model.write_text("select * from {{ ref('nothing') }}")
    broken = run(tmp_path, *asked)
    assert broken.exit_code == 1
    assert "nothing" in broken.output
