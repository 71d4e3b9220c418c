"""A whole run: the days are made, land step by step, are loaded and built, and in the end everything is counted."""

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deployments.scale import bare, platform_step
from deployments.scale.counting import count
from deployments.scale.landed_days import LandedDays
from deployments.scale.report import Report, Step
from resources.settings.console import err
from resources.warehouse.database import one_row


@dataclass(frozen=True)
class Run:
    """How to run. `folder` None is a temporary one; otherwise what was made there stays where `keep` says so."""

    step_days: int
    with_bare: bool
    folder: Path | None
    keep: bool


def execute(report: Report, run: Run) -> None:
    """Fill in the report, step by step, so that what was measured before a failure is in it.

    Raises:
        StepFailed: a check or a build failed.
        SourceMissing: the shop's files are not installed.
        BrokenProcessPool: a process was killed.
        duckdb.Error, OSError: whatever the engine or the disk refuses.
    """
    with _folder(run) as folder:
        _execute(report, folder, run)


def _execute(report: Report, folder: Path, run: Run) -> None:
    shop = report.shop
    warehouse, bare_file = (folder / side / "analytics.duckdb" for side in ("platform", "bare"))
    for side in (warehouse.parent, bare_file.parent):
        shutil.rmtree(side, ignore_errors=True)
        side.mkdir(parents=True)
    made = LandedDays(folder / "files", shop)
    with _progress() as progress:
        making = progress.add_task("making days", total=shop.days)
        began = time.monotonic()
        new_days = made.make(lambda days: progress.update(making, completed=days))
        if new_days:
            report.made_events_per_s = new_days * shop.day_events / (time.monotonic() - began)
        report.landing_mb = made.size_mb()
        running = progress.add_task("steps", total=-(-shop.days // run.step_days))
        made.hide_all()
        platform_step.load_reference_tables(warehouse)
        if run.with_bare:
            bare.prepare(bare_file)
        for first in range(0, shop.days, run.step_days):
            days = range(first, min(first + run.step_days, shop.days))
            report.steps.append(_step(days, made, warehouse, bare_file if run.with_bare else None))
            progress.advance(running)
            progress.console.print(_line(report.steps[-1]), markup=False)
    report.counting = count(warehouse, shop, made, bare_file if run.with_bare else None)


def _step(days: range, made: LandedDays, warehouse: Path, bare_file: Path | None) -> Step:
    files = [path for day in days for path in made.land(day)]
    loaded = platform_step.load(warehouse, made.landing.root)
    built = platform_step.build(warehouse, warehouse.parent)
    step = Step(
        first_day=days[0],
        last_day=days[-1],
        load=loaded,
        build=built,
        warehouse_mb=warehouse.stat().st_size / 1e6,
    )
    if bare_file is not None:
        with duckdb.connect(warehouse, read_only=True) as connection:
            (loaded_at,) = one_row(connection, "SELECT max(loaded_at) FROM raw.events")
        step.bare = bare.run_step(bare_file, files, loaded_at, warehouse.parent / "logs" / "dbt.log")
    return step


@contextlib.contextmanager
def _folder(run: Run) -> Iterator[Path]:
    """The folder of the run; what it made there is removed, however it ends, unless it is to be kept."""
    if run.folder is None:
        with tempfile.TemporaryDirectory(prefix="scale-") as name:
            yield Path(name)
        return
    run.folder.mkdir(parents=True, exist_ok=True)
    try:
        yield run.folder.resolve()
    finally:
        if not run.keep:
            for name in ("files", "platform", "bare"):
                shutil.rmtree(run.folder / name, ignore_errors=True)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=err
    )


def _line(step: Step) -> str:
    line = (
        f"days {step.first_day + 1}-{step.last_day + 1}: "
        f"load {step.load.seconds:.1f} s (checks {step.load.checks_s:.1f}), "
        f"dbt {step.build.seconds:.1f} s (models {step.build.models_s:.1f}, tests {step.build.tests_s:.1f}), "
        f"peaks {step.load.peak_rss_mb:,.0f} and {step.build.peak_rss_mb:,.0f} MB, file {step.warehouse_mb:,.0f} MB"
    )
    if step.bare is not None:
        line += f"; bare {step.bare.load_s:.1f} + {step.bare.build_s:.1f} s"
    return line
