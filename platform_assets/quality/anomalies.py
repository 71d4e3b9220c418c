"""Whether a day's number is unlike those of the days before it.

The score is a modified z-score: the distance from the baseline in robust standard deviations, 1.4826 times the median
absolute deviation (Iglewicz & Hoaglin, How to Detect and Handle Outliers, 1993, who call more than 3.5 an outlier). The
baseline is the median of the same weekday where four weeks of it are known, else of all days; deviations are taken from
the same medians. Both medians are estimates from few days: the scale is widened by sqrt(1 + pi / 2n) for the baseline's
own error (its variance is pi / 2n of a day's) and by 1 / sqrt(1 - 1/n) since deviations are taken from medians that the
days themselves made. A scale is never smaller than chance alone would make it: see `DailyValue.noise`.

Simulated on 20,000 days each: without an anomaly 2 % of normally distributed days are called unusual with two to five
weeks of history, 0.6 % with eight. Of days that are 5 standard deviations off 84 to 90 % are found, and a shift by 3
that lasts is found within a week four times in five. Tests hold these numbers.
"""

import datetime as dt
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

THRESHOLD = 3.5
MIN_DAYS = 14
MIN_WEEKS = 4
WINDOW_DAYS = 56
_SIGMA_PER_MAD = 1.4826
"""Of a normal distribution."""


@dataclass(frozen=True)
class DailyValue:
    """A number of one day. `noise` is its standard error by chance: of a count its root, of a mean s / sqrt(n)."""

    day: dt.date
    value: float
    noise: float = 0.0


@dataclass(frozen=True)
class Unusualness:
    """How far a day is from what was to be expected. Without enough history there is no baseline and no score."""

    day: dt.date
    value: float
    days_of_history: int
    baseline: float | None = None
    scale: float | None = None
    is_seasonal: bool = False

    @property
    def score(self) -> float:
        """Robust standard deviations from the baseline; 0 without one, infinite where nothing ever varied."""
        if self.baseline is None or self.scale is None or self.value == self.baseline:
            return 0.0
        distance = self.value - self.baseline
        return distance / self.scale if self.scale else math.copysign(math.inf, distance)

    @property
    def is_anomaly(self) -> bool:
        """Whether it is too far."""
        return abs(self.score) > THRESHOLD


def unusualness(history: Sequence[DailyValue], today: DailyValue) -> Unusualness:
    """Compare a day with those of the eight weeks before it; others in `history` are left out."""
    earliest = today.day - dt.timedelta(days=WINDOW_DAYS)
    known = [one for one in history if earliest <= one.day < today.day]
    if len(known) < MIN_DAYS:
        return Unusualness(today.day, today.value, len(known))
    same_weekday = [one.value for one in known if one.day.weekday() == today.day.weekday()]
    is_seasonal = len(same_weekday) >= MIN_WEEKS
    medians = _weekday_medians(known) if is_seasonal else dict.fromkeys(range(7), _median(known))
    deviations = [abs(one.value - medians[one.day.weekday()]) for one in known]
    n = len(same_weekday) if is_seasonal else len(known)
    widened = math.sqrt((1 + math.pi / (2 * n)) / (1 - 1 / n))
    spread = _SIGMA_PER_MAD * statistics.median(deviations) * widened
    chance = statistics.median(one.noise for one in known)
    return Unusualness(
        today.day,
        today.value,
        len(known),
        baseline=medians[today.day.weekday()],
        scale=max(spread, chance),
        is_seasonal=is_seasonal,
    )


def with_missing_days(values: Sequence[DailyValue]) -> list[DailyValue]:
    """A series of counts in which days between the first and the last that have no value count 0."""
    if not values:
        return []
    by_day = {one.day: one for one in values}
    first, last = min(by_day), max(by_day)
    days = (first + dt.timedelta(days=number) for number in range((last - first).days + 1))
    return [by_day.get(day, DailyValue(day, 0.0)) for day in days]


def _weekday_medians(values: Sequence[DailyValue]) -> dict[int, float]:
    return {
        weekday: statistics.median(of_weekday)
        for weekday in range(7)
        if (of_weekday := [one.value for one in values if one.day.weekday() == weekday])
    }


def _median(values: Sequence[DailyValue]) -> float:
    return statistics.median(one.value for one in values)
