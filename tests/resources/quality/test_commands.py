"""`analytics quality` as a person meets it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from deployments.cli import main
from platform_assets.quality.suite import read_suite
from resources.quality.quarantine import LoadedTable, quarantine
from resources.settings import Settings
from resources.warehouse import Warehouse

SUITE = """
name: users
mask: [nickname]
expectations:
  - {type: not_null, column: id}
  - {type: range, column: age, min: 13}
  - {type: in_set, column: city, values: [Ulm], severity: warn}
"""


@pytest.fixture
def users(tmp_path: Path) -> Path:
    """A file with a child in it, and one city too many."""
    path = tmp_path / "users.csv"
    path.write_text("id,age,city,nickname\n1,30,Ulm,x\n2,7,Ulm,y\n3,40,Bonn,z\n")
    (tmp_path / "suite.yaml").write_text(SUITE)
    return path


def run(path: Path, *arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, ["quality", *arguments, "--data-dir", str(path.parent / "data")], input=stdin)


def test_run_shows_what_fails_with_its_rows_and_exits_2(users: Path) -> None:
    result = run(users, "run", str(users), "--suite", str(users.parent / "suite.yaml"))
    assert result.exit_code == 2
    lines = {line.split()[0]: line for line in result.stdout.splitlines()}
    assert lines["not_null_id"].split()[1] == "holds"
    assert 'range_age, row 2: {"id": 2, "age": 7, "city": "Ulm", "nickname": "***"}' in result.stdout
    assert "warns" in next(line for line in result.stdout.splitlines() if line.startswith("in_set_city "))
    assert "3 rows; 1 of 3 expectations hold (33.33 %)." in result.stderr


def test_run_of_what_holds_exits_0_and_speaks_json(users: Path) -> None:
    good = SUITE.replace("min: 13", "min: 5")
    result = run(users, "run", str(users), "--suite", "-", "--json", stdin=good)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["success"], found["row_count"], found["results"][2]["failing_share"]) == (
        True,
        3,
        pytest.approx(1 / 3),
    )


def test_history_has_what_was_judged_the_newest_first(users: Path) -> None:
    assert "Nothing was judged yet." in run(users, "history").stderr
    run(users, "run", str(users), "--suite", str(users.parent / "suite.yaml"))
    run(users, "run", str(users), "--suite", "-", stdin=SUITE.replace("min: 13", "min: 5"))
    rows = [json.loads(line) for line in run(users, "history", str(users), "--failed", "--json").stdout.splitlines()]
    assert [row["expectation"] for row in rows] == ["in_set_city", "in_set_city", "range_age"]
    shown = run(users, "history", "--limit", "1").stdout.splitlines()
    assert len(shown) == 2
    assert str(users) in shown[1]


@pytest.mark.parametrize(
    ("suite", "dataset", "said"),
    [
        ("name: a\nexpectations: [{type: nul}]", ["users.csv"], "unknown type 'nul'; allowed are"),
        ("name: a\nexpectations: [{type: row_count}]", [], "Name the data set"),
        ("name: a\nexpectations: [{type: row_count}]", ["nowhere.csv"], "nowhere.csv"),
        ("name: a\nwatermark: b\nexpectations: [{type: row_count}]", ["users.csv"], "that the platform runs"),
        ("name: a\nexpectations: [{type: row_count}]", ["marts.fct_orders"], "There is no warehouse"),
    ],
)
def test_mistake_is_one_line_and_exit_1(users: Path, suite: str, dataset: list[str], said: str) -> None:
    names = [str(users.parent / name) if name.endswith(".csv") else name for name in dataset]
    result = run(users, "run", *names, "--suite", "-", stdin=suite)
    assert result.exit_code == 1
    assert said in result.output
    assert "Traceback" not in result.output


def test_quarantine_lists_what_is_held_and_why(users: Path) -> None:
    assert "There is no warehouse" in run(users, "quarantine").output
    suite = read_suite(
        b"name: few\nwatermark: loaded_at\nquarantine: true\n"
        b"expectations: [{type: range, column: units, max: 9, name: few_units}]"
    )
    warehouse = Warehouse.of(Settings(data_dir=users.parent / "data"))
    with warehouse.write("test") as connection:
        connection.execute(
            "CREATE SCHEMA raw; CREATE TABLE raw.sales AS SELECT 'e' || i AS id, i AS units, now() AS loaded_at "
            "FROM range(8, 12) AS r(i)"
        )
        quarantine(connection, LoadedTable("raw.sales", "id"), [suite], run_id="run-1")
    result = run(users, "quarantine")
    assert [line.split()[-3:] for line in result.stdout.splitlines()[1:]] == [
        ["e10", "few", "few_units"],
        ["e11", "few", "few_units"],
    ]
    assert "2 rows are held." in result.stderr
