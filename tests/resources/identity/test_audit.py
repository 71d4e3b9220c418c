"""The audit log is a chain: what was changed, taken out, cut off or made anew is found."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import DBAPIError

from resources.identity.actor import Actor
from resources.identity.audit import NOTES_PER_MINUTE, entry_hash, read_head
from resources.identity.audit_verification import Verdict, verify
from resources.identity.models import AuditEntry, AuditHead
from resources.identity.service import Identity
from resources.settings import Settings
from tests.resources.identity.conftest import BY, Clock


async def fill(identity: Identity, count: int) -> None:
    for number in range(count):
        async with identity.audit.change(BY) as change:
            change.record("tried", f"subject-{number}", note="naïve\x00\u2028")


async def verdict(identity: Identity) -> Verdict:
    return await verify(identity.database, identity.head_file)


async def tamper(identity: Identity, work: Callable[..., Awaitable[object]]) -> None:
    """As somebody with the database's own rights would, who takes the triggers away first."""
    async with identity.database.writing() as session:
        if identity.database.is_sqlite:
            for verb in ("UPDATE", "DELETE"):
                await session.execute(text(f"DROP TRIGGER audit_entries_no_{verb}"))
        else:
            await session.execute(text("ALTER TABLE audit_entries DISABLE TRIGGER ALL"))
        await work(session)


async def test_an_untouched_chain_is_whole(identity: Identity) -> None:
    await fill(identity, 5)
    found = await verdict(identity)
    assert (found.entries, found.broken) == (5, None)
    assert read_head(identity.head_file) == (5, found.hash)


async def test_an_empty_chain_is_whole(identity: Identity) -> None:
    assert await verdict(identity) == Verdict(0, "0" * 64)


async def test_entries_cannot_be_changed_or_deleted(identity: Identity) -> None:
    await fill(identity, 1)
    for statement in (update(AuditEntry).values(actor="nobody"), delete(AuditEntry)):
        with pytest.raises(DBAPIError, match="never changed"):
            async with identity.database.writing() as session:
                await session.execute(statement)


async def test_a_changed_entry_is_named(identity: Identity) -> None:
    await fill(identity, 5)
    statement = update(AuditEntry).where(AuditEntry.sequence == 3).values(actor="nobody")
    await tamper(identity, lambda session: session.execute(statement))
    found = await verdict(identity)
    assert (found.broken, found.entries) == (3, 2)
    assert "changed" in found.reason


async def test_a_missing_entry_is_named(identity: Identity) -> None:
    await fill(identity, 5)
    await tamper(identity, lambda session: session.execute(delete(AuditEntry).where(AuditEntry.sequence == 2)))
    assert (await verdict(identity)).broken == 2


async def test_an_entry_that_was_changed_with_its_hash_breaks_the_next_one(identity: Identity) -> None:
    await fill(identity, 5)

    async def forge(session: object) -> None:
        entry = await session.get(AuditEntry, 3)  # type: ignore[attr-defined]
        entry.actor = "nobody"
        entry.hash = entry_hash(entry)

    await tamper(identity, forge)
    assert (await verdict(identity)).broken == 4


async def test_entries_cut_off_the_end_are_missed(identity: Identity) -> None:
    await fill(identity, 5)
    await tamper(identity, lambda session: session.execute(delete(AuditEntry).where(AuditEntry.sequence > 3)))
    assert (await verdict(identity)).broken == 4


async def test_entries_cut_off_with_the_head_set_back_are_missed_by_the_file(identity: Identity) -> None:
    await fill(identity, 5)

    async def cut(session: object) -> None:
        third = await session.get(AuditEntry, 3)  # type: ignore[attr-defined]
        await session.execute(update(AuditHead).values(sequence=3, hash=third.hash))  # type: ignore[attr-defined]
        await session.execute(delete(AuditEntry).where(AuditEntry.sequence > 3))  # type: ignore[attr-defined]

    await tamper(identity, cut)
    found = await verdict(identity)
    assert (found.broken, "cut off" in found.reason) == (4, True)
    # Without the file the shorter chain looks whole: that is what the file is for.
    assert (await verify(identity.database)).broken is None


async def test_a_chain_made_anew_contradicts_the_file(identity: Identity) -> None:
    await fill(identity, 3)

    async def rewrite(session: object) -> None:
        entry = await session.get(AuditEntry, 3)  # type: ignore[attr-defined]
        entry.actor = "nobody"
        entry.hash = entry_hash(entry)
        await session.execute(update(AuditHead).values(hash=entry.hash))  # type: ignore[attr-defined]

    await tamper(identity, rewrite)
    assert (await verify(identity.database)).broken is None
    found = await verdict(identity)
    assert (found.broken, "made anew" in found.reason) == (3, True)


async def test_writers_of_several_processes_make_one_chain(identity: Identity, settings: Settings) -> None:
    others = [Identity(settings) for _ in range(3)]
    await asyncio.gather(*(fill(one, 20) for one in (identity, *others)))
    for other in others:
        await other.stop()
    found = await verdict(identity)
    assert (found.entries, found.broken) == (80, None)


async def test_a_change_that_fails_leaves_no_entry(identity: Identity) -> None:
    async def fail() -> None:
        async with identity.audit.change(BY) as change:
            change.record("tried")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert (await verdict(identity)).entries == 0


async def test_notes_are_bounded_a_minute_and_action_and_the_rest_is_counted(identity: Identity) -> None:
    for _ in range(NOTES_PER_MINUTE + 30):
        identity.audit.note("access", BY, path="/x")
    identity.audit.note("log-in.failed", BY, name="ada")
    await identity.audit.stop()
    async with identity.database.reading() as session:
        entries = (await session.scalars(select(AuditEntry))).all()
    assert len(entries) == NOTES_PER_MINUTE + 2
    assert [entry.details for entry in entries if entry.actor == "many"] == ['{"more": 30}']


async def test_long_details_are_cut(identity: Identity, clock: Clock) -> None:
    identity.audit.note("access", Actor("x" * 500, "y" * 500, "z" * 500), path="p" * 5000)
    await identity.audit.flush()
    async with identity.database.reading() as session:
        (entry,) = (await session.scalars(select(AuditEntry))).all()
    assert (len(entry.actor), len(entry.address), len(entry.request_id)) == (128, 64, 128)
    assert len(entry.details) < 200
    assert entry.at_ms == clock.ms
