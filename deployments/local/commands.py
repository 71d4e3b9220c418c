"""`analytics up | status | logs | down | reset`: the local platform from the terminal."""

import shutil
import signal
import subprocess
import threading
import types
from typing import Literal

import click
import msgspec

from deployments.local import view
from deployments.local.demo import state as demo_state
from deployments.local.demo.state import Phase
from deployments.local.launch import (
    SupervisorDied,
    leftovers,
    log_end,
    running_supervisor,
    start_supervisor,
    supervisor_log,
    wait_for_first_status,
)
from deployments.local.plan import addresses
from deployments.local.ports import PortTaken
from deployments.local.processes import RunningProcess
from deployments.local.status import (
    DemoStatus,
    EventCounts,
    PlatformStatus,
    ProcessStatus,
    is_supervised,
    published,
)
from resources.identity.first_credentials import announce_first_credentials, first_credentials_file
from resources.settings import Settings
from resources.settings.console import err, out
from resources.settings.options import with_settings

_MARK = "analytics-platform"
_DEMO_FAILED = 2


@click.command()
@click.option("--detach", is_flag=True, help="Return once the platform is ready; it goes on in the background.")
@click.option("--sample", "asked", flag_value="sample", help="Replay the first 100 households only.")
@click.option("--full", "asked", flag_value="full", help="Replay all 1.47 million purchase lines, after a sample too.")
@click.option("--no-demo", is_flag=True, help="Start the platform and replay nothing.")
@with_settings
def up(settings: Settings, detach: bool, asked: Literal["sample", "full"] | None, no_demo: bool) -> None:
    """Start the platform and go on with the demo where it stands.

    Without --detach it stays in the foreground; Ctrl-C drains and stops. Exit code 2 when the demo failed: the
    platform keeps running.
    """
    if asked and no_demo:
        raise click.UsageError("--no-demo goes with neither --sample nor --full.")
    _mark_folder(settings)
    supervisor = running_supervisor(settings)
    if supervisor is None:
        supervisor = _start(settings, demo_state.request(settings.state_dir, asked=asked, without=no_demo))
        wait_for_first_status(settings, supervisor)
    else:
        err.print(f"The platform on {settings.root} is running already.")
    interrupted = threading.Event()
    if not detach:
        _on_signals(interrupted)
    status = _follow(settings, supervisor, interrupted)
    if not interrupted.is_set():
        _report(settings, status)
        if detach:
            raise SystemExit(_exit_code(status))
        err.print("Ctrl-C stops the platform.")
        _stay(supervisor, interrupted)
    _stop(settings, supervisor)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the status as JSON.")
@with_settings
def status(settings: Settings, as_json: bool) -> None:
    """Say what runs. Exit code 0 when ready, 2 when the demo failed, 1 otherwise."""
    found = published(settings.state_dir)
    if found is None or not is_supervised(found):
        found = _not_running(settings, found)
    if as_json:
        out.print(msgspec.json.format(msgspec.json.encode(_for_machines(found)), indent=2).decode())
    else:
        _print_status(settings, found)
    raise SystemExit(_exit_code(found))


@click.command()
@click.argument("names", nargs=-1)
@click.option("-f", "--follow", is_flag=True, help="Go on printing what is added.")
@click.option("-n", "--lines", default=40, show_default=True, help="How many lines of each log.")
@with_settings
def logs(settings: Settings, names: tuple[str, ...], follow: bool, lines: int) -> None:
    """Print the end of the processes' logs; without NAMES, of all."""
    known = {path.stem: path for path in sorted(settings.logs_dir.glob("*.log"))}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise click.ClickException(f"No log named {', '.join(unknown)}. There are: {', '.join(known) or 'none yet'}.")
    paths = [str(known[name]) for name in names or known]
    if not paths:
        raise click.ClickException(f"There are no logs in {settings.logs_dir} yet; `analytics up` starts the platform.")
    tail = shutil.which("tail") or "tail"
    raise SystemExit(subprocess.call([tail, "-n", str(lines), *(["-F"] if follow else []), *paths]))


@click.command()
@with_settings
def down(settings: Settings) -> None:
    """Let what is under way land, then stop every process. The data stays."""
    supervisor = running_supervisor(settings)
    if supervisor is None:
        left = leftovers(settings)
        if not left:
            err.print("Nothing is running.")
            return
        err.print(f"The supervisor is gone; taking over {', '.join(left)} to stop them in order.")
        supervisor = _start(settings, demo_state.request(settings.state_dir, asked=None, without=True))
        wait_for_first_status(settings, supervisor)
    _stop(settings, supervisor)


@click.command()
@click.option("--yes", is_flag=True, help="Really delete.")
@with_settings
def reset(settings: Settings, yes: bool) -> None:
    """Delete the data folder: the log, the warehouse, the models, the demo's progress."""
    if not settings.root.exists():
        err.print(f"There is nothing at {settings.root}.")
        return
    if running_supervisor(settings) is not None or leftovers(settings):
        raise click.ClickException("The platform is running; `analytics down` first.")
    if not (settings.root / ".analytics").is_file():
        raise click.ClickException(f"{settings.root} was not made by `analytics up`; it is left alone.")
    if not yes:
        raise click.ClickException(f"This deletes everything in {settings.root}. Say --yes to do it.")
    shutil.rmtree(settings.root)
    err.print(f"Deleted {settings.root}.")


def _mark_folder(settings: Settings) -> None:
    """Mark the data folder as ours, so that `reset` deletes no other."""
    mark = settings.root / ".analytics"
    if settings.root.exists() and any(settings.root.iterdir()) and not mark.is_file():
        raise click.ClickException(f"{settings.root} holds other files; choose an empty folder with --data-dir.")
    settings.root.mkdir(parents=True, exist_ok=True)
    mark.write_text(_MARK + "\n")


def _start(settings: Settings, request: demo_state.DemoRequest) -> RunningProcess:
    try:
        return start_supervisor(settings, request)
    except PortTaken as error:
        raise click.ClickException(str(error)) from None


def _follow(settings: Settings, supervisor: RunningProcess, interrupted: threading.Event) -> PlatformStatus:
    def look() -> tuple[PlatformStatus, demo_state.DemoState | None]:
        if supervisor.exit_code() is not None:
            last = published(settings.state_dir)
            if last is not None and last.stopping:
                raise click.ClickException("The platform was stopped from elsewhere.")
            raise click.ClickException(
                f"The supervisor ended. The end of {supervisor_log(settings)}:\n{log_end(settings)}"
            )
        found = published(settings.state_dir)
        if found is None:
            raise click.ClickException(f"{settings.state_dir} was removed while the platform was running.")
        return found, demo_state.load(settings.state_dir)

    def settled(status: PlatformStatus) -> bool:
        return status.ready or status.failure is not None or interrupted.is_set()

    try:
        return view.follow(err, look, settled)
    except SupervisorDied as error:
        raise click.ClickException(str(error)) from None


def _report(settings: Settings, status: PlatformStatus) -> None:
    if status.failure is not None:
        failure = status.failure
        err.print(f"[red]Failed[/red] to {failure.step}\n  {failure.cause}\n  log: {failure.log}\n  {failure.remedy}")
        err.print("The platform keeps running.")
    state = demo_state.load(settings.state_dir)
    if state is not None and state.outcome is not None and status.demo.phase is Phase.DONE:
        out.print(view.describe_outcome(state.outcome))
    out.print(view.address_table(status.addresses))
    announced = announce_first_credentials(settings)
    if announced is not None:
        out.print(view.first_credentials(announced, first_credentials_file(settings)))


def _stay(supervisor: RunningProcess, interrupted: threading.Event) -> None:
    while not interrupted.wait(0.5):
        if supervisor.exit_code() is not None:
            raise click.ClickException("The platform was stopped from elsewhere.")


def _stop(settings: Settings, supervisor: RunningProcess) -> None:
    err.print("Stopping: what is under way lands first.")
    supervisor.terminate()
    said = False
    while supervisor.exit_code() is None:
        found = published(settings.state_dir)
        if found is not None and found.events.under_way and not said:
            err.print(f"{found.events.under_way:,} events are still to land …")
            said = True
        threading.Event().wait(0.1)
    found = published(settings.state_dir)
    missing = found.not_landed if found is not None else None
    if missing:
        where = (
            "they died with the embedded broker; send them again"
            if settings.kafka.bootstrap_servers is None
            else "they are in Kafka and land at the next start"
        )
        err.print(f"[red]{missing:,} acknowledged events did not land[/red]: {where}.")
    else:
        err.print("Everything that was acknowledged has landed. Stopped.")


def _on_signals(interrupted: threading.Event) -> None:
    def note(number: int, frame: types.FrameType | None) -> None:
        interrupted.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, note)


def _not_running(settings: Settings, last: PlatformStatus | None) -> PlatformStatus:
    """The status without a live supervisor: what it left running still counts, and nothing is ready."""
    left = leftovers(settings)
    state = demo_state.load(settings.state_dir)
    return PlatformStatus(
        ready=False,
        accepting=False,
        demo=DemoStatus(state.phase, state.done, state.total) if state else DemoStatus(Phase.OFF, 0, 0),
        processes=[ProcessStatus(name, record.pid, "unsupervised", 0) for name, record in left.items()],
        addresses=addresses(settings),
        events=last.events if last else EventCounts(),
        supervisor=None,
        failure=state.failure if state else None,
        not_landed=last.not_landed if last else None,
    )


def _for_machines(found: PlatformStatus) -> dict[str, object]:
    shown = msgspec.to_builtins(found)
    shown["supervisor"] = found.supervisor.pid if found.supervisor else None
    return dict(shown)


def _print_status(settings: Settings, found: PlatformStatus) -> None:
    if found.supervisor is None:
        hint = "`analytics up` takes over what is left" if found.processes else "`analytics up` starts it"
        out.print(f"The platform on {settings.root} is not running; {hint}.")
    out.print(view.process_table(found))
    counts = found.events
    out.print(
        f"records on the log: {counts.acknowledged:,} acknowledged, {counts.landed:,} landed, "
        f"{counts.under_way:,} under way"
        + (f", [red]{counts.lost:,} lost with the broker[/red]" if counts.lost else "")
    )
    out.print(view.summary_line(found, demo_state.load(settings.state_dir)))
    if found.failure is not None:
        out.print(f"[red]demo failed[/red] at {found.failure.step}: {found.failure.cause} ({found.failure.log})")
    if found.supervisor is not None:
        out.print(view.address_table(found.addresses))


def _exit_code(found: PlatformStatus) -> int:
    if found.failure is not None:
        return _DEMO_FAILED
    return 0 if found.ready else 1
