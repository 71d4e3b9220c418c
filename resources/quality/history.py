"""What came of each validation, and each day's numbers: a SQLite file beside the warehouse.

Not in the warehouse, which has one writer and can be rebuilt: a check that reads would have to wait to write, and what
was judged then cannot be recomputed. Appending costs the same however long the history is. No rows of data are kept.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from platform_assets.quality.anomalies import WINDOW_DAYS, DailyValue
from platform_assets.quality.profiles import Series
from platform_assets.quality.results import ValidationResult
from resources.online_store.database import Database
from resources.settings import Settings

_SCHEMA = """
CREATE TABLE IF NOT EXISTS check_results (
    id INTEGER PRIMARY KEY,
    checked_at TEXT NOT NULL,
    run_id TEXT,
    suite TEXT NOT NULL,
    dataset TEXT NOT NULL,
    expectation TEXT NOT NULL,
    type TEXT NOT NULL,
    severity TEXT NOT NULL,
    success INTEGER NOT NULL,
    row_count INTEGER NOT NULL,
    judged INTEGER NOT NULL,
    failing INTEGER NOT NULL,
    details TEXT NOT NULL,
    problem TEXT
);
CREATE INDEX IF NOT EXISTS check_results_of_a_dataset ON check_results (dataset, id);
CREATE INDEX IF NOT EXISTS check_results_by_time ON check_results (checked_at);
CREATE TABLE IF NOT EXISTS judged (
    name TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, loaded_after TEXT, loaded_until TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS daily_values (
    dataset TEXT NOT NULL,
    metric TEXT NOT NULL,
    column_name TEXT NOT NULL,
    day TEXT NOT NULL,
    value REAL NOT NULL,
    noise REAL NOT NULL,
    PRIMARY KEY (dataset, metric, column_name, day)
) WITHOUT ROWID;
"""
_INSERT = "INSERT INTO check_results VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True)
class PastResult:
    """One expectation's verdict in one validation. Times are UTC."""

    checked_at: dt.datetime
    run_id: str | None
    suite: str
    dataset: str
    expectation: str
    type: str
    severity: str
    success: bool
    row_count: int
    judged: int
    failing: int
    details: dict[str, Any]
    problem: str | None


@dataclass(frozen=True)
class Judged:
    """The rows that were loaded after one moment and until another; `after` is None for all from the beginning."""

    after: dt.datetime | None
    until: dt.datetime


class QualityHistory:
    """The history of this deployment.

    Args:
        path: the file; made by the first validation.
        keep_days: results older than this go when new ones come.
    """

    def __init__(self, path: Path, keep_days: int) -> None:
        self._database = Database(path, _SCHEMA, "NORMAL")
        self._keep = dt.timedelta(days=keep_days)

    @classmethod
    def of(cls, settings: Settings) -> "QualityHistory":
        """The one that belongs to the settings."""
        return cls(settings.quality_history_path, settings.quality.keep_days)

    def append(self, result: ValidationResult, *, suite: str, run_id: str | None = None) -> None:
        """Keep a validation's results.

        Raises:
            OnlineStoreError: the file cannot be written.
        """
        rows = [
            (
                result.checked_at.astimezone(dt.UTC).isoformat(),
                run_id,
                suite,
                result.dataset,
                found.expectation,
                found.type,
                found.severity.value,
                found.success,
                result.row_count,
                found.judged,
                found.failing,
                msgspec.json.encode(found.details).decode(),
                found.problem,
            )
            for found in result.results
        ]
        oldest = (result.checked_at - self._keep).astimezone(dt.UTC).isoformat()
        with self._database.write() as connection:
            connection.executemany(_INSERT, rows)
            connection.execute("DELETE FROM check_results WHERE checked_at < ?", (oldest,))

    def results(self, dataset: str | None = None, *, only_failed: bool = False, limit: int = 100) -> list[PastResult]:
        """The newest results first.

        Raises:
            OnlineStoreError: the file cannot be read.
        """
        rows = self._database.read(
            "SELECT checked_at, run_id, suite, dataset, expectation, type, severity, success, row_count, judged, "
            "failing, details, problem FROM check_results "
            "WHERE (?1 IS NULL OR dataset = ?1) AND (?2 = 0 OR success = 0) "
            "ORDER BY id DESC LIMIT ?3",
            (dataset, int(only_failed), limit),
        )
        return [_past_result(row) for row in rows]

    def judged(self, name: str, fingerprint: str) -> Judged | None:
        """Which rows a suite or a profile judged last; None where it has not, or was another one then."""
        rows = self._database.read(
            "SELECT loaded_after, loaded_until FROM judged WHERE name = ? AND fingerprint = ?", (name, fingerprint)
        )
        if not rows:
            return None
        after, until = rows[0]
        return Judged(None if after is None else dt.datetime.fromisoformat(after), dt.datetime.fromisoformat(until))

    def set_judged(self, name: str, fingerprint: str, judged: Judged) -> None:
        """Remember it.

        Raises:
            OnlineStoreError: the file cannot be written.
        """
        after = None if judged.after is None else judged.after.astimezone(dt.UTC).isoformat()
        until = judged.until.astimezone(dt.UTC).isoformat()
        with self._database.write() as connection:
            connection.execute("INSERT OR REPLACE INTO judged VALUES (?, ?, ?, ?)", (name, fingerprint, after, until))

    def put_days(self, dataset: str, series: Series, values: Iterable[DailyValue]) -> None:
        """Keep the numbers of days, in place of what was known of them.

        Raises:
            OnlineStoreError: the file cannot be written.
        """
        rows = [(dataset, series.metric, series.column, one.day.isoformat(), one.value, one.noise) for one in values]
        with self._database.write() as connection:
            connection.executemany("INSERT OR REPLACE INTO daily_values VALUES (?, ?, ?, ?, ?, ?)", rows)

    def days(self, dataset: str, series: Series, *, before: dt.date, most: int = WINDOW_DAYS + 1) -> list[DailyValue]:
        """The newest days before one, in order.

        Raises:
            OnlineStoreError: the file cannot be read.
        """
        rows = self._database.read(
            "SELECT day, value, noise FROM daily_values "
            "WHERE dataset = ? AND metric = ? AND column_name = ? AND day < ? ORDER BY day DESC LIMIT ?",
            (dataset, series.metric, series.column, before.isoformat(), most),
        )
        return [DailyValue(dt.date.fromisoformat(day), value, noise) for day, value, noise in reversed(rows)]

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def _past_result(row: Sequence[Any]) -> PastResult:
    fields = dict(zip(PastResult.__dataclass_fields__, row, strict=True))
    fields["checked_at"] = dt.datetime.fromisoformat(fields["checked_at"])
    fields["success"] = bool(fields["success"])
    fields["details"] = msgspec.json.decode(fields["details"])
    return PastResult(**fields)
