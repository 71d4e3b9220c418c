"""Acknowledged minus landed, while a log lives and after it died."""

from pathlib import Path

import pyarrow as pa
import pytest

from deployments.local.accounting import Accounts, Tally
from platform_assets.contracts.landing import LandingFile
from resources.event_log.acknowledged import AcknowledgedOffsets, read_acknowledged
from resources.landing_zone import LandingZone


@pytest.fixture
def marks_dir(tmp_path: Path) -> Path:
    return tmp_path / "marks"


@pytest.fixture
def zone(tmp_path: Path) -> LandingZone:
    return LandingZone(tmp_path / "landing")


@pytest.fixture
def accounts(tmp_path: Path, marks_dir: Path, zone: LandingZone) -> Accounts:
    return Accounts(marks_dir, zone, tmp_path / "losses.json")


def acknowledge(marks_dir: Path, log: str, *offsets: int) -> None:
    with AcknowledgedOffsets(marks_dir, "events.v1", log, len(offsets)) as marks:
        for partition, offset in enumerate(offsets):
            marks.advance(partition, offset)


def land(zone: LandingZone, log: str, partition: int, last: int) -> None:
    zone.write(pa.table({"n": [1]}), LandingFile("events.v1", log, partition, 0, last))


def test_tally_is_what_was_acknowledged_and_has_landed(accounts: Accounts, marks_dir: Path, zone: LandingZone) -> None:
    acknowledge(marks_dir, "log-a", 100, 50)
    land(zone, "log-a", 0, 69)
    tally = accounts.tally()
    assert tally == Tally(acknowledged=150, landed=70, lost=0)
    assert tally.under_way == 80


def test_records_that_landed_without_an_acknowledgement_are_not_counted_twice(
    accounts: Accounts, marks_dir: Path, zone: LandingZone
) -> None:
    acknowledge(marks_dir, "log-a", 10)
    land(zone, "log-a", 0, 19)
    assert accounts.tally() == Tally(acknowledged=10, landed=10, lost=0)


def test_what_died_with_its_log_is_lost_and_said_once(accounts: Accounts, marks_dir: Path, zone: LandingZone) -> None:
    acknowledge(marks_dir, "log-a", 100)
    land(zone, "log-a", 0, 69)
    acknowledge(marks_dir, "log-b", 5)
    (loss,) = accounts.close_ended_logs(["log-b"])
    assert (loss.log, loss.records) == ("log-a", 30)
    assert accounts.close_ended_logs(["log-b"]) == []
    assert accounts.tally() == Tally(acknowledged=5, landed=0, lost=30)
    assert [marks.log for marks in read_acknowledged(marks_dir)] == ["log-b"]


def test_log_that_ended_with_everything_landed_loses_nothing(
    accounts: Accounts, marks_dir: Path, zone: LandingZone
) -> None:
    acknowledge(marks_dir, "log-a", 70)
    land(zone, "log-a", 0, 69)
    assert accounts.close_ended_logs([]) == []
    assert accounts.tally() == Tally(0, 0, 0)
