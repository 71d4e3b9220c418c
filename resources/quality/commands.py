"""`analytics quality run | history | quarantine`: is a data set what it is expected to be?"""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import click
import duckdb

from platform_assets.quality.reading import BadExpectation
from platform_assets.quality.results import ExpectationResult, ValidationResult
from platform_assets.quality.suite import read_suite
from resources.online_store import OnlineStoreError
from resources.quality.files import DatasetUnreadable
from resources.quality.held_rows import held_rows
from resources.quality.history import QualityHistory
from resources.quality.validating import DataQuality
from resources.settings import Settings, SettingsError
from resources.settings.console import err, out, print_columns, printable
from resources.settings.options import with_settings
from resources.warehouse import LockTimeout, Warehouse, WarehouseMissing

_FAILED = 2


@click.group()
def quality() -> None:
    """Whether data sets are what they are expected to be."""


@quality.command()
@click.argument("dataset", required=False)
@click.option("--suite", "suite_file", required=True, type=click.File("rb"), help="YAML or JSON, - is standard input.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@with_settings
def run(settings: Settings, *, dataset: str | None, suite_file: Any, as_json: bool) -> None:
    """Judge DATASET by a suite: a file, a pattern, an address s3://… or a table such as marts.fct_orders.

    Without DATASET the one that the suite names. The result is remembered, a failure alerts. Exit code 2 when an
    expectation of severity `error` fails.
    """
    try:
        suite = read_suite(suite_file.read())
        name = dataset or suite.dataset
        if not name:
            raise BadExpectation("Name the data set: as an argument, or as `dataset` in the suite")
        if suite.watermark or suite.only or suite.payload or suite.quarantine:
            raise BadExpectation(
                "`watermark`, `only`, `payload` and `quarantine` are for suites that the platform runs"
            )
        result = DataQuality.of(settings).validate(name, suite.expectations, suite=suite.name, masked=suite.mask)
    except (BadExpectation, DatasetUnreadable, LockTimeout, OnlineStoreError, SettingsError, duckdb.Error) as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps(_as_plain(result), indent=2))
    else:
        _print_result(result)
    if not result.success:
        raise SystemExit(_FAILED)


@quality.command()
@click.argument("dataset", required=False)
@click.option("--failed", is_flag=True, help="Only what failed.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="The newest so many.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
@with_settings
def history(settings: Settings, *, dataset: str | None, failed: bool, limit: int, as_json: bool) -> None:
    """What was judged before, of one DATASET or of all; the newest first."""
    try:
        found = QualityHistory.of(settings).results(dataset, only_failed=failed, limit=limit)
    except OnlineStoreError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        for past in found:
            click.echo(json.dumps(dataclasses.asdict(past), default=str))
        return
    rows = [
        (
            f"{past.checked_at:%Y-%m-%d %H:%M:%SZ}",
            past.dataset,
            past.expectation,
            _verdict(past.success, past.severity),
            f"{past.failing:,}",
            f"{past.judged:,}",
            past.problem or "",
        )
        for past in found
    ]
    _print_table(("checked at", "data set", "expectation", "", "failing", "judged", "problem"), rows)
    if not found:
        err.print("Nothing was judged yet.")


@quality.command()
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="The newest so many.")
@with_settings
def quarantine(settings: Settings, *, limit: int) -> None:
    """The rows that are kept out of the models, and why."""
    try:
        with Warehouse.of(settings).read() as connection:
            held = held_rows(connection, limit=limit)
    except (WarehouseMissing, LockTimeout, duckdb.Error) as error:
        raise click.ClickException(str(error)) from None
    rows = [(f"{row.since:%Y-%m-%d %H:%M:%SZ}", row.table, row.key, row.suite, row.reasons) for row in held.rows]
    _print_table(("held since", "table", "row", "suite", "fails"), rows)
    err.print(f"{held.count:,} rows are held." if held.count else "No row is held.")


def _print_result(result: ValidationResult) -> None:
    rows = [(one.expectation, _verdict(one.success, one.severity.value), _numbers(one)) for one in result.results]
    _print_table(("expectation", "", ""), rows)
    for one in result.failed_expectations:
        for sample in one.samples:
            place = f"row {sample.row}" if sample.row is not None else "row"
            out.print(f"{printable(one.expectation)}, {place}: {json.dumps(sample.values)}", markup=False)
    err.print(
        f"{result.dataset}: {result.row_count:,} rows; {len(result.results) - len(result.failed_expectations)} of "
        f"{len(result.results)} expectations hold ({result.success_rate:.2f} %).",
        markup=False,
    )


def _numbers(one: ExpectationResult) -> str:
    return one.described().removeprefix(one.expectation).removeprefix(": ")


def _verdict(success: bool, severity: str) -> str:
    return "holds" if success else "fails" if severity == "error" else "warns"


def _as_plain(result: ValidationResult) -> dict[str, Any]:
    return {
        "dataset": result.dataset,
        "checked_at": result.checked_at.isoformat(),
        "row_count": result.row_count,
        "success": result.success,
        "success_rate": result.success_rate,
        "results": [{**dataclasses.asdict(one), "failing_share": one.failing_share} for one in result.results],
    }


def _print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if rows:
        print_columns(header, [[printable(cell) for cell in row] for row in rows])
