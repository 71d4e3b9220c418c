"""Shows on the terminal how the platform comes up, how far the demo is, and what it ended with."""

import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from deployments.local.demo.state import DemoState, Outcome, Phase
from deployments.local.status import PlatformStatus

_PHASES = {
    Phase.WAITING: "waiting for the door to open",
    Phase.REPLAYING: "replaying purchases through POST /v1/events",
    Phase.LANDING: "waiting for the last events to land",
    Phase.MATERIALISING: "building the warehouse",
    Phase.TRAINING: "features, model, promotion",
    Phase.SERVING: "asking for a prediction",
    Phase.DONE: "done",
    Phase.FAILED: "failed",
}
_PLAIN_EVERY_S = 5.0
_OFTEN = 3


def follow(
    console: Console,
    look: Callable[[], tuple[PlatformStatus, DemoState | None]],
    until: Callable[[PlatformStatus], bool],
) -> PlatformStatus:
    """Redraw until a condition holds. Where the output is no terminal, a line every five seconds says the same."""
    if not console.is_terminal:
        return _follow_plainly(console, look, until)
    status, demo = look()
    with Live(_panel(status, demo), console=console, refresh_per_second=4, transient=True) as live:
        while not until(status):
            time.sleep(0.25)
            status, demo = look()
            live.update(_panel(status, demo))
    return status


def _follow_plainly(
    console: Console,
    look: Callable[[], tuple[PlatformStatus, DemoState | None]],
    until: Callable[[PlatformStatus], bool],
) -> PlatformStatus:
    said_at, said = 0.0, ""
    while True:
        status, demo = look()
        line = summary_line(status, demo)
        if line != said and (time.monotonic() - said_at > _PLAIN_EVERY_S or until(status)):
            console.print(line)
            said_at, said = time.monotonic(), line
        if until(status):
            return status
        time.sleep(0.1)


def summary_line(status: PlatformStatus, demo: DemoState | None) -> str:
    """One line: how many processes are up, whether the door is open, where the demo is."""
    up = sum(process.state in ("ready", "finished") for process in status.processes)
    door = "accepting" if status.accepting else "not accepting yet"
    if status.stopping:
        return f"stopping; {status.events.under_way:,} events are still to land"
    parts = [f"{up} of {len(status.processes)} processes up", door]
    parts += [
        f"{process.name} fails again and again (see `analytics logs {process.name}`)"
        for process in status.processes
        if process.restarts >= _OFTEN and process.state != "ready"
    ]
    if status.demo.phase not in (Phase.OFF, Phase.DONE):
        count = f" {status.demo.done:,} of {status.demo.total:,}" if status.demo.total else ""
        rate = f", {demo.done / demo.replay_seconds:,.0f} events/s" if demo and demo.replay_seconds > 1 else ""
        parts.append(f"demo: {_PHASES[status.demo.phase]}{count}{rate if count else ''}")
    return " · ".join(parts)


def _panel(status: PlatformStatus, demo: DemoState | None) -> Group:
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
    )  # fmt: skip
    if status.demo.phase is not Phase.OFF and status.demo.total:
        rate = f"{demo.done / demo.replay_seconds:,.0f}/s" if demo and demo.replay_seconds > 1 else ""
        bar.add_task("purchases", total=status.demo.total, completed=status.demo.done, rate=rate)
    return Group(process_table(status), bar, Text(summary_line(status, demo)))


def process_table(status: PlatformStatus) -> Table:
    """One row per process."""
    table = Table(box=None, pad_edge=False)
    for heading, align in (("process", "left"), ("state", "left"), ("pid", "right"), ("restarts", "right")):
        table.add_column(heading, justify=align)  # type: ignore[arg-type]
    for process in status.processes:
        colour = {"ready": "green", "finished": "green", "failed": "red", "backing-off": "red"}.get(
            process.state, "yellow"
        )
        table.add_row(
            process.name, Text(process.state, style=colour), str(process.pid or "-"), str(process.restarts or "")
        )
    return table


def address_table(addresses: dict[str, str]) -> Table:
    """One row per address."""
    labels = {
        "api": "send events, ask for predictions",
        "docs": "every route, to try in the browser",
        "dagster": "the asset graph, runs, checks",
        "kafka": "the event log",
        "worker": "the stream worker",
        "scorer": "in-stream predictions",
    }
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, address in addresses.items():
        table.add_row(Text(name, style="bold"), address, Text(labels.get(name, ""), style="dim"))
    return table


def first_credentials(made: str, file: Path) -> Group:
    """What the first start made; the only time that it is shown."""
    return Group(
        Text("\nMade at this first start, and shown this once:", style="bold"),
        Text(made.rstrip()),
        Text(f"They are also in {file}; delete it once they are kept elsewhere.", style="dim"),
    )


def describe_outcome(outcome: Outcome) -> str:
    """The prediction and the model's numbers, as the demo ends with them."""
    promoted = (
        "promoted as bootstrap: the registry was empty, and a sample proves nothing about the model"
        if outcome.promoted_as == "bootstrap"
        else "promoted as champion: it beats the rule on rows that it never saw"
    )
    return (
        f"Household {outcome.entity_id} will buy nothing in the next 28 days with probability "
        f"{_percent(outcome.probability)} (churn version {outcome.model_version}, {outcome.algorithm}, "
        f"features as of {outcome.features_as_of}).\n"
        f"AUC {outcome.auc:.3f}, against {outcome.rule_auc:.3f} of the recency rule; {promoted}.\n"
        f"{outcome.events_per_second:,.0f} events/s through the door, {outcome.refused} purchase lines refused by "
        f"their contract; {outcome.seconds:,.0f} s in all."
    )


def _percent(probability: float) -> str:
    """A probability in percent that never claims certainty by rounding."""
    if probability < 0.001:
        return "below 0.1%"
    return "above 99.9%" if probability > 0.999 else f"{probability:.1%}"
