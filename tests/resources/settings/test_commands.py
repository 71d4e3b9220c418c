"""`analytics config check` names every fault; `analytics config show` hides every secret."""

import os

import pytest
from click.testing import CliRunner, Result

from deployments.cli import main

SECRET = "kV8-tQx2_mR5zLw9"


def run(*arguments: str, **variables: str) -> Result:
    """The command in an environment with these variables only."""
    cleared = dict.fromkeys((name for name in os.environ if name.startswith("ANALYTICS_")), None)
    return CliRunner().invoke(main, ["config", *arguments], env={**cleared, **variables, "COLUMNS": "200"})


def test_a_laptop_without_settings_is_fine() -> None:
    result = run("check")
    assert (result.exit_code, result.output) == (0, "The settings are complete and sound.\n")


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("ANALYTICS_API__PROT", "8000", "unknown  ANALYTICS_API__PROT: .*did you mean ANALYTICS_API__PORT?"),
        ("ANALYTICS_API_PORT", "8000", "unknown  ANALYTICS_API_PORT: .*did you mean ANALYTICS_API__PORT?"),
        ("ANALYTICS_SECRET_DIR", "/x", "unknown  ANALYTICS_SECRET_DIR: .*did you mean ANALYTICS_SECRETS_DIR?"),
        ("ANALYTICS_ZZZ", "1", "unknown  ANALYTICS_ZZZ: no setting has this name"),
        ("ANALYTICS_API__PORT", "high", "bad      ANALYTICS_API__PORT: "),
        ("ANALYTICS_DAGSTER__POSTGRES_URL", "postgresql://a:postgres@b", "weak     ANALYTICS_DAGSTER__POSTGRES_URL: "),
        ("ANALYTICS_ENVIRONMENT", "prod", "missing  ANALYTICS_IDENTITY__DATABASE_URL: "),
        ("ANALYTICS_API__PORT_FILE", "/no/such/file", "ANALYTICS_API__PORT_FILE: /no/such/file cannot be read"),
    ],
)
def test_a_fault_is_named_with_its_kind_and_remedy(variable: str, value: str, told: str) -> None:
    result = run("check", **{variable: value})
    assert result.exit_code == 1
    for part in told.split(".*"):
        assert part in result.output


def test_all_faults_are_named_at_once_and_no_value_is_shown() -> None:
    result = run(
        "check",
        ANALYTICS_API__PROT="1",
        ANALYTICS_REGISTRY__URI=f"https://mlflow:{SECRET[:7]}@host",
        ANALYTICS_ENVIRONMENT="prod",
    )
    assert result.exit_code == 1
    assert "ANALYTICS_API__PROT" in result.output
    assert SECRET[:7] not in result.output


def test_show_tells_values_and_who_set_them_but_no_secret() -> None:
    result = run(
        "show",
        ANALYTICS_API__PORT="8123",
        ANALYTICS_DAGSTER__POSTGRES_URL=f"postgresql://dagster:{SECRET}@db/dagster",
        ANALYTICS_REPLAY__URL=f"https://user:{SECRET}@host",
    )
    assert result.exit_code == 0
    lines = {line.split()[0]: line.split()[1:] for line in result.output.splitlines()}
    assert lines["ANALYTICS_API__PORT"] == ["8123", "environment"]
    assert lines["ANALYTICS_DAGSTER__POSTGRES_URL"] == ["**********", "environment"]
    assert lines["ANALYTICS_REPLAY__URL"] == ["**********", "environment"]
    assert lines["ANALYTICS_API__HOST"] == ["127.0.0.1", "default"]
    assert SECRET not in result.output
