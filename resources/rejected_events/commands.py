"""`analytics rejected list | show | replay`: what the platform did not take, and how to mend it.

`list` prints no bodies: they may hold secrets. What it prints of a sender's making, names and reasons, is cleaned of
what a terminal would obey.
"""

import dataclasses
import datetime as dt
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import click
import duckdb
import msgspec

from platform_assets.contracts.rejections import KnownRejection, Origin, Status
from platform_assets.repair.fixes import BadFix, Fix, Match, read_fixes
from resources.landing_zone import LandingZone
from resources.rejected_events.door import DoorRefused, FrontDoor
from resources.rejected_events.landed import landed_rejections
from resources.rejected_events.replay import ReplayReport, preview, replay
from resources.settings import Settings
from resources.settings.console import err, out, print_columns, printable
from resources.settings.options import with_settings

_EVERY_STATUS = "all"
_STAYED_BROKEN = 2


class _Moment(click.ParamType):
    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dt.datetime:
        """ISO 8601; a time without an offset is UTC."""
        try:
            moment = dt.datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no ISO 8601 time such as 2026-01-31 or 2026-01-31T12:00:00Z", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


@click.group()
def rejected() -> None:
    """Look at rejected events and send them again, mended."""


@rejected.command("list")
@click.option("--reason", help="A piece of the reason; its numbers may be written as #.")
@click.option("--event-name", help="What the rejected event says that happened.")
@click.option("--origin", type=click.Choice([origin.value for origin in Origin]), help="Who stopped it.")
@click.option("--since", type=_Moment(), help="Rejected then or later.")
@click.option("--until", type=_Moment(), help="Rejected before.")
@click.option(
    "--status", default=Status.OPEN.value, show_default=True,
    type=click.Choice([*(status.value for status in Status), _EVERY_STATUS]), help="What became of it.",
)  # fmt: skip
@click.option("--each", is_flag=True, help="One line for each instead of counts.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
@with_settings
def list_rejected(
    settings: Settings,
    *,
    reason: str | None,
    event_name: str | None,
    origin: str | None,
    since: dt.datetime | None,
    until: dt.datetime | None,
    status: str,
    each: bool,
    as_json: bool,
) -> None:
    """Count rejected events by reason, or list them. Bodies are not shown."""
    match = Match(
        reason=reason, event_name=event_name, origin=Origin(origin) if origin else None, since=since, until=until
    )
    wanted = None if status == _EVERY_STATUS else Status(status)
    try:
        with landed_rejections(LandingZone(settings.landing_dir)) as found:
            rows: list[dict[str, Any]]
            if each:
                rows = [_described(rejection) for rejection in found.each(match, wanted)]
            else:
                rows = [dataclasses.asdict(count) for count in found.counts(match, wanted)]
    except duckdb.Error as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        for row in rows:
            out.print(json.dumps(row, default=str), markup=False)
        return
    _print_table(rows)
    total = len(rows) if each else sum(row["count"] for row in rows)
    kind = "" if wanted is None else f"{wanted} "
    err.print(f"{total:,} {kind}rejections." if rows else f"No {kind}rejection of this kind.")


@rejected.command()
@click.argument("rejection_id")
@click.option("--body", "only_body", is_flag=True, help="Print the body and nothing else, as it was sent.")
@with_settings
def show(settings: Settings, rejection_id: str, only_body: bool) -> None:
    """Show one rejection with its body. REJECTION_ID may be the beginning of one."""
    try:
        with landed_rejections(LandingZone(settings.landing_dir)) as landed:
            found = landed.named(rejection_id)
    except duckdb.Error as error:
        raise click.ClickException(str(error)) from None
    if len(found) != 1:
        raise click.ClickException(
            f"Several rejections begin with {rejection_id}; give more of the id."
            if found
            else f"There is no rejection {rejection_id}; `analytics rejected list --each --status all` has all ids."
        )
    if only_body:
        click.echo(found[0].body)
        return
    for name, value in _described(found[0]).items():
        out.print(f"{name:16} {_clean(value)}", markup=False)
    out.print(f"\n{_readable(found[0].body)}", markup=False)


@rejected.command("replay")
@click.option(
    "--fix", "fix_file", required=True, type=click.File("rb"), help="The fix: YAML or JSON, - is standard input."
)
@click.option("--dry-run", is_flag=True, help="Show what would pass and what would fail; send nothing.")
@with_settings
def replay_rejected(settings: Settings, fix_file: Any, dry_run: bool) -> None:
    """Mend open rejections by a fix and send those that pass through the front door.

    Safe to repeat: an event keeps the id under which it was rejected. Exit code 2 when some of the matching rejections
    would not pass or were refused.
    """
    landing = LandingZone(settings.landing_dir)
    try:
        fixes: list[Fix] = read_fixes(fix_file.read())
        if dry_run:
            report = preview(landing, settings, fixes)
        else:
            with FrontDoor(settings) as door:
                report = replay(landing, settings, fixes, door)
    except (BadFix, DoorRefused, duckdb.Error, OSError) as error:
        raise click.ClickException(str(error)) from None
    _print_report(report, dry_run=dry_run)
    if report.failing or report.refused:
        raise SystemExit(_STAYED_BROKEN)


def _print_report(report: ReplayReport, *, dry_run: bool) -> None:
    if not report.matched:
        err.print("No open rejection matches this fix.")
        return
    rows = []
    for group in report.groups.values():
        rows.append((f"{group.passing:,}", f"{group.failing:,}", _clean(group.reason)))
        rows += [("", f"{count:,}", f"  still: {_clean(why)}") for why, count in group.failures.most_common(3)]
        rows += [("", "", f"  for example {rejection_id}") for rejection_id in group.failing_ids]
    print_columns(("passes", "fails", "rejected because"), rows)
    days = _spelled(report.days)
    if dry_run:
        err.print(f"Nothing was sent. {report.passing:,} of {report.matched:,} would pass{days}.")
        return
    err.print(f"{report.accepted:,} of {report.matched:,} are on the log{days}; the next warehouse run brings them in.")
    for reason, count in report.refused.most_common():
        err.print(f"{count:,} were refused at the door: {_clean(reason)}", markup=False)


def _spelled(days: Collection[dt.date]) -> str:
    if not days:
        return ""
    return f", of {len(days):,} days from {min(days)} to {max(days)}" if len(days) > 1 else f", of {min(days)}"


def _described(rejection: KnownRejection) -> dict[str, Any]:
    fields = msgspec.structs.asdict(rejection)
    del fields["body"]
    return fields


# The reason last: it may be long, and a line is never cut.
_COLUMNS = (
    "count",
    "rejection_id",
    "status",
    "origin",
    "event_name",
    "rejected_at",
    "newest_at",
    "example_id",
    "reason",
)


def _print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        columns = [column for column in _COLUMNS if column in rows[0]]
        cells = [[_clean(_moment(row[column])) for column in columns] for row in rows]
        print_columns([column.replace("_", " ") for column in columns], cells)


def _moment(value: Any) -> Any:
    return value.strftime("%Y-%m-%d %H:%M:%SZ") if isinstance(value, dt.datetime) else value


def _clean(value: Any) -> str:
    return "" if value is None else printable(str(value))


def _readable(body: str) -> str:
    try:
        return json.dumps(json.loads(body), indent=2)
    except (ValueError, RecursionError):
        return "\n".join(_clean(line) for line in body.split("\n"))
