"""Judges tables of the warehouse as they grow: only what was loaded since the last time, at a cost that stays flat."""

import datetime as dt
from dataclasses import dataclass

import msgspec

from platform_assets.quality.anomalies import DailyValue, Unusualness
from platform_assets.quality.profiles import DailyProfile, Series, newest_day, profile_days
from platform_assets.quality.results import ValidationResult
from platform_assets.quality.sql_text import Bindings, quoted
from platform_assets.quality.suite import Suite
from platform_assets.quality.validation import validate
from resources.notifier import Alert, Notifier, Severity
from resources.quality.datasets import Connected, Datasets, referred_to
from resources.quality.history import Judged, QualityHistory
from resources.quality.validating import tell


@dataclass(frozen=True)
class Watched:
    """The newest complete day of a table, number by number; `unusual` are those that are unlike the days before."""

    dataset: str
    numbers: tuple[tuple[Series, Unusualness], ...]

    @property
    def unusual(self) -> tuple[tuple[Series, Unusualness], ...]:
        """What people should look at."""
        return tuple((series, found) for series, found in self.numbers if found.is_anomaly)


class Watch:
    """Runs suites and profiles.

    Args:
        datasets: opens the tables.
        history: what was judged before, and where results go.
        notifier: tells people.
        sample_rows: how many failing rows a result shows.
    """

    def __init__(self, datasets: Datasets, history: QualityHistory, notifier: Notifier, *, sample_rows: int) -> None:
        self._datasets = datasets
        self._history = history
        self._notifier = notifier
        self._sample_rows = sample_rows

    def judge(self, suite: Suite, *, run_id: str | None = None, link: str | None = None) -> ValidationResult:
        """Judge a suite's rows. With a watermark those that are new; without a new one the last ones again.

        Raises:
            DatasetUnreadable: the table is not there.
            LockTimeout: a writer held the warehouse for too long.
            OnlineStoreError: the history cannot be read or written.
        """
        now = dt.datetime.now(dt.UTC)
        with self._datasets.connected({suite.dataset, *referred_to(suite.expectations)}) as connected:
            table, bindings = connected.relation(suite.dataset), Bindings()
            judged, conditions = None, list[str]()
            if suite.watermark is not None:
                last = self._history.judged(suite.name, suite.fingerprint)
                judged = _to_judge(connected, table, suite.watermark, last)
                conditions = _between(suite.watermark, judged, bindings)
            relation = suite.relation(table, bindings, conditions)
            with connected.dataset(suite.dataset, relation, bindings.values) as dataset:
                result = validate(
                    dataset, suite.expectations, now=now, masked=suite.mask, sample_rows=self._sample_rows
                )
        self._history.append(result, suite=suite.name, run_id=run_id)
        if judged is not None:
            self._history.set_judged(suite.name, suite.fingerprint, judged)
        tell(self._notifier, result, suite=suite.name, link=link)
        return result

    def watch(self, profile: DailyProfile, *, today: dt.date) -> Watched:
        """Count the days that new rows belong to, and compare the newest before today with those before it.

        Raises: as `judge`.
        """
        name, fingerprint = f"days of {profile.dataset}", msgspec.json.encode(profile).decode()
        last = self._history.judged(name, fingerprint)
        with self._datasets.connected({profile.dataset}) as connected:
            table = connected.relation(profile.dataset)
            judged = _to_judge(connected, table, profile.watermark, last)
            is_new = judged is not None and (last is None or judged.until > last.until)
            counted: dict[Series, list[DailyValue]] = {}
            if is_new:
                with connected.dataset(profile.dataset, table, {}) as dataset:
                    counted = profile_days(dataset, profile, last.until if last is not None else None)
        for series, values in counted.items():
            self._history.put_days(profile.dataset, series, values)
        if judged is not None and is_new:
            self._history.set_judged(name, fingerprint, judged)
        numbers = [
            (series, found)
            for series in profile.series
            if (found := newest_day(series, self._history.days(profile.dataset, series, before=today))) is not None
        ]
        # A number that the newest day does not have was not counted on it.
        newest = max((found.day for _, found in numbers), default=None)
        watched = Watched(profile.dataset, tuple(one for one in numbers if one[1].day == newest))
        self._tell(watched, newest)
        return watched

    def _tell(self, watched: Watched, day: dt.date | None) -> None:
        if day is None:
            return
        alert = Alert(
            kind="anomaly",
            title=f"{watched.dataset}: {day} is unlike the days before it"
            if watched.unusual
            else f"{watched.dataset}: {day} is like the days before it",
            body="\n".join(described(series, found) for series, found in watched.unusual),
            severity=Severity.WARNING,
            source=watched.dataset,
            # One trouble a table, however many of its numbers are off and however long.
            dedup_key=f"anomaly/{watched.dataset}",
            occurred_at=dt.datetime.combine(day, dt.time(), dt.UTC),
        )
        if watched.unusual:
            self._notifier.send(alert)
        else:
            self._notifier.resolve(alert)


def described(series: Series, found: Unusualness) -> str:
    """One line for a person."""
    if found.baseline is None:
        return f"{series}: {found.value:,.6g}, with {found.days_of_history} days of history too few to compare"
    like = "the same weekday's median" if found.is_seasonal else "the median"
    return f"{series}: {found.value:,.6g}, {like} is {found.baseline:,.6g} (score {found.score:+.1f})"


def _to_judge(connected: Connected, table: str, watermark: str, last: Judged | None) -> Judged | None:
    """What is new; what was judged last where nothing is; None where there is no row at all."""
    bindings, column = Bindings(), quoted(watermark)
    condition = f"{column} > {bindings.add(last.until)}" if last is not None else "true"
    row = connected.connection.execute(
        f"SELECT max({column}) FROM {table} WHERE {condition}",  # noqa: S608 - quoted names
        bindings.values,
    ).fetchone()
    if row is None or row[0] is None:
        return last
    return Judged(last.until if last is not None else None, row[0])


def _between(watermark: str, judged: Judged | None, bindings: Bindings) -> list[str]:
    if judged is None:
        return []
    conditions = [f"{quoted(watermark)} <= {bindings.add(judged.until)}"]
    if judged.after is not None:
        conditions.append(f"{quoted(watermark)} > {bindings.add(judged.after)}")
    return conditions
