"""The processes of a run: what they are started with, what they used, and that none of them stays behind."""

import contextlib
import multiprocessing
import os
import re
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from resources.settings.console import err
from resources.settings.variables import PREFIX, without_settings
from streaming.benchmark.usage import cpu_s, memory_mb, peak_memory_mb

_LAST_WORDS = 2_000
_FIRST_COMPLAINT = re.compile(r"^(Traceback |.{0,40}\b(ERROR|CRITICAL)\b)", re.MULTILINE)

Started = TypeVar("Started")


class ProcessFailed(RuntimeError):
    """A process of the run ended or did not get ready; the message holds the end of its log."""


class ChildProcess:
    """A server or a job. It has a session of its own, so that Ctrl-C reaches us first and we end it in order."""

    def __init__(self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self._log = log
        self._peak_mb = 0.0
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                list(command), env=dict(environment), stdout=file, stderr=file, start_new_session=True
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def has_ended(self) -> bool:
        """Whether it has ended, however."""
        return self._process.poll() is not None

    def check(self) -> None:
        """Raise ProcessFailed when it has ended."""
        if self.has_ended():
            raise ProcessFailed(f"The {self.name} ended with {self._process.returncode}:\n{self.last_words()}")

    def wait_until(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Return once the condition holds; raise ProcessFailed when the process ends or takes longer."""
        deadline = time.monotonic() + seconds
        while not condition():
            self.check()
            if time.monotonic() > deadline:
                raise ProcessFailed(f"The {self.name} was not {what} in {seconds:.0f} s:\n{self.last_words()}")
            time.sleep(0.02)

    def last_words(self) -> str:
        """The end of what it wrote, and before it what it complained of first: a crash has many consequences."""
        with contextlib.suppress(FileNotFoundError):
            text = self._log.read_text(errors="replace")
            end = max(0, len(text) - _LAST_WORDS)
            complaint = _FIRST_COMPLAINT.search(text, 0, end)
            if complaint is None:
                return text[end:]
            begin = complaint.start()
            if begin + _LAST_WORDS >= end:
                return text[begin:]
            return f"{text[begin : begin + _LAST_WORDS]}\n[…]\n{text[end:]}"
        return ""

    def peak_rss_mb(self) -> float | None:
        """The most memory that it has held so far, with its children; None once it has ended.

        A child that has ended counts where it was there at an earlier call.
        """
        peak = peak_memory_mb(self.pid)
        if peak is not None:
            self._peak_mb = max(self._peak_mb, peak)
        return None if peak is None else self._peak_mb

    def rss_mb(self) -> float | None:
        """The memory that it holds now, with its children; None once it has ended."""
        return memory_mb(self.pid)

    def cpu_s(self) -> float | None:
        """CPU seconds of it and its children so far; None once it has ended."""
        return cpu_s(self.pid)

    def kill(self) -> None:
        """End it on the spot, as kill -9 or a lack of memory does."""
        self._process.kill()
        self._process.wait()

    def end(self, patience_s: float) -> int:
        """Ask it to end, after a while make it; returns its exit code."""
        if not self.has_ended():
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            err.print(f"The {self.name} did not end within {patience_s:.0f} s and is killed")
            self._process.kill()
            return self._process.wait()


def own_environment(**settings: str) -> dict[str, str]:
    """Ours without the caller's settings of the platform, and with these: `KAFKA__BOOTSTRAP_SERVERS="…"`."""
    return without_settings(os.environ) | {f"{PREFIX}{name}": value for name, value in settings.items()}


def answers_ok(url: str) -> bool:
    """Whether a server of a run answers this with 200 now."""
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own server
        return bool(answer.status == 200)
    return False


@contextmanager
def child_process(
    name: str, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None, patience_s: float = 30
) -> Iterator[ChildProcess]:
    """A child process for the length of a block."""
    its_environment = os.environ if environment is None else environment
    with ended_after_the_block(
        lambda: ChildProcess(name, command, log, its_environment), lambda child: child.end(patience_s)
    ) as child:
        yield child


@contextmanager
def ended_after_the_block(start: Callable[[], Started], end: Callable[[Started], object]) -> Iterator[Started]:
    """Something that is started before a block and ended after it, also where it is interrupted while it starts."""
    started: list[Started] = []
    try:
        with interrupts_wait():
            started.append(start())
        yield started[0]
    finally:
        for one in started:
            end(one)


@contextmanager
def interrupts_wait() -> Iterator[None]:
    """Let SIGINT and SIGTERM have their effect after the block: one in the midst of it would leave behind a process
    that is there already and that nobody knows yet."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    handlers = {number: signal.getsignal(number) or signal.SIG_DFL for number in (signal.SIGINT, signal.SIGTERM)}
    for number in handlers:
        signal.signal(number, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for late in came:
            signal.raise_signal(late)


class Reporter:
    """A function of ours in a process of its own; its last argument is the connection that it reports on."""

    def __init__(self, name: str, target: Callable[..., None], *arguments: Any) -> None:
        # Spawned: librdkafka's threads do not survive a fork.
        context = multiprocessing.get_context("spawn")
        self.name = name
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=target, args=(*arguments, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def received(self) -> list[Any]:
        """What has been reported since the last call. Raises ProcessFailed when the process is gone."""
        reports = []
        try:
            while self._ours.poll():
                reports.append(self._ours.recv())
        except EOFError:
            if not reports:
                self._process.join(5)
                raise ProcessFailed(f"The {self.name} ended with {self._process.exitcode}; see above") from None
        return reports

    def wait_for(self, kind: type, seconds: float) -> Any:
        """The next report of a kind; others before it are dropped. Raises ProcessFailed when none comes in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._ours.poll(0.1):
                try:
                    report = self._ours.recv()
                except EOFError:
                    break
                if isinstance(report, kind):
                    return report
        raise ProcessFailed(f"The {self.name} did not report within {seconds:.0f} s")

    def stop(self) -> None:
        """Ask it to finish; its last report can still be received."""
        with contextlib.suppress(BrokenPipeError, OSError):
            self._ours.send("stop")

    def close(self) -> None:
        """End it, whatever it does."""
        self._process.terminate()
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._ours.close()


@contextmanager
def reporter(name: str, target: Callable[..., None], *arguments: Any) -> Iterator[Reporter]:
    """A reporting process for the length of a block."""
    with ended_after_the_block(lambda: Reporter(name, target, *arguments), Reporter.close) as process:
        yield process
