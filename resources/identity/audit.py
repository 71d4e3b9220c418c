"""The audit log: append-only, each entry's hash covering the one before.

Everything that changes identity is done in `AuditLog.change`, which locks the chain's head first: on Postgres writers
of several processes take turns, so the chain never forks, and no two of them can wait for each other. The change and
its entry are one transaction.

What is only refused (401, 403, a failed log-in) is noted beside the requests, in at most `NOTES_PER_MINUTE` entries a
minute and kind of action; what is beyond is counted in an entry of its own, so a flood of refusals adds some 20 MB a
day, not more. The process's log has a line for every one.

After each commit the newest sequence and hash also go to a file beside the database and to the process's log: whoever
cuts entries off the end, or makes the chain anew, contradicts them.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import json
import logging
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from resources.identity.actor import Actor
from resources.identity.database import IdentityDatabase, IdentityUnavailable
from resources.identity.models import AuditEntry, AuditHead

NOTES_PER_MINUTE = 20
MAX_DETAILS_CHARS = 1_000
_QUEUE = 1_000
_MINUTE_S = 60.0

_ENDS_ACCESS = frozenset({"user.changed", "key.revoked", "log-out", "log-in.refresh-reused"})

Outcome = Literal["ok", "refused"]
Detail = str | int | None

logger = logging.getLogger("audit")


def entry_hash(entry: AuditEntry) -> str:
    """SHA-256 of the entry's canonical JSON: names sorted, no spaces, ASCII only, the previous hash among them."""
    content = {
        name: getattr(entry, name)
        for name in (
            "sequence", "at_ms", "action", "outcome", "actor", "subject", "request_id", "address", "details",
            "previous_hash",
        )
    }  # fmt: skip
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@dataclass(frozen=True)
class Note:
    """What an entry says; its place in the chain comes later."""

    action: str
    by: Actor
    subject: str
    outcome: Outcome
    details: dict[str, Detail]
    at_ms: int


@dataclass
class Change:
    """One transaction on the identity database and the entries that it adds to the chain."""

    session: AsyncSession
    by: Actor
    now_ms: int
    _head: AuditHead
    entries: list[AuditEntry] = field(default_factory=list)

    def record(self, action: str, subject: str = "", outcome: Outcome = "ok", **details: Detail) -> None:
        """Add an entry; it is there if and only if the change is."""
        self.append(Note(action, self.by, subject, outcome, details, self.now_ms))

    def append(self, note: Note) -> None:
        """Add an entry for what was noted earlier."""
        entry = AuditEntry(
            sequence=self._head.sequence + 1,
            at_ms=note.at_ms,
            action=note.action,
            outcome=note.outcome,
            actor=note.by.id[:128],
            subject=note.subject[:128],
            request_id=note.by.request_id[:128],
            address=note.by.address[:64],
            details=_bounded({name: value for name, value in note.details.items() if value is not None}),
            previous_hash=self._head.hash,
        )
        entry.hash = entry_hash(entry)
        self._head.sequence, self._head.hash = entry.sequence, entry.hash
        self.session.add(entry)
        self.entries.append(entry)


@dataclass
class _Window:
    """How much of one action was noted in the running minute."""

    ends: float
    noted: int = 0
    left_out: int = 0


class AuditLog:
    """One per process."""

    def __init__(
        self, database: IdentityDatabase, head_file: Path | None, now_ms: Callable[[], int], *, limit: int | None = None
    ) -> None:
        self._database = database
        self._head_file = head_file
        self._now_ms = now_ms
        self._limit = NOTES_PER_MINUTE if limit is None else limit
        self.on_access_ended: Callable[[], None] | None = None
        self._windows: dict[str, _Window] = {}
        self._notes: deque[Note] = deque()
        self._woken = asyncio.Event()
        self._flushing = asyncio.Lock()
        self._stopping = False
        self._writer: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Write notes in the background."""
        self._writer = asyncio.create_task(self._write_notes(), name="audit-notes")

    async def stop(self) -> None:
        """Write what was noted, and what was left out."""
        if self._writer is not None:
            self._stopping = True
            self._woken.set()
            await self._writer
        self._close_windows(float("inf"))
        await self.flush()

    @contextlib.asynccontextmanager
    async def change(self, by: Actor) -> AsyncIterator[Change]:
        """One transaction under the lock of the chain's head.

        Raises:
            IdentityUnavailable: the database cannot be reached; nothing is changed.
        """
        async with self._database.writing() as session:
            head = (await session.execute(select(AuditHead).where(AuditHead.id == 1).with_for_update())).scalar_one()
            change = Change(session, by, self._now_ms(), head)
            yield change
        if change.entries:
            await self._publish(change.entries)

    def note(
        self, action: str, by: Actor, *, subject: str = "", outcome: Outcome = "refused", **details: Detail
    ) -> None:
        """Remember a refusal, without waiting for the database."""
        now = time.monotonic()
        self._close_windows(now)
        window = self._windows.setdefault(action, _Window(ends=now + _MINUTE_S))
        if window.noted >= self._limit or len(self._notes) >= _QUEUE:
            window.left_out += 1
            return
        window.noted += 1
        self._notes.append(Note(action, by, subject, "refused", details, self._now_ms()))
        self._woken.set()

    async def flush(self) -> None:
        """Write the notes that wait now, after those that are being written."""
        async with self._flushing:
            notes = list(self._notes)
            self._notes.clear()
            await self._write(notes)

    def _close_windows(self, now: float) -> None:
        for action in [action for action, window in self._windows.items() if window.ends <= now]:
            window = self._windows.pop(action)
            if window.left_out:
                details: dict[str, Detail] = {"more": window.left_out}
                self._notes.append(Note(action, Actor("many"), "", "refused", details, self._now_ms()))

    async def _write_notes(self) -> None:
        while not self._stopping:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_MINUTE_S):
                    await self._woken.wait()
            self._woken.clear()
            self._close_windows(time.monotonic())
            await self.flush()

    async def _write(self, notes: list[Note]) -> None:
        if not notes:
            return
        try:
            async with self.change(notes[0].by) as change:
                for note in notes:
                    change.append(note)
        except IdentityUnavailable as error:
            # Each has its line in the log already; requests are refused with or without the database.
            logger.error("Refusals did not reach the audit log", extra={"count": len(notes), "cause": str(error)})

    async def _publish(self, entries: list[AuditEntry]) -> None:
        if self.on_access_ended is not None and any(entry.action in _ENDS_ACCESS for entry in entries):
            self.on_access_ended()
        for entry in entries:
            logger.info(
                "Audit entry",
                extra={
                    "sequence": entry.sequence, "action": entry.action, "outcome": entry.outcome, "actor": entry.actor,
                    "subject": entry.subject, "request_id": entry.request_id, "hash": entry.hash,
                },
            )  # fmt: skip
        if self._head_file is not None:
            await asyncio.to_thread(write_head, self._head_file, entries[-1].sequence, entries[-1].hash)


def write_head(path: Path, sequence: int, hash_: str) -> None:
    """Keep the newest sequence and hash aside; an older one never replaces a newer."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        kept = file.read().split()
        if kept and int(kept[0]) >= sequence:
            return
        file.seek(0)
        file.write(f"{sequence:020d} {hash_}\n")  # of one length, so nothing is left over from before
        file.flush()
        os.fsync(file.fileno())


def read_head(path: Path) -> tuple[int, str] | None:
    """The sequence and hash that were kept aside; None where no file is."""
    try:
        sequence, hash_ = path.read_text().split()
    except FileNotFoundError:
        return None
    return int(sequence), hash_


def _bounded(details: Mapping[str, Detail]) -> str:
    text = json.dumps(details, sort_keys=True)
    if len(text) <= MAX_DETAILS_CHARS:
        return text
    return json.dumps({name: value if isinstance(value, int) else str(value)[:100] for name, value in details.items()})
