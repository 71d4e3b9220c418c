"""Business days: the calendar days of the business's time zone. An event belongs to the day on which it occurred."""

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from resources.settings import Settings

_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, order=True)
class DayRange:
    """Days that follow on each other, both ends included."""

    first: dt.date
    last: dt.date

    def __len__(self) -> int:
        return (self.last - self.first).days + 1

    def __iter__(self) -> Iterator[dt.date]:
        return (self.first + number * _DAY for number in range(len(self)))

    def __str__(self) -> str:
        return self.first.isoformat() if self.first == self.last else f"{self.first}/{self.last}"

    @classmethod
    def parse(cls, text: str) -> "DayRange":
        """What `str` made.

        Raises:
            ValueError: it is neither a day nor two with a slash between.
        """
        first, _, last = text.partition("/")
        return cls(dt.date.fromisoformat(first), dt.date.fromisoformat(last or first))


def ranges_of(days: Iterable[dt.date]) -> list[DayRange]:
    """The fewest ranges that hold these days and no other, in order."""
    ranges: list[DayRange] = []
    for day in sorted(set(days)):
        if ranges and day - ranges[-1].last == _DAY:
            ranges[-1] = DayRange(ranges[-1].first, day)
        else:
            ranges.append(DayRange(day, day))
    return ranges


class BusinessCalendar:
    """The days of one time zone, from the first that counts."""

    def __init__(self, zone: ZoneInfo, first_day: dt.date) -> None:
        self.zone = zone
        self.first_day = first_day

    @classmethod
    def of(cls, settings: Settings) -> "BusinessCalendar":
        """The calendar of a deployment."""
        return cls(ZoneInfo(settings.warehouse.business_timezone), settings.warehouse.first_day)

    def day_of(self, instant: dt.datetime) -> dt.date:
        """The business day on which an instant falls. The instant knows its zone."""
        return instant.astimezone(self.zone).date()

    def newest_due(self, now: dt.datetime, deadline: dt.time) -> dt.date:
        """The newest day that has to be there: its deadline, a time of the day after it, has passed.

        A deadline in the hour that a change to summer time leaves out passes with the change.
        """
        today = self.day_of(now)
        due_at = dt.datetime.combine(today, deadline, self.zone)
        # As UTC: two times of one zone are compared by the clock, and a clock that is set back shows one time twice.
        return today - (_DAY if now.astimezone(dt.UTC) >= due_at.astimezone(dt.UTC) else 2 * _DAY)
