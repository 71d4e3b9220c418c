"""`analytics contract show | generate | diff`: the contract of events, tables, windows, features and metrics as one."""

from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from platform_assets.contracts.document import contract_document, encode_document
from resources.contracts.accepted_breaks import DecisionsUnreadable, accept
from resources.contracts.comparison import Comparison, compare, with_reach
from resources.contracts.revisions import CannotCompare, NothingPromised, base_revision
from resources.settings import Settings
from resources.settings.console import err
from resources.settings.options import with_settings

_DBT_PROJECT = Path(__file__).resolve().parents[2] / "dbt_project"


@click.group()
def contract() -> None:
    """The platform's contract: what is made of it, and whether an edit breaks it."""


@contract.command()
@click.option("--json", "as_json", is_flag=True, help="Print the canonical document.")
def show(as_json: bool) -> None:
    """Show every part of the contract that somebody relies on."""
    document = contract_document()
    if as_json:
        click.echo(encode_document(document).decode(), nl=False)
        return
    for name, entry in sorted(document.entries.items()):
        version = "" if entry.version is None else f" version {entry.version}"
        told = {key: value for key, value in entry.attributes.items() if value is not None and value is not False}
        click.echo(f"{name}{version}  {msgspec.json.encode(told).decode()}")


@contract.command()
@click.option("--check", is_flag=True, help="Write nothing; fail if the file is not what the contract says.")
def generate(check: bool) -> None:
    """Write dbt's YAML of the landed sources from the contract."""
    from resources.contracts.dbt_sources import SOURCES_FILE, landed_sources

    path = _DBT_PROJECT / SOURCES_FILE
    content = landed_sources()
    if path.exists() and path.read_text() == content:
        click.echo(f"{SOURCES_FILE} says what the contract says.")
        return
    if check:
        raise click.ClickException(f"{SOURCES_FILE} is not what the contract says: run `analytics contract generate`.")
    path.write_text(content)
    click.echo(f"{path} is written.")


@contract.command()
@click.option("--base", metavar="REV", help="The Git revision.  [default: where this branch left main, else HEAD]")
@click.option("--accept", "reason", metavar="WHY", help="Decide on all breaks that are left; kept in the repository.")
@click.option("--no-reach", is_flag=True, help="Do not look up what the breaks reach; that takes some seconds.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_settings
def diff(settings: Settings, *, base: str | None, reason: str | None, no_reach: bool, as_json: bool) -> None:
    """Compare the contract with that of a Git revision, and fail on a break, with all that it reaches.

    A break passes when it is declared by a greater version, or accepted.
    """
    from resources.lineage.compiled_dbt import CompilationFailed

    try:
        comparison = compare(*base_revision(base))
    except NothingPromised as nothing:
        click.echo(str(nothing))
        return
    except (CannotCompare, DecisionsUnreadable, ValueError) as error:
        raise click.ClickException(str(error)) from None
    try:
        comparison = comparison if no_reach else with_reach(comparison, settings, _say)
    except CompilationFailed as error:
        _say(f"What the changes reach is unknown: {error}")
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(comparison)).decode())
    else:
        click.echo("\n".join(_told(comparison)))
    if comparison.breaking and reason is not None:
        accept((one.change for one in comparison.breaking), reason)
        _say(f"{len(comparison.breaking)} accepted: {reason}")
    elif comparison.breaking:
        raise click.ClickException(
            f"{len(comparison.breaking)} breaking. Undo them, give the window, feature set, topic or envelope a "
            'greater version, or decide on them: `analytics contract diff --accept "why"`.'
        )


def _told(comparison: Comparison) -> Iterator[str]:
    since = f"{comparison.base[:12]} ({comparison.base_is})"
    if not comparison.changes:
        yield f"The contract is what it was at {since}."
        return
    yield f"{len(comparison.changes)} changes since {since}:"
    groups = {
        "breaking": comparison.breaking,
        "accepted breaks": [one for one in comparison.changes if one.is_accepted],
        "declared by a greater version": [one for one in comparison.changes if one.change.declared],
        "compatible": [one for one in comparison.changes if not one.is_breaking and not one.change.declared],
    }
    for title, group in groups.items():
        if group:
            yield f"\n{title}"
        for one in group:
            sides = " and ".join(one.change.breaks)
            yield f"  {one.change}" + (f"  [breaks {sides}]" if sides else "")
            for kind, names in (one.reach or {}).items():
                yield f"      {kind}: {', '.join(names)}"


def _say(line: str) -> None:
    err.print(line, markup=False)
