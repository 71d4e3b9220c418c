"""`analytics contract show | generate | diff`: the contract of events, tables, windows, features and metrics as one."""

from pathlib import Path

import click

from resources.contracts.dbt_sources import SOURCES_FILE, landed_sources

_DBT_PROJECT = Path(__file__).resolve().parents[2] / "dbt_project"


@click.group()
def contract() -> None:
    """The platform's contract: what is made of it, and whether an edit breaks it."""


@contract.command()
@click.option("--check", is_flag=True, help="Write nothing; fail if the file is not what the contract says.")
def generate(check: bool) -> None:
    """Write dbt's YAML of the landed sources from the contract."""
    path = _DBT_PROJECT / SOURCES_FILE
    content = landed_sources()
    if path.exists() and path.read_text() == content:
        click.echo(f"{SOURCES_FILE} says what the contract says.")
        return
    if check:
        raise click.ClickException(f"{SOURCES_FILE} is not what the contract says: run `analytics contract generate`.")
    path.write_text(content)
    click.echo(f"{path} is written.")
