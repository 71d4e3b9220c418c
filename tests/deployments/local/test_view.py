"""What the terminal says."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from deployments.local.demo.state import DemoState, Outcome, Phase
from deployments.local.status import DemoStatus, EventCounts, PlatformStatus, ProcessStatus
from deployments.local.view import describe_outcome, first_credentials, follow, process_table, summary_line

OUTCOME = Outcome(
    entity_id="1228",
    probability=0.0312,
    model_version="3",
    features_as_of="2018-01-01",
    algorithm="logistic",
    promoted_as="champion",
    auc=0.8461,
    rule_auc=0.7731,
    refused=4,
    events_per_second=35_600.4,
    seconds=201.0,
)


def status(phase: Phase = Phase.REPLAYING, **changes: object) -> PlatformStatus:
    fields: dict[str, object] = {
        "ready": False,
        "accepting": True,
        "demo": DemoStatus(phase, 500, 1000),
        "processes": [ProcessStatus("api", 12, "ready", 0), ProcessStatus("worker", None, "backing-off", 3)],
        "addresses": {},
        "events": EventCounts(10, 8, 2, 0),
        "supervisor": None,
    }
    return PlatformStatus(**(fields | changes))  # type: ignore[arg-type]


def test_outcome_shows_the_prediction_and_the_auc_beside_the_rule() -> None:
    said = describe_outcome(OUTCOME)
    assert "Household 1228" in said
    assert "3.1%" in said
    assert "AUC 0.846, against 0.773 of the recency rule" in said
    assert "4 purchase lines refused" in said


@pytest.mark.parametrize(("probability", "said"), [(0.0, "below 0.1%"), (1.0, "above 99.9%"), (0.5, "50.0%")])
def test_outcome_never_claims_certainty_by_rounding(probability: float, said: str) -> None:
    import msgspec

    assert said in describe_outcome(msgspec.structs.replace(OUTCOME, probability=probability))


def test_summary_says_how_far_the_replay_is_and_how_fast() -> None:
    line = summary_line(status(), DemoState(mode="full", done=500, total=1000, replay_seconds=2.0))
    assert "1 of 2 processes up" in line
    assert "accepting" in line
    assert "500 of 1,000, 250 events/s" in line


def test_summary_says_what_is_still_to_land_while_it_stops() -> None:
    assert summary_line(status(stopping=True), None) == "stopping; 2 events are still to land"


def test_process_table_shows_state_and_restarts() -> None:
    printed = io.StringIO()
    Console(file=printed, width=80).print(process_table(status()))
    assert "backing-off" in printed.getvalue()
    assert "3" in printed.getvalue()


def test_follow_prints_a_line_for_each_change_where_the_output_is_no_terminal() -> None:
    states = iter([status(accepting=False), status(ready=True, demo=DemoStatus(Phase.DONE, 1000, 1000))])
    printed = io.StringIO()
    ended = follow(Console(file=printed, width=200), lambda: (next(states), None), lambda found: found.ready)
    assert ended.ready
    assert printed.getvalue().count("\n") == 2


def test_first_credentials_are_shown_with_the_file_that_keeps_them() -> None:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(first_credentials("password    [x]\n", Path("identity/first-credentials.txt")))
    shown = console.export_text()
    assert "password    [x]" in shown
    assert "identity/first-credentials.txt" in shown
