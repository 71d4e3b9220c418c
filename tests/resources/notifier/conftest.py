"""An alert and a real web server that takes alerts."""

import datetime as dt
from collections.abc import Iterator

import pytest

from resources.notifier import Alert, Severity
from tests.local_receiver import Receiver, receiver

AT = dt.datetime(2026, 11, 2, 8, 30, tzinfo=dt.UTC)


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


@pytest.fixture
def alert() -> Alert:
    return Alert(
        kind="run_failed",
        title="warehouse_job failed",
        body="dbt build: 1 of 30 models failed",
        severity=Severity.CRITICAL,
        source="run 7f3a",
        dedup_key="job/warehouse_job",
        occurred_at=AT,
        link="http://127.0.0.1:3001/runs/7f3a",
    )
