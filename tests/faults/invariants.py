"""What must hold after every fault, as functions of the client's ledger and the landing zone.

The numbers are those of the fault list: I1 what was acknowledged is there, I2 nothing twice, I3 nothing that was not
sent, I4 nothing that was refused, I6 order per key, I7 recovery in time, I8 the counts add up.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Protocol

import pyarrow.parquet as pq

from platform_assets.contracts.topics import EVENTS, REJECTED
from resources.landing_zone import LandingZone
from tests.faults.ledger import Fate, Ledger


class ClientLedger(Protocol):
    """What a client knows of the events that it sent: `sent` counts the copies of each id."""

    sent: Counter[str]

    def ids(self, *fates: Fate) -> set[str]: ...


@dataclass(frozen=True)
class LandedEvent:
    """One row of a landing file, as far as the invariants look at it."""

    event_id: str
    log: str
    partition: int
    offset: int


def landed_events(zone: LandingZone) -> list[LandedEvent]:
    """Every row of every finished file of the events topic, in the order of the log."""
    rows: list[LandedEvent] = []
    for file in zone.files(EVENTS.name):
        table = pq.read_table(zone.root / file.path, columns=["event_id", "log", "kafka_partition", "kafka_offset"])
        for event_id, log, partition, offset in zip(*(column.to_pylist() for column in table.columns), strict=True):
            assert (log, partition) == (file.log, file.partition), f"{file.path} holds a row of another place"
            assert file.first <= offset <= file.last, f"{file.path} holds offset {offset}"
            rows.append(LandedEvent(event_id, log, partition, offset))
    return rows


def check_places(zone: LandingZone, ends: dict[int, int], log: str) -> None:
    """Each partition's files follow on each other from 0 to the end of its log (I2 of the files)."""
    for file_log in zone.logs(EVENTS.name):
        for partition in range(EVENTS.partitions):
            position = 0
            for file in (found for found in zone.files(EVENTS.name, file_log) if found.partition == partition):
                assert file.first == position, f"{file.path}: offset {position} should come next"
                position = file.last + 1
            if file_log == log:
                assert position == ends[partition], f"partition {partition} landed to {position} of {ends[partition]}"


def check_events(
    ledger: ClientLedger, landed: list[LandedEvent], *, forgotten: bool = False, may_repeat: bool = False
) -> set[str]:
    """I1 to I4 and I6. Returns the acknowledged ids that are missing, which is empty unless `forgotten`.

    `forgotten` is for a broker that lost its log: what it had acknowledged and nobody had landed is gone, to be
    counted and reported by the caller. `may_repeat` is for a broker that died: the client, which got no answer, may
    have put an event into the log twice; it lands as often, and windows and warehouse count it once.
    """
    places = Counter((row.log, row.partition, row.offset) for row in landed)
    assert all(count == 1 for count in places.values()), "an offset landed twice"
    copies = Counter(row.event_id for row in landed)
    ids = set(copies)
    missing = ledger.ids(Fate.ACKNOWLEDGED) - ids
    assert forgotten or not missing, f"I1: {len(missing)} acknowledged events did not land, {sorted(missing)[:5]}"
    more = {event_id for event_id, count in copies.items() if count > ledger.sent[event_id]}
    foreign = ids - set(ledger.sent)
    assert not foreign, f"I3: {len(foreign)} landed events were never sent, {sorted(foreign)[:5]}"
    assert may_repeat or not more, f"I2: {len(more)} events landed more often than they were sent, {sorted(more)[:5]}"
    refused = ids & ledger.ids(Fate.REFUSED)
    assert not refused, f"I4: {len(refused)} refused events landed, {sorted(refused)[:5]}"
    _check_order(landed)
    return missing


def _check_order(landed: list[LandedEvent]) -> None:
    """I6: in each log the first copies of a user's events stand in the order in which they were sent."""
    newest: dict[tuple[str, str], int] = {}
    seen: set[str] = set()
    for row in landed:
        if row.event_id in seen:
            continue
        seen.add(row.event_id)
        user, _, number = row.event_id.rpartition("-")
        before = newest.get((row.log, user), 0)
        assert before < int(number), f"I6: {row.event_id} stands after {user}-{before}"
        newest[row.log, user] = int(number)


def check_counts(ledger: Ledger, landed: list[LandedEvent], zone: LandingZone) -> None:
    """I8: every record of the log is a row or a rejection; every poison that was acknowledged is a rejection."""
    covered = sum(file.last - file.first + 1 for file in zone.files(EVENTS.name))
    rejected = rejections(zone)
    assert len(rejected) == len(set(rejected)) or zone.logs(REJECTED.name)
    assert covered == len(landed) + len(set(rejected)), (
        f"{covered} offsets, {len(landed)} rows, {len(rejected)} rejected"
    )
    known = ledger.poison_acknowledged
    assert known <= len(set(rejected)) <= known + ledger.poison_unknown


def rejections(zone: LandingZone) -> list[str]:
    """The ids of the landed rejections; a second pass over the log repeats ids, which the warehouse keeps once."""
    found: list[str] = []
    for file in zone.files(REJECTED.name):
        found += pq.read_table(zone.root / file.path, columns=["rejection_id"])["rejection_id"].to_pylist()
    return found
