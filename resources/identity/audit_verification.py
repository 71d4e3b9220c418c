"""Reads the whole audit log and says whether it is what was written."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from resources.identity.audit import entry_hash, read_head
from resources.identity.database import IdentityDatabase
from resources.identity.models import AuditEntry, AuditHead

_PAGE = 1_000
_START = "0" * 64


@dataclass(frozen=True)
class Verdict:
    """`broken` is the sequence of the first entry that is not as it was written; None if all are."""

    entries: int
    hash: str
    broken: int | None = None
    reason: str = ""


async def verify(database: IdentityDatabase, head_file: Path | None = None) -> Verdict:
    """Follow the chain from its first entry, then hold its end against the heads that were kept aside."""
    async with database.reading() as session:
        head = (await session.execute(select(AuditHead).where(AuditHead.id == 1))).scalar_one()
        expected, previous = 1, _START
        kept = read_head(head_file) if head_file is not None else None
        hash_at_kept: str | None = _START if kept and kept[0] == 0 else None
        while True:
            page = (
                await session.execute(
                    select(AuditEntry)
                    .where(AuditEntry.sequence >= expected)
                    .order_by(AuditEntry.sequence)
                    .limit(_PAGE)
                    .execution_options(populate_existing=True)
                )
            ).scalars().all()  # fmt: skip
            for entry in page:
                reason = _fault(entry, expected, previous)
                if reason:
                    return Verdict(expected - 1, previous, expected, reason)
                expected, previous = expected + 1, entry.hash
                if kept and entry.sequence == kept[0]:
                    hash_at_kept = entry.hash
            session.expunge_all()
            if len(page) < _PAGE:
                break
    count = expected - 1
    if (head.sequence, head.hash) != (count, previous):
        return Verdict(count, previous, expected, f"the newest entry was number {head.sequence}; it is gone or another")
    if kept is not None and kept[0] > count:
        return Verdict(count, previous, expected, f"{head_file} has seen entry {kept[0]}; entries were cut off the end")
    if kept is not None and kept[1] != hash_at_kept:
        return Verdict(count, previous, kept[0], f"{head_file} has seen another entry; the chain was made anew")
    return Verdict(count, previous)


def _fault(entry: AuditEntry, expected: int, previous: str) -> str:
    if entry.sequence != expected:
        return "the entry is missing"
    if entry.previous_hash != previous:
        return "the entry does not follow from the one before"
    if entry.hash != entry_hash(entry):
        return "the entry was changed after it was written"
    return ""
