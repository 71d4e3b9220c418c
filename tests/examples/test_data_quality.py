"""The specification's example of data quality, run as it stands against a local S3. Only the import path is changed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from platform_assets.quality.reading import BadExpectation
from platform_assets.quality.results import ValidationResult
from platform_assets.sdk import DataQualityFramework, create_common_expectations
from resources.quality.history import QualityHistory
from resources.settings import load_settings
from tests.s3_server import running_storage, settings_variables

USERS: dict[str, list[Any]] = {
    "user_id": ["u1", "u2", "u3", "u4"],
    "age": [13, 34, None, 120],
    "email": ["a@example.com", "b@example.com", None, "d@example.com"],
    "phone": ["+15551234567", "15551234567", "5551234567", None],
}


def as_parquet(columns: dict[str, list[Any]]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return bytes(sink.getvalue().to_pybytes())


@pytest.fixture(params=["good", "bad"])
def users(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Which users stand at s3://data-lake/users.parquet: good ones, or with a fault for each expectation."""
    columns = USERS
    if request.param == "bad":
        columns = {name: [*values, values[0]] for name, values in USERS.items()}
        columns |= {"user_id": ["u1", None, "u3", "u4", "u1"], "age": [12, 34, None, 121, 12]}
        columns |= {"phone": ["call me", "15551234567", "5551234567", None, "call me"]}
    with running_storage("data-lake", {"users.parquet": as_parquet(columns)}) as storage:
        for name, value in settings_variables(storage).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("ANALYTICS_DATA_DIR", str(tmp_path_factory.mktemp("data")))
        yield request.param


async def test_example_of_the_specification_runs(
    users: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Good users pass; of bad ones each fault is found, remembered and alerted, once."""
    found: list[ValidationResult] = []

    # Setup data quality monitoring
    dq_framework = DataQualityFramework()

    async def validate_dataset() -> None:
        # Create quality expectations
        expectations = create_common_expectations()
        expectations.extend([
            {"type": "not_null", "column": "user_id"},
            {"type": "range", "column": "age", "min": 13, "max": 120},
            {"type": "unique", "column": "email"},
            {"type": "pattern", "column": "phone", "pattern": r"^\+?1?\d{9,15}$"}
        ])  # fmt: skip

        # Validate dataset
        results = await dq_framework.validate_dataset(
            dataset_path="s3://data-lake/users.parquet",
            expectations=expectations
        )  # fmt: skip

        print(f"Validation passed: {results.success}")  # noqa: T201
        print(f"Success rate: {results.success_rate:.2f}%")  # noqa: T201

        # Failed validations are automatically alerted
        if not results.success:
            print(f"Failed expectations: {len(results.failed_expectations)}")  # noqa: T201
        found.append(results)

    with caplog.at_level("INFO"):
        await validate_dataset()

    (result,) = found
    printed = capsys.readouterr().out
    history = QualityHistory.of(load_settings())
    alerts = [record.message for record in caplog.records if "expectations fail" in record.message]
    if users == "good":
        assert printed == "Validation passed: True\nSuccess rate: 100.00%\n"
        assert alerts == []
        assert history.results(only_failed=True) == []
        return
    assert printed == "Validation passed: False\nSuccess rate: 28.57%\nFailed expectations: 5\n"
    rows = {failed.expectation: [sample.row for sample in failed.samples] for failed in result.failed_expectations}
    assert rows == {
        "no_row_is_repeated": [5],
        "not_null_user_id": [2],
        "range_age": [1, 4, 5],
        "unique_email": [5],
        "pattern_phone": [1, 5],
    }
    assert {sample.values["email"] for failed in result.results for sample in failed.samples} <= {"***", None}
    assert len(alerts) == 1
    assert "5 of 7 expectations fail" in alerts[0]
    assert len(history.results("s3://data-lake/users.parquet", only_failed=True)) == 5


async def test_mistake_in_an_expectation_is_refused_before_anything_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A typing mistake must not read as "passed"."""
    monkeypatch.setenv("ANALYTICS_DATA_DIR", str(tmp_path))
    with pytest.raises(BadExpectation, match="unknown type 'not_nul'; allowed are"):
        await DataQualityFramework().validate_dataset("s3://nowhere/users.parquet", [{"type": "not_nul"}])
