"""What was said and what is still to be said, in one SQLite file that all processes of a machine share.

An alert is written down before it is sent, so that a process that is killed in between has not lost it, and one that
notices the same thing again does not send it again. A delivery is claimed for a minute: only when its process died in
mid-send does another try it once more. The receiver can tell, since the alert's id stays the same.
"""

import enum
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from resources.notifier.alert import Alert
from resources.notifier.troubles import TROUBLES_SCHEMA, Trouble, add_failure, read_trouble, write_trouble
from resources.online_store.database import Database

CLAIM_S = 60.0
FIRST_REST_S = 60.0
LONGEST_REST_S = 3600.0
GIVE_UP_AFTER_S = 86_400.0
KEPT_S = 30 * 86_400.0

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS alerts (id TEXT PRIMARY KEY, recorded_at REAL NOT NULL, content BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS deliveries (
    alert_id TEXT NOT NULL,
    channel TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due_at REAL NOT NULL,
    detail TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (alert_id, channel)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS deliveries_by_state ON deliveries (channel, state, due_at);
{TROUBLES_SCHEMA}
"""


class Fate(enum.StrEnum):
    """What became of an alert."""

    RECORDED = "recorded"
    KNOWN = "known already"
    HELD_BACK = "held back"
    NOTHING_TO_END = "nothing to end"


class State(enum.StrEnum):
    """What became of a delivery."""

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    GIVEN_UP = "given up"


@dataclass(frozen=True)
class Claimed:
    """A delivery that nobody else tries now. `attempts` counts this one."""

    alert: Alert
    attempts: int
    waited_s: float


@dataclass(frozen=True)
class Delivery:
    """An alert's way through one channel."""

    channel: str
    state: State
    detail: str


class Outbox:
    """The file.

    Args:
        path: made where it is missing.
        repeat_after_s: how long more of the same trouble is held back.
        now: the clock, in Unix seconds.
    """

    def __init__(self, path: Path, repeat_after_s: float, now: Callable[[], float] = time.time) -> None:
        self._database = Database(path, _SCHEMA, "FULL")
        self._repeat_after_s = repeat_after_s
        self._now = now

    def record(self, alert: Alert, channels: Sequence[str]) -> Fate:
        """Write down that something is wrong, for each channel unless it was said a short while ago.

        Raises:
            OnlineStoreError: the file cannot be written.
        """
        now = self._now()
        with self._database.write() as rows:
            if _is_known(rows, alert):
                return Fate.KNOWN
            before = read_trouble(rows, alert.dedup_key)
            after = add_failure(before, alert.occurred_at.timestamp(), now, self._repeat_after_s)
            write_trouble(rows, alert.dedup_key, after)
            if after.held_back:
                _add(rows, alert, now, ())
                return Fate.HELD_BACK
            notes = [f"{before.held_back} more of these were not sent meanwhile."] if before.held_back else []
            if not after.is_open:
                notes.append("It has been well again since.")
            _add(rows, _with_notes(alert, notes), now, channels)
            return Fate.RECORDED

    def record_end(self, alert: Alert, channels: Sequence[str]) -> Fate:
        """Write down that a trouble is over, if there is one that began before.

        Raises:
            OnlineStoreError: the file cannot be written.
        """
        now, good_at = self._now(), alert.occurred_at.timestamp()
        with self._database.write() as rows:
            before = read_trouble(rows, alert.dedup_key)
            if good_at <= max(before.good_at, before.failed_at):
                return Fate.KNOWN if _is_known(rows, alert) else Fate.NOTHING_TO_END
            write_trouble(rows, alert.dedup_key, Trouble(False, before.failed_at, good_at, before.sent_at, 0))
            if not before.is_open:
                return Fate.NOTHING_TO_END
            notes = [f"{before.held_back} more failures were not sent meanwhile."] if before.held_back else []
            _add(rows, _with_notes(alert, notes), now, channels)
            return Fate.RECORDED

    def claim(self, channel: str) -> Claimed | None:
        """The oldest delivery that is due on a channel; None where there is none or the channel rests after a failure.

        Raises:
            OnlineStoreError: the file cannot be written.
        """
        now = self._now()
        with self._database.write() as rows:
            resting = rows.execute(
                "SELECT 1 FROM deliveries WHERE channel = ? AND state = 'waiting' AND attempts > 0 AND due_at > ?",
                [channel, now],
            ).fetchone()
            due = rows.execute(
                "SELECT alert_id, attempts, recorded_at, content FROM deliveries JOIN alerts ON id = alert_id "
                "WHERE channel = ? AND state IN ('waiting', 'sending') AND due_at <= ? "
                "ORDER BY recorded_at, alerts.rowid LIMIT 1",
                [channel, now],
            ).fetchone()
            if resting or due is None:
                return None
            alert_id, attempts, recorded_at, content = due
            rows.execute(
                "UPDATE deliveries SET state = 'sending', attempts = ?, due_at = ? WHERE alert_id = ? AND channel = ?",
                [attempts + 1, now + CLAIM_S, alert_id, channel],
            )
            return Claimed(msgspec.json.decode(content, type=Alert), attempts + 1, now - recorded_at)

    def settle(self, channel: str, claimed: Claimed, failure: str | None, *, is_final: bool = False) -> State:
        """Write down what came of a claimed delivery; `failure` is None for success.

        Raises:
            OnlineStoreError: the file cannot be written.
        """
        rest_s = min(FIRST_REST_S * 2 ** (claimed.attempts - 1), LONGEST_REST_S)
        if failure is None:
            state = State.SENT
        elif is_final or claimed.waited_s + rest_s > GIVE_UP_AFTER_S:
            state = State.GIVEN_UP
        else:
            state = State.WAITING
        with self._database.write() as rows:
            rows.execute(
                "UPDATE deliveries SET state = ?, due_at = ?, detail = ? WHERE alert_id = ? AND channel = ?",
                [state.value, self._now() + rest_s, failure or "", claimed.alert.id, channel],
            )
        return state

    def deliveries(self, alert: Alert) -> tuple[Delivery, ...]:
        """What became of an alert on each channel.

        Raises:
            OnlineStoreError: the file cannot be read.
        """
        found = self._database.read(
            "SELECT channel, state, detail FROM deliveries WHERE alert_id = ? ORDER BY channel", [alert.id]
        )
        return tuple(Delivery(channel, State(state), detail) for channel, state, detail in found)

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        self._database.close()


def _is_known(rows: sqlite3.Connection, alert: Alert) -> bool:
    return rows.execute("SELECT 1 FROM alerts WHERE id = ?", [alert.id]).fetchone() is not None


def _add(rows: sqlite3.Connection, alert: Alert, now: float, channels: Sequence[str]) -> None:
    rows.execute("INSERT OR IGNORE INTO alerts VALUES (?, ?, ?)", [alert.id, now, msgspec.json.encode(alert)])
    rows.executemany(
        "INSERT OR IGNORE INTO deliveries (alert_id, channel, state, due_at) VALUES (?, ?, 'waiting', ?)",
        [(alert.id, channel, now) for channel in channels],
    )
    old = "SELECT id FROM alerts WHERE recorded_at < ?"
    rows.execute(f"DELETE FROM deliveries WHERE alert_id IN ({old})", [now - KEPT_S])  # noqa: S608 - our own constant
    rows.execute("DELETE FROM alerts WHERE recorded_at < ?", [now - KEPT_S])


def _with_notes(alert: Alert, notes: Sequence[str]) -> Alert:
    return msgspec.structs.replace(alert, body="\n".join([alert.body, *notes]))
