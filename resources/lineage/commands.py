"""`analytics lineage build | impact | show | graph`: where values come from and where they go."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import click
import msgspec

from platform_assets.lineage.document import document_of
from platform_assets.lineage.drawing import dot, mermaid
from platform_assets.lineage.graph import ROWS, Influence, LineageError, LineageGraph, Place
from platform_assets.lineage.impact import Affected, Impact, impact_of
from platform_assets.lineage.names import UnknownName, resolve
from platform_assets.lineage.walk import NO_LIMIT, Direction, Reached, walk
from resources.lineage.compiled_dbt import CompilationFailed
from resources.lineage.store import LineageStore, LineageUnreadable
from resources.settings import Settings
from resources.settings.console import err
from resources.settings.options import with_settings
from resources.warehouse.dbt_build import DBT_PROJECT

Command = TypeVar("Command", bound=Callable[..., None])

_project = click.option(
    "--project", type=click.Path(exists=True, file_okay=False, path_type=Path), default=DBT_PROJECT,
    help="The dbt project.  [default: this repository's]",
)  # fmt: skip
_registry = click.option("--registry", is_flag=True, help="Ask the model registry for versions, not only the exported.")


@click.group()
def lineage() -> None:
    """Lineage, read from code and dbt: no part of the platform has to run."""


@lineage.command()
@_project
@with_settings
def build(settings: Settings, project: Path) -> None:
    """Publish the lineage of this deployment, for the API and the tracker."""
    with _explained():
        from resources.lineage.publication import publish_lineage

        published = publish_lineage(settings, project, ask_registry=True, say=_say)
    state = "published" if published.is_new else "unchanged"
    click.echo(f"{published.pointer.file} {state}: {published.pointer.assets} assets, {published.pointer.edges} edges")
    for problem in published.problems:
        _say(f"Less precise: {problem}.")


@lineage.command()
@click.argument("name")
@click.option("--why", is_flag=True, help="Show the way to each.")
@click.option("--direct", is_flag=True, help="Leave out what is only decided by it, through a filter, join or group.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_project
@_registry
@with_settings
def impact(
    settings: Settings, name: str, *, why: bool, direct: bool, as_json: bool, project: Path, registry: bool
) -> None:
    """List what a change of NAME reaches: events.payload.sales_value, marts.fct_orders, fct_orders.units …"""
    graph = _graph(settings, project, registry)
    with _explained():
        found = impact_of(graph, resolve(graph, name), conditions=not direct)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        click.echo("\n".join(_told(found, why=why)))


@lineage.command()
@click.argument("name")
@click.option(
    "--upstream",
    "directions",
    flag_value=(Direction.UPSTREAM,),
    type=click.UNPROCESSED,
    help="Only what it is made of.",
)
@click.option(
    "--downstream",
    "directions",
    flag_value=(Direction.DOWNSTREAM,),
    type=click.UNPROCESSED,
    help="Only what is made of it.",
)
@click.option("--depth", type=click.IntRange(1), default=NO_LIMIT, help="Assets on the way.  [default: all]")
@click.option("--direct", is_flag=True, help="Leave out filters, joins and groups.")
@_project
@_registry
@with_settings
def show(
    settings: Settings,
    name: str,
    *,
    directions: tuple[Direction, ...] | None,
    depth: int,
    direct: bool,
    project: Path,
    registry: bool,
) -> None:
    """Show what NAME is, what it is made of and what is made of it."""
    graph = _graph(settings, project, registry)
    with _explained():
        place = resolve(graph, name)
        asset = graph.assets[place.asset]
        click.echo(f"{place} ({asset.kind}){': ' if asset.description else ''}{asset.description}")
        for direction in directions or tuple(Direction):
            click.echo(f"{direction}:")
            reached = walk(graph, place, direction, depth=depth, conditions=not direct)
            click.echo("\n".join(_nested(reached, place)) or "  nothing")


@lineage.command()
@click.argument("name", required=False)
@click.option("--format", "form", type=click.Choice(["mermaid", "dot", "json"]), default="mermaid", show_default=True)
@_project
@_registry
@with_settings
def graph(settings: Settings, name: str | None, *, form: str, project: Path, registry: bool) -> None:
    """Print the graph, or the part of it that NAME is in."""
    whole = _graph(settings, project, registry)
    if form == "json":
        click.echo(document_of(whole).decode())
        return
    assets: Iterable[str] = whole.assets
    if name is not None:
        with _explained():
            place = Place(resolve(whole, name).asset)
        assets = {one.asset for direction in Direction for one in walk(whole, place, direction)}
    click.echo({"mermaid": mermaid, "dot": dot}[form](whole, assets), nl=False)


def _graph(settings: Settings, project: Path, ask_registry: bool) -> LineageGraph:
    """The graph as code and dbt say it now, with what was recorded."""
    from resources.lineage.publication import build_lineage

    with _explained():
        builder, _ = build_lineage(settings, project, ask_registry=ask_registry, say=_say)
        for problem in builder.problems:
            _say(f"Less precise: {problem}.")
        return LineageStore(settings.lineage_dir).with_recorded(builder.graph)


def _told(impact: Impact, *, why: bool) -> Iterator[str]:
    direct = [one for one in impact.affected if one.influence is Influence.DIRECT]
    conditions = [one for one in impact.affected if one.influence is Influence.CONDITION]
    yield f"A change of {impact.of} reaches:" if direct else f"Nothing is made of {impact.of}."
    yield from _by_kind(direct, why=why)
    if conditions:
        yield "\nIt decides, through a filter, join, group, case or quarantine:"
        yield from _by_kind(conditions, why=why)


def _by_kind(affected: list[Affected], *, why: bool) -> Iterator[str]:
    kind = None
    for asset, group in _by_asset(affected):
        if group[0].kind is not kind:
            kind = group[0].kind
            yield f"\n{kind.value}"
        yield f"  {asset}  {_columns(group)}".rstrip()
        if why:
            for one in group:
                yield f"    {_column(one)}"
                for number, step in enumerate(one.way):
                    yield f"      {'→' if number else ' '} {step.place}  [{step.found_in}]"


def _by_asset(affected: Iterable[Affected]) -> list[tuple[str, list[Affected]]]:
    groups: dict[str, list[Affected]] = {}
    for one in affected:
        groups.setdefault(one.asset, []).append(one)
    return list(groups.items())


def _columns(affected: list[Affected]) -> str:
    if any(one.column == ROWS for one in affected):
        return "which rows, and so every column"
    return ", ".join(_column(one) for one in affected if one.column is not None)


def _column(one: Affected) -> str:
    return {None: "(as a whole)", ROWS: "which rows"}.get(one.column) or str(one.column)


def _nested(reached: dict[Place, Reached], start: Place) -> Iterator[str]:
    """Each place once, under the one that it was reached from."""
    below: dict[Place, list[Reached]] = {}
    for one in reached.values():
        if one.before is not None:
            below.setdefault(one.before, []).append(one)
    waiting = [(one, 1) for one in reversed(below.get(start, []))]
    while waiting:
        here, depth = waiting.pop()
        mark = "" if here.influence is Influence.DIRECT else "  (condition)"
        yield f"{'  ' * depth}{here.place}{mark}"
        waiting += [(one, depth + 1) for one in reversed(below.get(here.place, []))]


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Whatever is wrong, in one line and without a traceback."""
    try:
        yield
    except (UnknownName, CompilationFailed, LineageError, LineageUnreadable, OSError) as error:
        raise click.ClickException(str(error)) from None


def _say(text: str) -> None:
    err.print(text, markup=False)
