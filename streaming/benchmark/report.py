"""What a run found, and its JSON form."""

import msgspec
from msgspec import UNSET, UnsetType

from streaming.benchmark.arguments import Engine, TestType
from streaming.benchmark.core_speed import CoreSpeed
from streaming.benchmark.latency import Percentiles
from streaming.benchmark.load import USERS
from streaming.benchmark.machine import Machine
from streaming.benchmark.platform_worker import Duties


class Measurement(msgspec.Struct, kw_only=True):
    """One engine under one load. What is null was not reached or does not apply; `error` says why a run ended early.

    `achieved_eps` is measured where results come out: events after the warm-up, over the time from the result that
    contains the first of them to the one that contains the last, never less than the schedule's length. `sent`, `lost`
    and `duplicated` count distinct events, the warm-up included; `resent` went out twice on purpose. `processed` counts
    records, as the engine's positions do. `backlog_s` is what was due and unprocessed when the schedule ended, in
    seconds of the target rate. `resumed_s` is how long after its kill the results of a killed worker's successor
    arrive, `recovery_s` how long until the load is kept up with again, after the kill or the peak. `first_result_s` is
    how long the worker took from the start of its process to its first result, where events waited for it. `linger_ms`
    is what the producer waits for a batch to fill. `latency_ms` is of every tenth user's events, `delivery_ms` the part
    of it between the worker's emission of an update and its arrival. `worker_rss_mb` is the worker's memory at ten even
    steps of the schedule. `cpu_cores` says how many cores each process kept busy while the load ran, `machine`
    everything on it; `worker_cpu_us_per_event` is less noisy than a rate where others use the machine too.
    `core_speed` is how fast the cores were while the load ran, as shares of their best.
    """

    engine: Engine
    test_type: TestType
    duties: Duties
    target_eps: int | None
    users: int = USERS
    achieved_eps: float | None = None
    raw_consume_eps: float | None = None
    duration_s: float | None = None
    linger_ms: int | None = None
    sent: int | None = None
    resent: int | None = None
    processed: int | None = None
    lost: int | None = None
    duplicated: int | None = None
    windows: int | None = None
    windows_match: bool | None = None
    backlog_s: float | None = None
    first_result_s: float | None = None
    producer_behind_s: float | None = None
    latency_ms: Percentiles | None = None
    delivery_ms: Percentiles | None = None
    worker_peak_rss_mb: float | None = None
    worker_rss_mb: list[float] = msgspec.field(default_factory=list)
    worker_cpu_us_per_event: float | None = None
    cpu_cores: dict[str, float] = msgspec.field(default_factory=dict)
    core_speed: CoreSpeed | None = None
    event_bytes: int | None = None
    knee_eps: int | UnsetType | None = UNSET
    recovery_s: float | UnsetType | None = UNSET
    resumed_s: float | UnsetType | None = UNSET
    missed: list[str] = msgspec.field(default_factory=list)
    error: str | None = None

    @property
    def passed(self) -> bool:
        """Whether it ran to its end and met its targets."""
        return self.error is None and not self.missed


class Report(msgspec.Struct, kw_only=True):
    """All measurements of a run and where they were made."""

    machine: Machine
    versions: dict[str, str]
    measurements: list[Measurement] = msgspec.field(default_factory=list)
    missed: list[str] = msgspec.field(default_factory=list)
    """What the engines miss side by side."""

    interrupted: bool = False
    error: str | None = None

    @property
    def passed(self) -> bool:
        """Whether everything that was planned ran and met its targets."""
        ran = bool(self.measurements) and not self.interrupted and self.error is None
        return ran and not self.missed and all(measurement.passed for measurement in self.measurements)


def encode_report(report: Report) -> bytes:
    """The JSON document: the first measurement's fields at the top, beside the machine, then every measurement."""
    first = msgspec.to_builtins(report.measurements[0]) if report.measurements else {}
    whole = msgspec.to_builtins(report)
    error = report.error or next((found.error for found in report.measurements if found.error), None)
    missed = [text for found in report.measurements for text in found.missed] + report.missed
    document = {**first, **whole, "passed": report.passed, "missed": missed, "error": error}
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
