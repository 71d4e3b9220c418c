"""Which demo a start goes on with."""

from pathlib import Path

import pytest

from deployments.local.demo.state import DemoState, Failure, Mode, Phase, forget_failure, load, request, save


@pytest.mark.parametrize(
    ("earlier", "asked", "without", "mode", "runs"),
    [
        (None, None, False, "full", True),
        (None, "sample", False, "sample", True),
        (None, None, True, None, False),
        ("sample", None, False, "sample", True),
        ("sample", "full", False, "full", True),
        ("sample", None, True, "sample", False),
        ("full", None, False, "full", True),
    ],
)
def test_start_goes_on_with_what_was_asked_or_remembered(  # noqa: PLR0917 - the columns of the table
    tmp_path: Path, earlier: Mode | None, asked: Mode | None, without: bool, mode: Mode | None, runs: bool
) -> None:
    if earlier:
        save(tmp_path, DemoState(mode=earlier))
    found = request(tmp_path, asked=asked, without=without)
    assert (found.mode, found.runs) == (mode, runs)


def test_sample_tells_the_model_that_it_is_no_proof(tmp_path: Path) -> None:
    settings = request(tmp_path, asked="sample", without=False).settings()
    assert settings["ANALYTICS_CHURN__EXPECTS_FULL_DATA"] == "false"
    assert settings["ANALYTICS_CHURN__EVALUATION_CUTOFF"] == "2017-11-01"


def test_another_try_forgets_why_the_last_one_failed_and_keeps_its_progress(tmp_path: Path) -> None:
    failure = Failure(step="replay", cause="c", log="l", remedy="r")
    save(tmp_path, DemoState(mode="full", phase=Phase.FAILED, done=5, total=9, failure=failure))
    forget_failure(tmp_path)
    found = load(tmp_path)
    assert found is not None
    assert (found.phase, found.failure, found.done) == (Phase.WAITING, None, 5)
