"""A step whose warehouse is held by somebody is tried again; any other trouble fails it at once."""

import dagster
import pytest
from dagster import DagsterInstance, DagsterRunStatus, asset, materialize

from platform_assets.defs import retries
from platform_assets.defs.retries import RETRIES, retried_when_busy
from resources.warehouse import LockTimeout


def attempts(error: Exception, *, succeeds_at: int | None, monkeypatch: pytest.MonkeyPatch) -> tuple[int, bool]:
    """How often a step was tried that fails until then, and whether its run succeeded."""
    monkeypatch.setattr(retries, "PAUSE_S", 0.0)
    tried = 0

    @asset
    def table() -> None:
        nonlocal tried
        tried += 1
        with retried_when_busy():
            if tried != succeeds_at:
                raise error

    with DagsterInstance.ephemeral() as instance:
        result = materialize([table], instance=instance, raise_on_error=False)
        assert (result.dagster_run.status is DagsterRunStatus.SUCCESS) == result.success
    return tried, result.success


def test_step_that_finds_the_warehouse_busy_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert attempts(LockTimeout("held by another"), succeeds_at=2, monkeypatch=monkeypatch) == (2, True)


def test_warehouse_that_stays_busy_fails_the_step_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    assert attempts(LockTimeout("held by another"), succeeds_at=None, monkeypatch=monkeypatch) == (RETRIES + 1, False)


@pytest.mark.parametrize("error", [ValueError("a bad row"), dagster.Failure("a broken contract"), TimeoutError("slow")])
def test_any_other_trouble_fails_the_step_at_once(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    assert attempts(error, succeeds_at=2, monkeypatch=monkeypatch) == (1, False)
