"""What a run found, what it has to reach, and its JSON form."""

from statistics import median

import msgspec

from deployments.scale.bare import BareStep
from deployments.scale.platform_step import Built, Loaded
from deployments.scale.sales import Shop
from streaming.benchmark.machine import Machine

PEAK_MB = 4_000
RATIO = 1.5
GROWTH = 1.2
WARM_UP = 1
"""Steps at the beginning that are not compared: the first makes every table."""

COMPARED = 3
"""Steps at either end whose medians are compared."""


class Step(msgspec.Struct, kw_only=True):
    """One step of days. `bare` is the same work on bare DuckDB; null where that was not asked for."""

    first_day: int
    last_day: int
    load: Loaded
    build: Built
    warehouse_mb: float
    bare: BareStep | None = None

    @property
    def seconds(self) -> float:
        """Of load and build."""
        return self.load.seconds + self.build.seconds

    @property
    def work_s(self) -> float:
        """Of the load and the models alone: no checks, no tests, no start of dbt."""
        return self.load.seconds - self.load.checks_s + self.build.models_s


class Counting(msgspec.Struct, kw_only=True):
    """What was sent against what is in the warehouse; days and their sums of money are compared one by one."""

    sent_events: int
    sent_repeats: int
    raw_rows: int
    repeated_rows: int
    wrong_days: list[str]
    bare_lines_differ: int | None = None

    @property
    def is_right(self) -> bool:
        """Whether every event is there once, on its day."""
        counted = self.sent_events == self.raw_rows and self.sent_repeats == self.repeated_rows
        return counted and not self.wrong_days and not self.bare_lines_differ


class Report(msgspec.Struct, kw_only=True):
    """A run. `peak_rss_mb` is the largest resident set that any process of the platform had.

    `ratio` compares all seconds with bare DuckDB's, dbt's start and all tests included; `work_ratio` only those of
    loads and models; `cpu_ratio` CPU seconds of all, which are less noisy on a shared machine.
    `growth` is what a step takes at the end over what it took at the beginning; see `growth()`.
    """

    shop: Shop
    machine: Machine
    versions: dict[str, str]
    made_events_per_s: float | None = None
    landing_mb: float | None = None
    steps: list[Step] = msgspec.field(default_factory=list)
    counting: Counting | None = None
    events_per_s: float | None = None
    loaded_per_s: float | None = None
    peak_rss_mb: float | None = None
    ratio: float | None = None
    work_ratio: float | None = None
    cpu_ratio: float | None = None
    load_growth: float | None = None
    build_growth: float | None = None
    growth: float | None = None
    missed: list[str] = msgspec.field(default_factory=list)
    error: str | None = None

    @property
    def passed(self) -> bool:
        """Whether it ran to its end and met its targets."""
        return self.error is None and self.counting is not None and not self.missed


def summarise(report: Report) -> None:
    """Fill in what follows from the steps, and what was missed."""
    steps = report.steps
    if not steps:
        return
    rows = sum(step.load.rows for step in steps)
    report.events_per_s = rows / sum(step.seconds for step in steps)
    report.loaded_per_s = rows / sum(step.load.seconds for step in steps)
    report.peak_rss_mb = max(max(step.load.peak_rss_mb, step.build.peak_rss_mb) for step in steps)
    bare = [step.bare for step in steps if step.bare is not None]
    if len(bare) == len(steps):
        bare_s = sum(one.load_s + one.build_s for one in bare)
        report.ratio = sum(step.seconds for step in steps) / bare_s
        report.work_ratio = sum(step.work_s for step in steps) / bare_s
        report.cpu_ratio = sum(step.load.cpu_s + step.build.cpu_s for step in steps) / sum(one.cpu_s for one in bare)
    report.load_growth = growth([step.load.seconds for step in steps])
    report.build_growth = growth([step.build.seconds for step in steps])
    report.growth = growth([step.seconds for step in steps])
    report.missed = _missed(report)


def growth(seconds: list[float]) -> float | None:
    """The median of the last steps over that of the first ones after the warm-up; None for too few steps."""
    measured = seconds[WARM_UP:]
    if len(measured) < 2 * COMPARED:
        return None
    return median(measured[-COMPARED:]) / median(measured[:COMPARED])


def _missed(report: Report) -> list[str]:
    missed = []
    for name, limit in (("peak_rss_mb", PEAK_MB), ("ratio", RATIO), ("growth", GROWTH)):
        value = getattr(report, name)
        if value is not None and value > limit:
            missed.append(f"{name}: {value:,.2f}, wanted at most {limit:,}")
    if report.counting is not None and not report.counting.is_right:
        missed.append(f"counting: {report.counting}")
    return missed


def encode_report(report: Report) -> bytes:
    """The JSON document."""
    document = msgspec.to_builtins(report) | {"passed": report.passed}
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
