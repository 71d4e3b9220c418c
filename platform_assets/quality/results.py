"""What a validation found."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from platform_assets.quality.expectations import Severity


@dataclass(frozen=True)
class SampleRow:
    """A row that failed. `row` counts from 1 in the order in which the data set was read; None where it has none."""

    row: int | None
    values: dict[str, Any]


@dataclass(frozen=True)
class ExpectationResult:
    """One expectation's verdict.

    `judged` and `failing` are rows; both are 0 for expectations that do not judge rows, whose numbers are in `details`.
    `problem` says why it could not be judged, which counts as a failure.
    """

    expectation: str
    type: str
    columns: tuple[str, ...]
    severity: Severity
    success: bool
    judged: int = 0
    failing: int = 0
    details: dict[str, Any] = field(default_factory=dict)
    samples: tuple[SampleRow, ...] = ()
    problem: str | None = None

    @property
    def failing_share(self) -> float:
        """The share of the judged rows that fail; 0 where none was judged."""
        return self.failing / self.judged if self.judged else 0.0

    def described(self) -> str:
        """One line for a person."""
        if self.problem is not None:
            return f"{self.expectation}: {self.problem}"
        if self.judged:
            return f"{self.expectation}: {self.failing:,} of {self.judged:,} rows fail ({self.failing_share:.2%})"
        told = ", ".join(f"{name} {_short(value)}" for name, value in self.details.items())
        return f"{self.expectation}: {told}" if told else self.expectation


@dataclass(frozen=True)
class ValidationResult:
    """A data set's verdict: success where no expectation of severity `error` fails."""

    dataset: str
    row_count: int
    checked_at: dt.datetime
    results: tuple[ExpectationResult, ...]

    @property
    def success(self) -> bool:
        """Whether nothing fails but warnings."""
        return all(result.success or result.severity is Severity.WARN for result in self.results)

    @property
    def failed_expectations(self) -> tuple[ExpectationResult, ...]:
        """All that failed, warnings too."""
        return tuple(result for result in self.results if not result.success)

    @property
    def success_rate(self) -> float:
        """How many of the expectations passed, in percent."""
        return 100 * sum(result.success for result in self.results) / len(self.results)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
