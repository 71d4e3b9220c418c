"""Keeps the sender's clock and the server's apart.

`received_at` is always the server's time. `occurred_at` is the sender's, with two rules:

- A sender that says when it sent the request (by its own clock) shows how far that clock is off. Beyond
  `MAX_IGNORED_SKEW`, which a slow network explains as well, every `occurred_at` of the request is moved by that much.
  Moving keeps the distances between events, and what was moved can be moved back: the answer and the log line tell
  the seconds.
- After that, an event may lie in the future by `tolerance` at most. What lies further is refused, and stands in the
  rejected table as it was sent, or is clamped to the time of receipt, as the setting says.
"""

import datetime as dt
from dataclasses import dataclass, field

from platform_assets.contracts.events import EARLIEST, LATEST, InvalidEvent
from resources.settings.api import ApiSettings, FutureEvents

MAX_IGNORED_SKEW = dt.timedelta(minutes=1)
_NONE = dt.timedelta()


@dataclass(frozen=True)
class ClockRule:
    """How much future is tolerated, and what becomes of more."""

    tolerance: dt.timedelta = dt.timedelta(hours=1)
    future: FutureEvents = FutureEvents.REFUSE

    @classmethod
    def of(cls, settings: ApiSettings) -> "ClockRule":
        """The rule that the settings make."""
        return cls(dt.timedelta(seconds=settings.future_tolerance_s), settings.future_events)


@dataclass
class ClientClock:
    """The clock of one request's sender. `moved` and `clamped` count its events."""

    received_at: dt.datetime
    rule: ClockRule
    sent_at: dt.datetime | None = None
    moved: int = 0
    clamped: int = 0
    skew: dt.timedelta = field(init=False)
    """What is added to the sender's times; zero within `MAX_IGNORED_SKEW`."""

    def __post_init__(self) -> None:
        skew = _NONE if self.sent_at is None else self.received_at - self.sent_at
        self.skew = skew if abs(skew) > MAX_IGNORED_SKEW else _NONE
        self._latest = self.received_at + self.rule.tolerance

    def read(self, claimed: dt.datetime, event_id: str | None) -> dt.datetime:
        """The time of an event by the server's clock.

        Raises:
            InvalidEvent: it lies in the future, or outside of what the log can hold.
        """
        time = self._moved(claimed, event_id) if self.skew else claimed
        if time <= self._latest:
            return time
        if self.rule.future is FutureEvents.CLAMP:
            self.clamped += 1
            return self.received_at
        ahead_s = (time - self.received_at).total_seconds()
        raise InvalidEvent(
            f"occurred_at is {ahead_s:,.0f} s in the future, more than {self.rule.tolerance.total_seconds():,.0f} s; "
            "set the clock, or send X-Sent-At with the request, so that it can be allowed for",
            event_id,
        )

    def _moved(self, claimed: dt.datetime, event_id: str | None) -> dt.datetime:
        try:
            time = claimed + self.skew
            is_kept = EARLIEST <= time < LATEST
        except OverflowError:
            is_kept = False
        if not is_kept:
            raise InvalidEvent(
                f"With the sender's clock allowed for, occurred_at is not from {EARLIEST.year} to {LATEST.year - 1}",
                event_id,
            )
        self.moved += 1
        return time
