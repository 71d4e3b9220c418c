"""`analytics metrics` shows what the API would answer."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from resources.settings import Settings
from resources.warehouse.metric_commands import metrics
from tests.published_marts import publish_marts


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    publish_marts(Settings(data_dir=folder))
    return folder


def run(data_dir: Path, *arguments: str) -> Result:
    return CliRunner().invoke(metrics, ["show", *arguments, "--data-dir", str(data_dir)])


def test_metrics_are_listed_with_their_dimensions() -> None:
    result = CliRunner().invoke(metrics, ["list"])
    assert result.exit_code == 0
    assert "discount_share" in result.output


def test_values_are_shown_as_csv(data_dir: Path) -> None:
    result = run(
        data_dir, "sales", "--grain", "month", "--filter", "department:eq:GROCERY", "--to", "2017-01-31", "--csv"
    )
    assert result.output.splitlines() == ["period,value", "2017-01-01,124.0"]


def test_values_are_shown_as_a_table_that_says_when_there_are_more(data_dir: Path) -> None:
    result = run(data_dir, "sales", "--dimension", "brand", "--limit", "2")
    assert "National" in result.output
    assert "Only the first 2 rows" in result.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nothing"], "active_households"),
        (["sales", "--dimension", "x"], "department, brand"),
        (["sales", "--filter", "a"], "operator"),
    ],
)
def test_mistake_names_what_is_allowed(data_dir: Path, arguments: list[str], says: str) -> None:
    result = run(data_dir, *arguments)
    assert result.exit_code == 1
    assert says in result.output


def test_before_the_first_publication_the_remedy_is_named(tmp_path: Path) -> None:
    result = run(tmp_path, "sales")
    assert result.exit_code == 1
    assert "run warehouse_job" in result.output
