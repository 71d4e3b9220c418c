"""A validation from the name of a data set to the alert: open, judge, remember, tell."""

import datetime as dt
from collections.abc import Collection, Sequence

from platform_assets.quality.expectations import Expectation
from platform_assets.quality.results import ValidationResult
from platform_assets.quality.validation import validate
from resources.notifier import Alert, Notifier, Severity, notifier_of
from resources.quality.datasets import Datasets
from resources.quality.history import QualityHistory
from resources.settings import Settings

_MOST_LINES = 20


class DataQuality:
    """Judges data sets of this deployment.

    Args:
        datasets: opens them.
        history: keeps what came of it.
        notifier: tells people when a validation fails, and when the next one of the same suite passes.
        sample_rows: how many failing rows a result shows.
    """

    def __init__(self, datasets: Datasets, history: QualityHistory, notifier: Notifier, *, sample_rows: int) -> None:
        self._datasets = datasets
        self._history = history
        self._notifier = notifier
        self._sample_rows = sample_rows

    @classmethod
    def of(cls, settings: Settings) -> "DataQuality":
        """What a deployment's settings choose.

        Raises:
            SettingsError: the alerts' settings do not fit the environment.
        """
        return cls(
            Datasets.of(settings),
            QualityHistory.of(settings),
            notifier_of(settings),
            sample_rows=settings.quality.sample_rows,
        )

    def validate(
        self,
        dataset: str,
        expectations: Sequence[Expectation],
        *,
        suite: str = "ad hoc",
        masked: Collection[str] = (),
    ) -> ValidationResult:
        """Judge a data set by name.

        Raises:
            DatasetUnreadable: there is no such data set.
            LockTimeout: a writer held the warehouse for too long.
            OnlineStoreError: the history cannot be written.
        """
        now = dt.datetime.now(dt.UTC)
        with self._datasets.open(dataset, expectations) as opened:
            result = validate(opened, expectations, now=now, masked=masked, sample_rows=self._sample_rows)
        self._history.append(result, suite=suite)
        tell(self._notifier, result, suite=suite)
        return result


def tell(notifier: Notifier, result: ValidationResult, *, suite: str, link: str | None = None) -> None:
    """Alert people to a validation that failed, and say that it is over when one of the same suite passes."""
    failed = result.failed_expectations
    lines = [found.described() for found in failed[:_MOST_LINES]]
    if len(failed) > _MOST_LINES:
        lines.append(f"and {len(failed) - _MOST_LINES} more")
    alert = Alert(
        kind="data_quality",
        title=f"{result.dataset}: {len(failed)} of {len(result.results)} expectations fail"
        if failed
        else f"{result.dataset}: all {len(result.results)} expectations hold",
        body="\n".join(lines),
        severity=Severity.WARNING,
        source=f"{suite}: {result.dataset}",
        dedup_key=f"data_quality/{suite}/{result.dataset}",
        occurred_at=result.checked_at,
        link=link,
    )
    if result.success:
        notifier.resolve(alert)
    else:
        notifier.send(alert)
