"""Plots and the closing table, as text."""

from typing import Any

import plotext

from streaming.benchmark.arguments import TestType
from streaming.benchmark.load import MICROSECONDS
from streaming.benchmark.paced import PacedRun
from streaming.benchmark.report import Measurement

WIDTH, HEIGHT = 100, 16
SHORTEST_S = 0.25

_LINE = "{:<9}{:<22}{:>9}{:>11}{:>7}{:>9}{:>9}{:>6}{:>8}{:>8}{:>9}{:>7}  {}"
_HEADINGS = (
    "engine", "test", "target/s", "achieved/s", "of raw",
    "p50 ms", "p99 ms", "lost", "doubled", "windows", "peak MB", "speed", "",
)  # fmt: skip


def plot_run(measurement: Measurement, run: PacedRun) -> str:
    """What the run looked like: latency over time, or rate and backlog over time. Plain text, no colours."""
    name = f"{measurement.engine} {measurement.test_type}"
    if measurement.test_type is TestType.LATENCY:
        return _latency(name, run)
    return _rate(name, run) + "\n" + _latency(name, run)


def _latency(name: str, run: PacedRun) -> str:
    if not run.moments:
        return ""
    seconds = [(moment.at_us - run.progress.load.start_us) / MICROSECONDS for moment in run.moments]
    return _figure(
        f"{name}: latency in ms over seconds",
        [
            ("p99", seconds, [moment.p99_ms for moment in run.moments]),
            ("p50", seconds, [moment.p50_ms for moment in run.moments]),
        ],
    )


def _rate(name: str, run: PacedRun) -> str:
    load, timeline = run.progress.load, run.progress.timeline
    if not timeline.times_us:
        return ""
    last_s = (timeline.times_us[-1] - load.start_us) / MICROSECONDS
    step_s = max(SHORTEST_S, last_s / WIDTH)
    seconds = [step_s * step for step in range(1, int(last_s / step_s) + 1)]
    if not seconds:
        return ""
    ends_us = [load.start_us + round(second * MICROSECONDS) for second in seconds]
    span_us = round(step_s * MICROSECONDS)
    processed = [
        (timeline.processed_at(end_us) - timeline.processed_at(end_us - span_us)) / step_s / 1000 for end_us in ends_us
    ]
    due = [
        (run.progress.records_due(end_us) - run.progress.records_due(end_us - span_us)) / step_s / 1000
        for end_us in ends_us
    ]
    backlog = [run.progress.backlog(end_us) / 1000 for end_us in ends_us]
    return _figure(
        f"{name}: thousands over seconds",
        [("due a second", seconds, due), ("processed a second", seconds, processed), ("backlog", seconds, backlog)],
    )


def _figure(title: str, lines: list[tuple[str, list[float], list[float]]]) -> str:
    figure: Any = plotext.figure
    figure.clear()
    figure.plot_size(WIDTH, HEIGHT)
    figure.title(title)
    for marker, (label, seconds, values) in zip("*o.", lines, strict=False):
        signal = figure.signal(seconds, values, marker=marker)
        signal.label(label)
        figure.draw(signal)
    return str(plotext.uncolorize(figure.build().string()))


def table_of(measurements: list[Measurement]) -> str:
    """One line per measurement under a heading."""
    return "\n".join([_LINE.format(*_HEADINGS), *(_LINE.format(*_cells(found)) for found in measurements)])


def _cells(found: Measurement) -> list[str]:
    latency, raw = found.latency_ms, found.raw_consume_eps
    return [
        found.engine,
        f"{found.test_type} ({found.duties})",
        _number(found.target_eps),
        _number(found.achieved_eps),
        f"{found.achieved_eps / raw:.2f}"
        if found.test_type is TestType.CAPACITY and found.achieved_eps and raw
        else "-",
        "-" if latency is None else f"{latency.p50:.1f}",
        "-" if latency is None else f"{latency.p99:.1f}",
        _number(found.lost),
        _number(found.duplicated),
        {None: "-", True: "equal", False: "wrong"}[found.windows_match],
        _number(found.worker_peak_rss_mb),
        "-" if found.core_speed is None else f"{found.core_speed.p50:.2f}",
        ("passed" if found.passed else "FAILED") + _after_the_kill(found),
    ]


def _after_the_kill(found: Measurement) -> str:
    if not found.resumed_s:
        return ""
    caught_up = f"caught up after {found.recovery_s:.1f} s" if found.recovery_s else "never caught up"
    return f" (results {found.resumed_s:.1f} s after the kill, {caught_up})"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"
