"""Runs the demo to its end: `python -m deployments.local.demo full|sample`. Exit 2 when it failed for good.

It is a client like any other: it posts events, starts jobs over GraphQL and asks for a prediction over HTTP. What it
did is in `demo.json`; started again it goes on from there.
"""

import asyncio
import functools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from deployments.local.dagster_client import DagsterClient, DagsterUnavailable
from deployments.local.demo import state as demo_state
from deployments.local.demo.dataset import load_rows
from deployments.local.demo.prediction import ask_for_a_prediction
from deployments.local.demo.replay import Progress, ReplayFailed, replay
from deployments.local.demo.state import DemoState, Failure, Mode, Phase
from deployments.local.demo.warehouse_progress import snapshot_covers
from deployments.local.plan import addresses
from platform_assets.contracts.topics import TOPICS
from resources.event_log.acknowledged import read_acknowledged
from resources.landing_zone import LandingZone
from resources.settings import Settings, load_settings

_SAVE_EVERY_S = 0.5
_QUIET_S = 180.0
_POLL_S = 1.0

Answer = TypeVar("Answer")


class StepFailed(RuntimeError):
    """A step cannot go on; carries what a person needs to know."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.cause)
        self.failure = failure


class Demo:
    """The demo on one data folder."""

    def __init__(self, settings: Settings, mode: Mode) -> None:
        self._settings = settings
        self._mode = mode
        self._api = addresses(settings)["api"]
        self._dagster = DagsterClient(addresses(settings)["dagster"])
        self._landing = LandingZone(settings.landing_dir)
        earlier = demo_state.load(settings.state_dir)
        # A sample that is followed by the full data starts again: its rows keep their event ids.
        self.state = earlier if earlier and earlier.mode == mode else DemoState(mode=mode)
        self._started = time.monotonic() - self.state.elapsed_seconds

    def run(self) -> None:
        """Go through the steps that are left.

        Raises:
            StepFailed: with the step, the cause, the log to read and the remedy.
        """
        if self.state.phase is Phase.DONE:
            return
        self.state.failure = None
        self._replay()
        self._wait_for_landing()
        self._wait_for_warehouse()
        self._train()
        self._serve()

    def fail(self, failure: Failure) -> None:
        """Write down why the demo ended."""
        self.state.failure = failure
        self._enter(Phase.FAILED)

    # -- the steps ---------------------------------------------------------------------------------------------

    def _replay(self) -> None:
        self._enter(Phase.REPLAYING)
        rows = load_rows(self._mode)
        self.state.total = rows.num_rows
        progress = Progress(self.state.done, self.state.refused, self.state.replay_seconds)
        saved_at = 0.0

        def on_progress(current: Progress) -> None:
            nonlocal saved_at
            self.state.done, self.state.refused = current.done, current.refused
            self.state.replay_seconds = current.seconds
            if time.monotonic() - saved_at > _SAVE_EVERY_S:
                saved_at = time.monotonic()
                self._save()

        try:
            asyncio.run(replay(rows, self._api, progress, on_progress))
        except* ReplayFailed as errors:
            raise StepFailed(
                self._failure(
                    "replay", str(errors.exceptions[0]), "api", "Look at the log, then run `analytics up` again."
                )
            ) from None
        self._save()

    def _wait_for_landing(self) -> None:
        self._enter(Phase.LANDING)
        self._wait(
            "landing",
            "worker",
            lambda: all(
                self._landing.next_offset(marks.topic, marks.log, partition) >= offset
                for marks in read_acknowledged(self._settings.acknowledged_dir)
                for partition, offset in enumerate(marks.next_offsets)
            ),
            lambda: sum(file.last for topic in TOPICS for file in self._landing.files(topic.name)),
        )

    def _wait_for_warehouse(self) -> None:
        """Nothing is started here: the sensor sees the events land."""
        self._enter(Phase.MATERIALISING)
        began = time.time()
        self._wait_for_definitions("build the warehouse")

        def covered() -> bool:
            failed = self._dagster.runs(job="warehouse_job", statuses=("FAILURE",), created_after=began)
            if len(failed) > 1:  # the sensor's runs are retried once
                raise StepFailed(self._run_failure("build the warehouse", failed[0].run_id))
            return snapshot_covers(self._settings.snapshots_dir, self._landing)

        def moved() -> int:
            # A run may be in one long step; Dagster itself ends those that hang.
            busy = self._dagster.runs(job="warehouse_job", statuses=("QUEUED", "STARTING", "STARTED"))
            return int(time.monotonic()) if busy else 0

        self._wait("build the warehouse", "daemon", covered, moved)

    def _train(self) -> None:
        self._enter(Phase.TRAINING)
        self._run_job("churn_job", "train and promote the model")

    def _serve(self) -> None:
        self._enter(Phase.SERVING)
        self._wait(
            "ask for a prediction",
            "api",
            lambda: ask_for_a_prediction(self._settings, self._api, self.state) is not None,
            lambda: 0,
        )
        self.state.outcome = ask_for_a_prediction(self._settings, self._api, self.state)
        if self.state.outcome is not None:
            self._dagster.launch("platform_checks_job")
        self._enter(Phase.DONE)

    # -- how a step is done ------------------------------------------------------------------------------------

    def _run_job(self, job: str, step: str) -> None:
        """Start a job and follow the run; one that a stop cancelled is started again."""
        self._wait_for_definitions(step)
        run_id = self._dagster.launch(job, {"demo": self._mode})
        while True:
            run = self._ask(functools.partial(self._dagster.run, run_id))
            if run is not None and run.finished:
                if run.status == "SUCCESS":
                    return
                if run.status == "FAILURE":
                    raise StepFailed(self._run_failure(step, run_id))
                run_id = self._dagster.launch(job, {"demo": self._mode})
            self._save()
            time.sleep(_POLL_S)

    def _wait_for_definitions(self, step: str) -> None:
        """Wait for the webserver; definitions that do not load are a failure at once, with Dagster's own words."""

        def loaded() -> bool:
            error = self._dagster.load_error()
            if error is not None and "failed to load" in error:
                raise StepFailed(
                    self._failure(step, error[:2000], "code-server", "Mend the definitions, then `analytics up` again.")
                )
            return error is None

        self._wait(step, "webserver", loaded, lambda: 0)

    def _wait(self, step: str, log: str, done: Callable[[], bool], measure: Callable[[], int]) -> None:
        """Wait until a step is done; give up when nothing has moved for three minutes."""
        moved_at, seen = time.monotonic(), -1
        while not self._ask(done):
            now = self._ask(measure)
            if now is not None and now != seen:
                moved_at, seen = time.monotonic(), now
            if time.monotonic() - moved_at > _QUIET_S:
                raise StepFailed(
                    self._failure(
                        step, f"nothing moved for {_QUIET_S:.0f} s", log, "Look at the log, then `analytics up`."
                    )
                )
            self._save()
            time.sleep(_POLL_S)

    def _ask(self, question: Callable[[], Answer]) -> Answer | None:
        """An answer, or None while Dagster is on its way up or down; the wait's time-out stands over it."""
        try:
            return question()
        except DagsterUnavailable:
            return None

    def _run_failure(self, step: str, run_id: str) -> Failure:
        steps = ", ".join(self._dagster.run(run_id).failed_steps) or "before its first step"
        return Failure(
            step=step,
            cause=f"the run failed in {steps}",
            log=f"{addresses(self._settings)['dagster']}/runs/{run_id}",
            remedy="Read the run's log in Dagster, mend the cause, and run `analytics up` again.",
        )

    def _failure(self, step: str, cause: str, log: str, remedy: str) -> Failure:
        return Failure(step=step, cause=cause, log=str(self._log_path(log)), remedy=remedy)

    def _log_path(self, name: str) -> Path:
        return self._settings.logs_dir / f"{name}.log"

    def _enter(self, phase: Phase) -> None:
        self.state.phase = phase
        self._save()

    def _save(self) -> None:
        self.state.elapsed_seconds = time.monotonic() - self._started
        demo_state.save(self._settings.state_dir, self.state)


def main() -> None:
    """Run the demo; see the module."""
    demo = Demo(load_settings(), "sample" if sys.argv[1:] == ["sample"] else "full")
    try:
        demo.run()
    except StepFailed as error:
        demo.fail(error.failure)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
