"""When a repeated failure is news: the first of a trouble, one now and then while it lasts, and its end.

Failures and successes of one job are noticed by two sensors, so each may come before the other that happened first:
what counts is when they happened.
"""

import sqlite3
from dataclasses import dataclass, replace

TROUBLES_SCHEMA = """
CREATE TABLE IF NOT EXISTS troubles (
    dedup_key TEXT PRIMARY KEY,
    is_open INTEGER NOT NULL,
    failed_at REAL NOT NULL,
    good_at REAL NOT NULL,
    sent_at REAL NOT NULL,
    held_back INTEGER NOT NULL
) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Trouble:
    """What is known behind one dedup key. Times in Unix seconds, 0 for never; `sent_at` is when it was last said."""

    is_open: bool = False
    failed_at: float = 0.0
    good_at: float = 0.0
    sent_at: float = 0.0
    held_back: int = 0


def add_failure(before: Trouble, failed_at: float, now: float, repeat_after_s: float) -> Trouble:
    """The trouble with one more failure; it is to be sent unless more are held back than before."""
    latest = max(before.failed_at, failed_at)
    if before.is_open and now - before.sent_at < repeat_after_s:
        return replace(before, failed_at=latest, held_back=before.held_back + 1)
    return Trouble(before.good_at < latest, latest, before.good_at, now, 0)


def read_trouble(rows: sqlite3.Connection, dedup_key: str) -> Trouble:
    """What is known; nothing of a key that never failed."""
    found = rows.execute(
        "SELECT is_open, failed_at, good_at, sent_at, held_back FROM troubles WHERE dedup_key = ?", [dedup_key]
    ).fetchone()
    return Trouble(bool(found[0]), *found[1:]) if found else Trouble()


def write_trouble(rows: sqlite3.Connection, dedup_key: str, trouble: Trouble) -> None:
    """Keep what is known now."""
    rows.execute(
        "INSERT OR REPLACE INTO troubles VALUES (?, ?, ?, ?, ?, ?)",
        [dedup_key, trouble.is_open, trouble.failed_at, trouble.good_at, trouble.sent_at, trouble.held_back],
    )
