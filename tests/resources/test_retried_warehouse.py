"""A step whose warehouse is held by somebody is tried again; any other trouble fails it at once."""

from collections.abc import Callable
from pathlib import Path

import dagster
import pytest
from dagster import DagsterInstance, asset, materialize

from resources import retried_warehouse
from resources.retried_warehouse import RETRIES, RetriedWarehouse
from resources.warehouse import Warehouse

Use = Callable[[RetriedWarehouse], None]


def reads(warehouse: RetriedWarehouse) -> None:
    with warehouse.read():
        pass


def reads_attached(warehouse: RetriedWarehouse) -> None:
    with warehouse.attached():
        pass


def writes(warehouse: RetriedWarehouse) -> None:
    with warehouse.write("test"):
        pass


def locks(warehouse: RetriedWarehouse) -> None:
    with warehouse.locked("test"):
        pass


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(retried_warehouse, "PAUSE_S", 0.0)
    path = tmp_path / "analytics.duckdb"
    with Warehouse(path).write("made"):
        pass
    return path


def tries(step: Callable[[int], None]) -> tuple[int, bool]:
    """How often a step was tried that is told its attempt, and whether its run succeeded."""
    tried = 0

    @asset
    def table() -> None:
        nonlocal tried
        tried += 1
        step(tried)

    with DagsterInstance.ephemeral() as instance:
        result = materialize([table], instance=instance, raise_on_error=False)
    return tried, result.success


@pytest.mark.parametrize("use", [reads, reads_attached, writes, locks])
def test_step_that_finds_the_warehouse_busy_is_tried_again(path: Path, use: Use) -> None:
    warehouse = RetriedWarehouse(path, lock_timeout_s=0.0)

    def step(attempt: int) -> None:
        if attempt == 1:
            with Warehouse(path).locked("another's build"):
                use(warehouse)
        use(warehouse)

    assert tries(step) == (2, True)


def test_warehouse_that_stays_busy_fails_the_step_in_the_end(path: Path) -> None:
    warehouse = RetriedWarehouse(path, lock_timeout_s=0.0)
    with Warehouse(path).locked("another's build"):
        assert tries(lambda _: reads(warehouse)) == (RETRIES + 1, False)


@pytest.mark.parametrize("error", [ValueError("a bad row"), dagster.Failure("a broken contract"), TimeoutError("slow")])
def test_any_other_trouble_fails_the_step_at_once(path: Path, error: Exception) -> None:
    def step(_: int) -> None:
        with RetriedWarehouse(path).write("test"):
            raise error

    assert tries(step) == (1, False)
