"""`analytics config`: are the settings complete and sound, and what are they?"""

import click
from rich.table import Table

from resources.settings.console import err, out
from resources.settings.errors import SettingsError
from resources.settings.inspection import find_faults, show_settings
from resources.settings.options import with_settings
from resources.settings.tree import Settings


@click.group()
def config() -> None:
    """The settings: what they are, and what is wrong with them."""


@config.command()
def check() -> None:
    """Name every setting that is missing, weak, bad or unknown; exit 1 if there is one."""
    try:
        faults = find_faults()
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    for fault in faults:
        err.print(f"{fault.kind:8} {fault.variable}: {fault.reason}", markup=False)
    if faults:
        raise SystemExit(1)
    out.print("The settings are complete and sound.")


@config.command()
@with_settings
def show(settings: Settings) -> None:
    """Print every setting in force and who set it; secrets are hidden."""
    table = Table("variable", "value", "set by", box=None, pad_edge=False)
    for shown in show_settings(settings):
        table.add_row(shown.variable, shown.value, shown.origin)
    out.print(table, markup=False)
