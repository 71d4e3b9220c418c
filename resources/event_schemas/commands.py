"""`analytics schemas list | show | register | check`: the contracts of events' payloads."""

import getpass
from pathlib import Path

import click
import msgspec
from rich.table import Table

from platform_assets.contracts.event_schemas.built_in import SNAPSHOT
from platform_assets.contracts.event_schemas.compatibility import Compatibility
from platform_assets.contracts.event_schemas.keywords import UnsupportedSchema
from resources.event_schemas.checks import (
    CannotCompare,
    check_built_in,
    check_folder,
    check_unchanged,
    is_current,
    snapshot_at,
    update_snapshot,
)
from resources.event_schemas.folder import SchemaFolder, SchemasReadOnly, VersionTaken
from resources.event_schemas.registry import (
    BuiltInSchema,
    DamagedSchemas,
    IncompatibleSchema,
    Outcome,
    SchemaRegistry,
    UnknownSchema,
)
from resources.settings import Settings
from resources.settings.console import err, out
from resources.settings.options import with_settings


@click.group()
def schemas() -> None:
    """Schemas of events' payloads: what is registered, and whether a new version keeps its promises."""


@schemas.command("list")
@with_settings
def list_schemas(settings: Settings) -> None:
    """The newest version of every event name with a schema."""
    known, faults = _registry(settings).known()
    table = Table("event name", "version", "compatibility", "in force from", box=None, pad_edge=False)
    for name, versions in known.items():
        newest = versions[-1]
        if newest.registered is None:
            table.add_row(name, str(newest.version), "built in", "")
        else:
            told = newest.registered
            table.add_row(name, str(newest.version), told.compatibility.value, told.in_force_from.isoformat())
    out.print(table)
    for name, fault in faults.items():
        _say(f"{name} cannot be read and is not in force: {fault}")


@schemas.command()
@click.argument("event_name")
@click.option("--version", type=click.IntRange(1), help="Default: the newest.")
@with_settings
def show(settings: Settings, event_name: str, version: int | None) -> None:
    """Print the JSON Schema of EVENT_NAME."""
    try:
        found = _registry(settings).find(event_name, version)
    except UnknownSchema as error:
        raise click.ClickException(str(error)) from None
    click.echo(msgspec.json.format(msgspec.json.encode(found.document), indent=2).decode())


@schemas.command()
@click.argument("event_name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--compatibility", default=Compatibility.BACKWARD.value, show_default=True,
    type=click.Choice([mode.value for mode in Compatibility]), help="What the version promises about the one before.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Check only; nothing is stored.")
@with_settings
def register(settings: Settings, event_name: str, file: Path, compatibility: str, dry_run: bool) -> None:
    """Make the JSON Schema in FILE the next version of EVENT_NAME."""
    try:
        version, outcome = _registry(settings).register(
            event_name,
            _read(file),
            promise=Compatibility(compatibility),
            by=f"cli:{getpass.getuser()}",
            dry_run=dry_run,
        )
    except (UnsupportedSchema, IncompatibleSchema) as error:
        for line in error.faults if isinstance(error, UnsupportedSchema) else error.violations:
            _say(str(line))
        raise click.ClickException(f"{event_name} was not registered.") from None
    except (BuiltInSchema, DamagedSchemas, SchemasReadOnly, VersionTaken, msgspec.MsgspecError, OSError) as error:
        raise click.ClickException(str(error)) from None
    said = {
        Outcome.REGISTERED: f"registered, in force from {version.in_force_from.isoformat()}",
        Outcome.UNCHANGED: "the newest version says this already",
        Outcome.CHECKED: "can be registered",
    }
    click.echo(f"{event_name} v{version.version}: {said[outcome]}")


@schemas.command()
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--against", metavar="REF", help="A Git revision: compare with what was committed there.")
@click.option("--update", is_flag=True, help="Agree on the built-in contracts as they are, where they keep promises.")
def check(folder: Path | None, against: str | None, update: bool) -> None:
    """Fail if a built-in contract breaks what its snapshot promises.

    With FOLDER, also if a version in it cannot be read or breaks its promise about the one before; --against REF takes
    the snapshot from REF, so that it cannot be edited along, and fails if a version of FOLDER is not what it was there.
    """
    try:
        here = SNAPSHOT.read_bytes()
        faults = check_built_in(snapshot_at(against) if against else here)
        if folder is not None:
            faults += check_folder(folder)
            faults += check_unchanged(folder, against) if against else []
    except (CannotCompare, OSError) as error:
        raise click.ClickException(str(error)) from None
    for fault in faults:
        _say(fault)
    if faults:
        raise click.ClickException(f"{len(faults)} broken; see above.")
    if update:
        update_snapshot()
    elif not is_current(here):
        raise click.ClickException("The built-in contracts have changed, compatibly: run it again with --update.")
    click.echo("Every contract keeps its promises.")


def _registry(settings: Settings) -> SchemaRegistry:
    return SchemaRegistry(SchemaFolder(settings.schemas_dir), in_force_after_s=settings.schemas.in_force_after_s)


def _read(file: Path) -> object:
    try:
        return msgspec.json.decode(file.read_bytes())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise click.ClickException(f"{file} is no JSON: {error}") from None


def _say(line: str) -> None:
    err.print(line, markup=False)
