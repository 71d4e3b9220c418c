"""`analytics warehouse rebuild`: make all of it again from the log and the sources, and prove that it is the same."""

from collections.abc import Sequence

import click
import duckdb

from resources.settings import Settings
from resources.settings.console import err, out
from resources.settings.options import with_settings
from resources.warehouse.dbt_build import BuildFailed
from resources.warehouse.landing_damage import LandingDamaged
from resources.warehouse.lock import LockTimeout
from resources.warehouse.rebuild import Choices, RebuildUnderWay, Rebuilt, rebuild
from resources.warehouse.table_comparison import BOOKKEEPING_COLUMNS, LEFT_OUT, Comparison, Difference

_LONGEST_ROW = 400


@click.group()
def warehouse() -> None:
    """The warehouse file."""


@warehouse.command("rebuild")
@click.option("--verify", is_flag=True, help="Compare every table both ways before the switch.")
@click.option("--accept-differences", is_flag=True, help="Switch although the two differ.")
@click.option("--keep/--no-keep", default=True, show_default=True, help="Keep the old file as .before-<time>.")
@with_settings
def rebuild_command(settings: Settings, *, verify: bool, accept_differences: bool, keep: bool) -> None:
    """Make the whole warehouse again from landing files and sources, and put it in the old one's place.

    The platform may go on running: it waits only while the two are compared and change places. With --verify, exit
    code 1 means that they differ and that the old one stays in service.
    """
    choices = Choices(verifies=verify, accepts_differences=accept_differences, keeps_old=keep)
    try:
        rebuilt = rebuild(settings, choices, say=lambda text: err.print(text, markup=False))
    except (RebuildUnderWay, LandingDamaged, BuildFailed, LockTimeout, duckdb.Error, OSError) as error:
        raise click.ClickException(f"{error}\nThe warehouse was not replaced.") from None
    _print_outcome(rebuilt, verify=verify)
    if not rebuilt.is_switched:
        raise SystemExit(1)


def _print_outcome(rebuilt: Rebuilt, *, verify: bool) -> None:
    if rebuilt.damage is not None:
        out.print(f"The old warehouse could not be read: {rebuilt.damage}", markup=False)
        if verify:
            out.print("So there was nothing to compare with.")
    if rebuilt.carried.tables:
        out.print(f"Carried over as they were: {', '.join(rebuilt.carried.tables)}", markup=False)
    for lost in rebuilt.carried.lost:
        out.print(f"LOST, it cannot be read any more: {lost}", markup=False)
    if rebuilt.damage is not None:
        out.print("What could not be carried over begins anew: dbt's snapshots now, features with churn_job.")
    if rebuilt.comparison is not None:
        _print_comparison(rebuilt.comparison)
    if rebuilt.is_switched:
        kept = f"; the old one is {rebuilt.kept_as}" if rebuilt.kept_as is not None else ""
        out.print(f"The rebuilt warehouse is in service{kept}.", markup=False)
    else:
        out.print("The old warehouse stays in service; --accept-differences would switch all the same.")


def _print_comparison(comparison: Comparison) -> None:
    for name, reason in {**BOOKKEEPING_COLUMNS, **LEFT_OUT}.items():
        err.print(f"not compared: {name}, {reason}", markup=False)
    for table, count in comparison.other_copies.items():
        out.print(f"{table}: of {count:,} ids another copy with the same content is kept", markup=False)
    for difference in comparison.differences:
        _print_difference(difference)
    verdict = f"{len(comparison.differences)} differ" if comparison.differences else "all equal"
    out.print(f"{comparison.tables} tables, {comparison.rows:,} rows compared both ways: {verdict}.", markup=False)


def _print_difference(difference: Difference) -> None:
    out.print(
        f"DIFFERS {difference.table}: {difference.only_old:,} rows only in the old one, "
        f"{difference.only_new:,} only in the new one",
        markup=False,
    )
    for side, columns in (("old", difference.columns_of_old), ("new", difference.columns_of_new)):
        if columns:
            out.print(f"  only the {side} one has: {', '.join(columns)}", markup=False)
    for side, rows in (("old", difference.old_rows), ("new", difference.new_rows)):
        for row in rows:
            out.print(f"  {side}  {_one_line(difference.columns, row)}", markup=False)


def _one_line(columns: Sequence[str], row: Sequence[object]) -> str:
    """A row without what a terminal would obey: its values come from events."""
    text = ", ".join(f"{name}={value}" for name, value in zip(columns, row, strict=True))
    printable = "".join(char if char.isprintable() else "?" for char in text)
    return printable if len(printable) <= _LONGEST_ROW else printable[:_LONGEST_ROW] + "…"
