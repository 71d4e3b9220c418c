"""A changed file of the reference data asks for one reference_job."""

import os
from pathlib import Path

import pytest
from dagster import RunRequest, SensorResult, SkipReason, build_sensor_context

from platform_assets.defs.jobs import REFERENCE_JOB
from resources.warehouse.reference_loads import REFERENCE_TABLES, SourceMissing
from sensors import reference_files
from sensors.reference_files import reference_files_sensor


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data set as files of its own: the sensor reads bytes and times, not Parquet."""
    for table in REFERENCE_TABLES:
        (tmp_path / f"{table.name}.parquet").write_text(f"rows of {table.name}")
    monkeypatch.setattr(reference_files, "source_folder", lambda: tmp_path)
    return tmp_path


def tick(cursor: str | None) -> SensorResult | SkipReason:
    result = reference_files_sensor(build_sensor_context(cursor=cursor))
    assert isinstance(result, SensorResult | SkipReason)
    return result


def seen(cursor: str | None = None) -> str:
    """The cursor of a tick that asks for nothing."""
    result = tick(cursor)
    assert isinstance(result, SensorResult)
    assert not result.run_requests
    return result.cursor or ""


def asked(cursor: str) -> tuple[RunRequest, str]:
    result = tick(cursor)
    assert isinstance(result, SensorResult)
    (request,) = result.run_requests or ()
    return request, result.cursor or ""


def test_first_tick_remembers_and_asks_for_nothing(folder: Path) -> None:
    assert seen(seen()) == seen()


def test_changed_file_asks_for_one_run_and_tells_the_source_s_new_version(folder: Path) -> None:
    cursor = seen()
    (folder / "products.parquet").write_text("other rows")
    request, newer = asked(cursor)
    again, _ = asked(cursor)
    assert request.run_key == again.run_key
    assert str(request.run_key).startswith(f"{REFERENCE_JOB}/")
    assert request.tags["analytics/changed_files"] == "products"
    (observed,) = tick(cursor).asset_events  # type: ignore[union-attr]
    assert observed.data_version is not None  # type: ignore[union-attr]
    seen(newer)


def test_content_that_comes_back_is_asked_for_again(folder: Path) -> None:
    """Dagster starts one run a key, ever."""
    cursor, keys = seen(), []
    before = (folder / "products.parquet").read_text()
    for number, content in enumerate(("other rows", before, "other rows")):
        (folder / "products.parquet").write_text(content)
        os.utime(folder / "products.parquet", (number + 1, number + 1))
        request, cursor = asked(cursor)
        keys.append(request.run_key)
    assert len(set(keys)) == 3


def test_file_that_was_only_written_again_asks_for_nothing(folder: Path) -> None:
    """As a new installation of the same release does."""
    cursor = seen()
    os.utime(folder / "products.parquet", (1, 1))
    assert seen(cursor) != cursor


def test_data_set_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Path:
        raise SourceMissing("The data set is not installed.")

    monkeypatch.setattr(reference_files, "source_folder", missing)
    result = tick(None)
    assert isinstance(result, SkipReason)
    assert "not installed" in (result.skip_message or "")


def test_sensor_belongs_to_the_job_and_runs_by_default() -> None:
    assert reference_files_sensor.job_name == REFERENCE_JOB
    assert reference_files_sensor.default_status.value == "RUNNING"
