"""A replay: which open rejections a fix mends, what would pass, and sending those that would."""

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from platform_assets.contracts.rejections import reason_pattern
from platform_assets.repair.fixes import Fix
from platform_assets.repair.mending import FaultOf, Mended, mend
from resources.event_schemas.folder import SchemaFolder
from resources.event_schemas.in_force import WatchedSchemas, microseconds_of
from resources.landing_zone import LandingZone
from resources.rejected_events.door import FrontDoor
from resources.rejected_events.landed import LandedRejections, landed_rejections
from resources.settings import Settings
from resources.settings.api import UnknownEvents

_SENT_AT_ONCE = 1000
SHOWN_EXAMPLES = 3


@dataclass
class Group:
    """Matched rejections of one reason, its numbers as `#`: how many would pass, and why the others would not."""

    reason: str
    passing: int = 0
    failing: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    failing_ids: list[str] = field(default_factory=list)


@dataclass
class ReplayReport:
    """What a replay found and did. `days` are the UTC days whose events it adds to: what has to be computed again."""

    groups: dict[str, Group] = field(default_factory=dict)
    days: Counter[dt.date] = field(default_factory=Counter)
    sent: int = 0
    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    @property
    def matched(self) -> int:
        """Open rejections that a fix matches."""
        return self.passing + self.failing

    @property
    def passing(self) -> int:
        """Those that the contract would let through now."""
        return sum(group.passing for group in self.groups.values())

    @property
    def failing(self) -> int:
        """Those that stay as they are."""
        return sum(group.failing for group in self.groups.values())

    def note(self, mended: Mended) -> None:
        """Count one matched rejection."""
        reason = reason_pattern(mended.rejection.reason)
        group = self.groups.setdefault(reason, Group(reason))
        if mended.failure is None:
            group.passing += 1
            if mended.day is not None:
                self.days[mended.day] += 1
            return
        group.failing += 1
        group.failures[mended.failure] += 1
        if len(group.failing_ids) < SHOWN_EXAMPLES:
            group.failing_ids.append(mended.rejection.rejection_id)


def preview(landing: LandingZone, settings: Settings, fixes: Sequence[Fix]) -> ReplayReport:
    """What a replay would do, by the contract and the registered schemas. The door has the last word.

    Raises:
        duckdb.Error: see `LandedRejections`.
        OSError: the folder of schemas cannot be read.
    """
    report = ReplayReport()
    with landed_rejections(landing) as rejections:
        for mended in _mended(rejections, fixes, _fault_of(settings)):
            report.note(mended)
    return report


def replay(landing: LandingZone, settings: Settings, fixes: Sequence[Fix], door: FrontDoor) -> ReplayReport:
    """Mend the open rejections that a fix matches and send those that pass.

    Raises:
        DoorRefused: some may have been sent; a repeated replay makes no second event.
        duckdb.Error: see `LandedRejections`.
        OSError: the folder of schemas cannot be read.
    """
    report = ReplayReport()
    waiting: list[bytes] = []
    with landed_rejections(landing) as rejections:
        for mended in _mended(rejections, fixes, _fault_of(settings)):
            report.note(mended)
            if mended.body is not None:
                waiting.append(mended.body)
            if len(waiting) == _SENT_AT_ONCE:
                _send(door, waiting, report)
                waiting = []
    _send(door, waiting, report)
    return report


def _fault_of(settings: Settings) -> FaultOf:
    refuses_unknown = settings.api.unknown_events is UnknownEvents.REJECT
    schemas = WatchedSchemas(SchemaFolder(settings.schemas_dir), refuses_unknown=refuses_unknown)
    return lambda name, payload: schemas.newest().fault(name, payload, microseconds_of(dt.datetime.now(dt.UTC)))


def _mended(rejections: LandedRejections, fixes: Sequence[Fix], fault_of: FaultOf) -> Iterator[Mended]:
    taken: set[str] = set()
    for fix in fixes:
        for rejection in rejections.each(fix.match):
            if rejection.rejection_id not in taken:
                taken.add(rejection.rejection_id)
                yield mend(rejection, fix.steps, fault_of)


def _send(door: FrontDoor, bodies: Sequence[bytes], report: ReplayReport) -> None:
    if not bodies:
        return
    refusals = door.send(bodies)
    report.sent += len(bodies)
    report.accepted += len(bodies) - len(refusals)
    report.refused.update(refusal.reason for refusal in refusals)
