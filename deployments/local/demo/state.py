"""What was asked of the demo and how far it got; kept in the data folder, so that a second start continues."""

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from deployments.local.state_files import read_json, write_json

Mode = Literal["full", "sample"]

# The last cut-off before the holidays: its 28 days end on 29 November, and the data has no Christmas day.
EVALUATION_CUTOFF = "2017-11-01"


class Phase(enum.StrEnum):
    """The demo's steps, in order."""

    OFF = "off"
    WAITING = "waiting"
    REPLAYING = "replaying"
    LANDING = "landing"
    MATERIALISING = "materialising"
    TRAINING = "training"
    SERVING = "serving"
    DONE = "done"
    FAILED = "failed"


class Failure(msgspec.Struct, frozen=True):
    """Why the demo stopped."""

    step: str
    cause: str
    log: str
    remedy: str


class Outcome(msgspec.Struct, frozen=True):
    """What the demo ends with."""

    entity_id: str
    probability: float
    model_version: str
    features_as_of: str
    algorithm: str
    promoted_as: str
    auc: float
    rule_auc: float
    refused: int
    events_per_second: float
    seconds: float


class DemoState(msgspec.Struct, kw_only=True):
    """The demo's progress. `done` and `total` count source rows; `refused` those that the door did not take."""

    mode: Mode
    phase: Phase = Phase.WAITING
    done: int = 0
    total: int = 0
    refused: int = 0
    replay_seconds: float = 0.0
    elapsed_seconds: float = 0.0
    failure: Failure | None = None
    outcome: Outcome | None = None


@dataclass(frozen=True)
class DemoRequest:
    """Which demo data the platform holds or is about to, and whether to go on with it now."""

    mode: Mode | None
    runs: bool

    def settings(self) -> dict[str, str]:
        """The settings that belong to the demo's data, for the platform's processes."""
        if self.mode is None:
            return {}
        return {
            "ANALYTICS_CHURN__EVALUATION_CUTOFF": EVALUATION_CUTOFF,
            "ANALYTICS_CHURN__EXPECTS_FULL_DATA": str(self.mode == "full").lower(),
        }


def request(state_dir: Path, *, asked: Mode | None, without: bool) -> DemoRequest:
    """What this start is to do: what was asked for, else what an earlier start began, else everything."""
    earlier = load(state_dir)
    remembered = earlier.mode if earlier else None
    if without:
        return DemoRequest(remembered, runs=False)
    return DemoRequest(asked or remembered or "full", runs=True)


def load(state_dir: Path) -> DemoState | None:
    """The demo's progress, or None where none was ever asked for."""
    return read_json(state_dir / "demo.json", DemoState)


def forget_failure(state_dir: Path) -> None:
    """Before another try: what stopped the last one is not what stops this one."""
    state = load(state_dir)
    if state is not None and state.phase is Phase.FAILED:
        state.phase, state.failure = Phase.WAITING, None
        save(state_dir, state)


def save(state_dir: Path, state: DemoState) -> None:
    """Write the progress down."""
    write_json(state_dir / "demo.json", state)
