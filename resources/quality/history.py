"""What came of each validation, and each day's numbers: a SQLite file beside the warehouse.

Not in the warehouse, which has one writer and can be rebuilt: a check that reads would have to wait to write, and what
was judged then cannot be recomputed. Appending costs the same however long the history is. No rows of data are kept.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

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
CREATE TABLE IF NOT EXISTS judged_to (suite TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, loaded_at TEXT NOT NULL);
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

    def judged_to(self, suite: str, fingerprint: str) -> dt.datetime | None:
        """Up to which `loaded_at` a suite has judged rows; None where it has not, or was another suite then."""
        rows = self._database.read(
            "SELECT loaded_at FROM judged_to WHERE suite = ? AND fingerprint = ?", (suite, fingerprint)
        )
        return dt.datetime.fromisoformat(rows[0][0]) if rows else None

    def set_judged_to(self, suite: str, fingerprint: str, loaded_at: dt.datetime) -> None:
        """Remember it.

        Raises:
            OnlineStoreError: the file cannot be written.
        """
        with self._database.write() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO judged_to VALUES (?, ?, ?)",
                (suite, fingerprint, loaded_at.astimezone(dt.UTC).isoformat()),
            )

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def _past_result(row: Sequence[Any]) -> PastResult:
    fields = dict(zip(PastResult.__dataclass_fields__, row, strict=True))
    fields["checked_at"] = dt.datetime.fromisoformat(fields["checked_at"])
    fields["success"] = bool(fields["success"])
    fields["details"] = msgspec.json.decode(fields["details"])
    return PastResult(**fields)
