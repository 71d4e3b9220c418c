"""Makes the whole warehouse again beside the one in service, compares the two and changes places.

    1  the new file, in the folder `rebuilding` beside the old one: what cannot be made again, landing files with their
       old load times, the shop's files, `dbt build`. It takes as long as it takes; runs go on writing the old file and
       readers do not notice.
    2  with the writer's lock: what came meanwhile, the comparison, the switch.
    3  the served marts are published from the new file.

Killed in 1 or 2 it leaves the old file in service, and a next one starts anew. The switch is one rename. Compared is
what both files have been given: the new one takes the offsets that the old one has taken, no more.

The file keeps its name while it is made, in another folder: views say the name of their file.
"""

import contextlib
import datetime as dt
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import duckdb
import pyarrow as pa

from platform_assets.contracts.landing import LandingFile
from platform_assets.quality.sql_text import text_literal
from platform_assets.quality.suites import QUARANTINES
from resources.durable_files import sync
from resources.landing_zone import LandingZone
from resources.quality.quarantine import LoadedTable, quarantine
from resources.settings import Settings
from resources.warehouse.carried_tables import QUARANTINE, Carried, carry_over
from resources.warehouse.database import Warehouse, has_table
from resources.warehouse.dbt_build import BuildFailed, dbt_build
from resources.warehouse.file_damage import find_damage
from resources.warehouse.landed_tables import LANDED_TABLES, LandedTable
from resources.warehouse.landing_damage import LandingDamaged, damaged_files, explain
from resources.warehouse.landing_loads import load_in_batches
from resources.warehouse.load_times import forget_loads, remember_loads, restore_load_times, restore_releases
from resources.warehouse.loaded_ranges import loaded_spans
from resources.warehouse.lock import LockTimeout, writer_lock
from resources.warehouse.reference_loads import REFERENCE_TABLES, SourceMissing, load_reference, source_folder
from resources.warehouse.snapshots import publish_snapshot
from resources.warehouse.spans import Span, subtract
from resources.warehouse.table_comparison import NEW, OLD, Comparison, compare_warehouses

MEMORY_LIMIT = "2GB"
"""Of the comparison; beyond it DuckDB spills to disk."""
_LISTED_AT_MOST = 3

Spans = dict[str, dict[tuple[str, int], list[Span]]]
"""The offsets that a warehouse has taken, by topic, then log and partition."""


class Build(Protocol):
    """Builds all models in a warehouse file; see `dbt_build`."""

    def __call__(self, settings: Settings, path: Path, *, full_refresh: bool, say: Callable[[str], None]) -> None: ...


class RebuildUnderWay(RuntimeError):
    """Another process rebuilds this warehouse."""


@dataclass(frozen=True)
class Choices:
    """What a person decides. `keeps_old` keeps the old file beside the new one."""

    verifies: bool = False
    accepts_differences: bool = False
    keeps_old: bool = True


@dataclass
class Rebuilt:
    """What came of it. `comparison` is None where nothing was compared."""

    comparison: Comparison | None = None
    carried: Carried = field(default_factory=Carried)
    damage: str | None = None
    """What is wrong with the old file, if anything is."""
    is_switched: bool = False
    kept_as: Path | None = None


def rebuild(settings: Settings, choices: Choices, say: Callable[[str], None], build: Build = dbt_build) -> Rebuilt:
    """Rebuild the warehouse of a deployment; `say` hears of the progress.

    Raises:
        RebuildUnderWay: another one is at it.
        LandingDamaged: landed files cannot be read; named with the remedy.
        BuildFailed: a model cannot be built, or a test fails; the old file stays in service.
        LockTimeout: a writer held the old file for too long.
    """
    old = Warehouse.of(settings)
    lock = old.path.with_name(old.path.name + ".rebuild.lock")
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(writer_lock(lock, timeout_s=0, purpose="rebuild"))
        except LockTimeout:
            raise RebuildUnderWay(f"Another rebuild of {old.path} is under way ({lock.read_text()}).") from None
        folder = old.path.parent / "rebuilding"
        shutil.rmtree(folder, ignore_errors=True)  # of one that was killed
        folder.mkdir(parents=True)
        try:
            rebuilt = _Rebuild(settings, old, folder, say, build).run(choices)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    if rebuilt.is_switched:
        say("publishing the marts")
        publish_snapshot(old, settings.snapshots_dir)
    return rebuilt


class _Rebuild:
    def __init__(
        self, settings: Settings, old: Warehouse, folder: Path, say: Callable[[str], None], build: Build
    ) -> None:
        self._settings = settings
        self._old = old
        self._new = Warehouse(folder / old.path.name, lock_timeout_s=old.lock_timeout_s)
        self._landing = LandingZone(settings.landing_dir)
        self._say = say
        self._build = build
        self._rebuilt = Rebuilt()
        self._began = dt.datetime.now(dt.UTC)
        self._reference_times: list[object] = []

    def run(self, choices: Choices) -> Rebuilt:
        spans = self._begin()
        is_compared = choices.verifies and spans is not None
        self._load(spans if is_compared else None, restores=self._rebuilt.damage is None)
        self._load_reference()
        self._say("building all models")
        self._build(self._settings, self._new.path, full_refresh=True, say=self._say)
        with self._old.locked("rebuild: compare and switch"):
            self._say("the old warehouse is locked; runs wait")
            self._catch_up(is_compared=is_compared)
            if is_compared and self._rebuilt.damage is None:
                self._compare()
            found = self._rebuilt.comparison
            if found is None or not found.differences or choices.accepts_differences:
                self._rebuilt.kept_as = switch(self._old.path, self._new.path, keeps_old=choices.keeps_old)
                self._rebuilt.is_switched = True
        return self._rebuilt

    def _begin(self) -> Spans | None:
        """Carry over; returns what the old file has taken, or None where it is gone or damaged."""
        if not self._old.path.exists():
            self._rebuilt.damage = "it is not there"
            return None
        try:
            with self._old.attached() as connection:
                connection.execute("USE warehouse")
                spans, self._reference_times = _spans(connection), _reference_times(connection)
                connection.execute(f"ATTACH {text_literal(str(self._new.path))} AS {NEW}; USE {NEW}")
                self._rebuilt.carried = carry_over(connection, "warehouse")
                remember_loads(connection, "warehouse")
        except duckdb.Error as error:
            # A writer's lock for the look: its log is replayed, so it is no reader.
            with self._old.locked("rebuild: look for damage"):
                self._note_damage(error)
            with self._new.write("rebuild") as connection:  # it is known by load times, which are lost
                connection.execute(f"DROP SCHEMA IF EXISTS {QUARANTINE} CASCADE")
            return None
        return spans

    def _load(self, spans: Spans | None, *, restores: bool) -> bool:
        """Load what has landed, or of it what `spans` names; returns whether anything was new.

        `restores`: rows that the old file had loaded get its load times.
        """
        anything = False
        for target in LANDED_TABLES:
            landing = self._landing if spans is None else _LandedBefore(self._landing.root, spans.get(target.topic, {}))
            anything |= self._load_table(landing, target, restores=restores)
            suites = [suite for suite in QUARANTINES if suite.dataset == target.table]
            if suites:
                with self._new.write("rebuild") as connection:
                    quarantine(connection, LoadedTable(target.table, target.key), suites, run_id="rebuild")
        with self._new.write("rebuild") as connection:
            forget_loads(connection)
        return anything

    def _load_table(self, landing: LandingZone, target: LandedTable, *, restores: bool) -> bool:
        rows = files = 0
        for attempt in range(_LISTED_AT_MOST):
            listed = landing.files(target.topic)
            since = dt.datetime.now(dt.UTC)
            try:
                for batch in load_in_batches(self._new, landing, target, purpose="rebuild"):
                    if restores and batch.file_count:
                        # After each batch: DuckDB keeps what an UPDATE replaces in memory until its commit.
                        with self._new.write("rebuild") as connection:
                            restore_load_times(connection, target, since)
                        since = dt.datetime.now(dt.UTC)
                    rows += batch.row_count
                    files += batch.file_count
                    if batch.file_count:
                        self._say(f"loaded {files:,} of {len(listed):,} files into {target.table}: {rows:,} rows")
                break
            except (duckdb.Error, pa.ArrowException, OSError):
                # Compaction may have removed what it had merged: then the list is another one now.
                if attempt + 1 < _LISTED_AT_MOST and any(not (landing.root / one.path).exists() for one in listed):
                    continue
                damaged = damaged_files(landing, target.topic)
                if damaged:
                    raise LandingDamaged(explain(landing, damaged)) from None
                raise
        return files > 0

    def _load_reference(self) -> None:
        try:
            folder = source_folder()
            for table in REFERENCE_TABLES:
                with self._new.write("rebuild") as connection:
                    load_reference(connection, folder, table)
            self._say(f"loaded {len(REFERENCE_TABLES)} files of the shop")
        except SourceMissing as error:
            # A deployment without the shop's files: dbt makes the tables, and they stay empty.
            self._say(str(error))

    def _catch_up(self, *, is_compared: bool) -> None:
        """Take in what came since the beginning. The old file is locked."""
        spans: Spans | None = None
        changed = False
        if self._rebuilt.damage is None and not self._old.path.exists():
            self._rebuilt.damage = "it is not there any more"
        if self._rebuilt.damage is None:
            try:
                spans, changed = self._look_again(self._began if is_compared else dt.datetime.now(dt.UTC))
            except duckdb.Error as error:
                self._note_damage(error)
        # Rows that only the new file had at first bear its own, later times: what comes now has to be newer than those.
        loaded = self._load(spans if is_compared else None, restores=is_compared and self._rebuilt.damage is None)
        if changed:
            self._load_reference()
        if changed or loaded:
            self._say("building what came meanwhile")
            self._build(self._settings, self._new.path, full_refresh=False, say=self._say)
        if self._rebuilt.damage is None and is_compared:
            with self._both() as connection:
                _copy_load_times(connection)

    def _look_again(self, released_at: dt.datetime) -> tuple[Spans, bool]:
        """What the old file has taken by now, and whether anything but landed files has come since the beginning.

        `released_at`: what left quarantine meanwhile counts as loaded then, if the old file does not say later.
        """
        with _connected(self._old.path) as connection:
            connection.execute("CHECKPOINT")  # what a killed writer left in the log beside the file
            is_behind = _marts_are_behind(connection)
            spans, times = _spans(connection), _reference_times(connection)
        if is_behind:
            self._say("the old warehouse's marts are behind its loads, as between two steps of a run: building them")
            try:
                self._build(self._settings, self._old.path, full_refresh=False, say=self._say)
            except BuildFailed as error:
                self._say(f"they could not be built and are compared as they are. {error}")
        with self._both() as connection:
            self._rebuilt.carried = carry_over(connection, OLD)
            remember_loads(connection, OLD)
            released = restore_releases(connection, OLD, self._began, released_at) if _has_quarantine(connection) else 0
        return spans, times != self._reference_times or released > 0

    def _compare(self) -> None:
        self._say("comparing every table both ways")
        try:
            with self._both() as connection:
                self._rebuilt.comparison = compare_warehouses(connection)
        except duckdb.Error as error:
            self._note_damage(error)

    def _note_damage(self, error: duckdb.Error) -> None:
        """Keep what is wrong with the old file; an error that has another cause is raised again."""
        self._rebuilt.damage = find_damage(self._old.path)
        if self._rebuilt.damage is None:
            raise error
        self._say(f"the old warehouse is damaged: {self._rebuilt.damage}")

    @contextlib.contextmanager
    def _both(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A session in the new file, with the old one, which is locked, beside it."""
        with contextlib.closing(duckdb.connect()) as connection:
            connection.execute(f"SET TimeZone = 'UTC'; SET memory_limit = '{MEMORY_LIMIT}'")
            connection.execute(f"SET temp_directory = {text_literal(str(self._new.path.with_suffix('.spilling')))}")
            connection.execute(f"ATTACH {text_literal(str(self._old.path))} AS {OLD} (READ_ONLY)")
            connection.execute(f"ATTACH {text_literal(str(self._new.path))} AS {NEW}; USE {NEW}")
            yield connection


class _LandedBefore(LandingZone):
    """The landed files that another warehouse has loaded."""

    def __init__(self, root: Path, spans: dict[tuple[str, int], list[Span]]) -> None:
        super().__init__(root)
        self._loaded = spans

    def files(self, topic: str, log: str | None = None) -> list[LandingFile]:
        return [file for file in super().files(topic, log) if not self._missing(file)]

    def _missing(self, file: LandingFile) -> list[Span]:
        return subtract((file.first, file.last), self._loaded.get((file.log, file.partition), ()))


def switch(old: Path, new: Path, *, keeps_old: bool) -> Path | None:
    """Put the new file in the old one's place, in one rename; returns where the old one is kept.

    Both are closed and checkpointed, and the caller holds the writer's lock.
    """
    sync(new)
    kept_as = None
    old_log = old.with_name(old.name + ".wal")
    if old.exists():
        shutil.copymode(old, new)
        if keeps_old:
            kept_as = old.with_name(f"{old.stem}.before-{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S.%fZ}{old.suffix}")
            _keep(old, kept_as)
            if old_log.exists():
                _keep(old_log, kept_as.with_name(kept_as.name + ".wal"))
    # Only a damaged file still has one: replayed on the new file it would be read as that one's.
    old_log.unlink(missing_ok=True)
    new.replace(old)
    sync(old.parent)
    return kept_as


def _keep(path: Path, under: Path) -> None:
    """Give a file a second name; where the file system has no such thing, another one instead."""
    try:
        os.link(path, under)
    except OSError:
        path.rename(under)


def _spans(connection: duckdb.DuckDBPyConnection) -> Spans:
    return {target.topic: loaded_spans(connection, target.topic) for target in LANDED_TABLES}


def _reference_times(connection: duckdb.DuckDBPyConnection) -> list[object]:
    """When each of the shop's files was loaded."""
    return [
        connection.execute(f"SELECT max(loaded_at) FROM {table.table}").fetchone()  # noqa: S608 - our own names
        for table in REFERENCE_TABLES
        if has_table(connection, table.table)
    ]


def _marts_are_behind(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether events were loaded that the marts do not count yet, as between two steps of a run."""
    raw, mart = (
        connection.execute(f"SELECT max(loaded_at) FROM {table}").fetchone()  # noqa: S608 - our own names
        if has_table(connection, table)
        else (None,)
        for table in ("raw.events", "marts.fct_event_days")
    )
    return raw != mart


def _has_quarantine(connection: duckdb.DuckDBPyConnection) -> bool:
    return has_table(connection, f"{QUARANTINE}.quarantined_rows")


def _copy_load_times(connection: duckdb.DuckDBPyConnection) -> None:
    """Up to when all that had landed is loaded: of the old file, since the new one took what that had taken."""
    if has_table(connection, "raw.load_times", database=OLD):
        connection.execute(f"DELETE FROM raw.load_times; INSERT INTO raw.load_times FROM {OLD}.raw.load_times")  # noqa: S608


@contextlib.contextmanager
def _connected(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection of the one who holds the file's lock."""
    with contextlib.closing(duckdb.connect(path)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection
