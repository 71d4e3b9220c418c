"""What the broker acknowledged, what has landed, and what was lost between the two.

Offsets count, per incarnation of a topic: acknowledged is the door's memory-mapped mark, landed is the end of the
last landing file. While an incarnation lives, the difference is under way; when an in-memory broker dies, it is lost
and written down here.
"""

import datetime as dt
from collections.abc import Iterable
from pathlib import Path

import msgspec

from deployments.local.state_files import read_json, write_json
from resources.event_log.acknowledged import Acknowledged, forget_acknowledged, read_acknowledged
from resources.landing_zone import LandingZone


class Loss(msgspec.Struct, frozen=True):
    """Records that the broker had acknowledged and that died with it."""

    topic: str
    log: str
    records: int
    noticed_at: dt.datetime


class Tally(msgspec.Struct, frozen=True):
    """Records of all topics, over the incarnations that are alive."""

    acknowledged: int
    landed: int
    lost: int

    @property
    def under_way(self) -> int:
        """Acknowledged and not landed yet."""
        return self.acknowledged - self.landed


class Accounts:
    """Reads the marks and the landing zone; keeps the list of losses."""

    def __init__(self, marks_dir: Path, landing: LandingZone, losses_path: Path) -> None:
        self._marks_dir = marks_dir
        self._landing = landing
        self._losses_path = losses_path

    def tally(self) -> Tally:
        """The sums as of now."""
        acknowledged = landed = 0
        for marks in read_acknowledged(self._marks_dir):
            acknowledged += sum(marks.next_offsets)
            landed += sum(marks.next_offsets) - self._missing(marks)
        return Tally(acknowledged, landed, sum(loss.records for loss in self.losses()))

    def losses(self) -> list[Loss]:
        """Every loss so far."""
        return read_json(self._losses_path, list[Loss]) or []

    def close_ended_logs(self, living: Iterable[str]) -> list[Loss]:
        """Settle the incarnations that are over: what did not land of them is lost. Returns the new losses."""
        alive = set(living)
        known = {(loss.topic, loss.log) for loss in self.losses()}
        new: list[Loss] = []
        for marks in read_acknowledged(self._marks_dir):
            if marks.log in alive:
                continue
            missing = self._missing(marks)
            if missing and (marks.topic, marks.log) not in known:
                new.append(Loss(marks.topic, marks.log, missing, dt.datetime.now(dt.UTC)))
                write_json(self._losses_path, [*self.losses(), new[-1]])
            forget_acknowledged(self._marks_dir, marks.topic, marks.log)
        return new

    def _missing(self, marks: Acknowledged) -> int:
        return sum(
            max(0, next_offset - self._landing.next_offset(marks.topic, marks.log, partition))
            for partition, next_offset in enumerate(marks.next_offsets)
        )
