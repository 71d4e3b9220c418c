"""A cast changes what is clearly meant and refuses the rest."""

from typing import Any

import pytest

from platform_assets.repair.casts import CannotCast, Kind, cast


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("2", Kind.INTEGER, 2),
        (" -7 ", Kind.INTEGER, -7),
        (2.0, Kind.INTEGER, 2),
        ("1.50", Kind.NUMBER, 1.5),
        ("1e3", Kind.NUMBER, 1000.0),
        (7, Kind.STRING, "7"),
        (True, Kind.STRING, "true"),
        ("TRUE", Kind.BOOLEAN, True),
        (0, Kind.BOOLEAN, False),
        ("2026-01-31T10:00:00Z", Kind.TIMESTAMP, "2026-01-31T10:00:00+00:00"),
        (1_767_225_600, Kind.TIMESTAMP, "2026-01-01T00:00:00+00:00"),
        *((None, kind, None) for kind in Kind),
    ],
)
def test_value_becomes_the_wanted_kind(value: Any, kind: Kind, expected: Any) -> None:
    found = cast(value, kind)
    assert found == expected
    assert type(found) is type(expected)


def test_timestamp_knows_units_and_time_zones() -> None:
    assert cast(1_767_225_600_000, Kind.TIMESTAMP, unit="ms") == "2026-01-01T00:00:00+00:00"
    assert cast("2026-07-01 12:00:00", Kind.TIMESTAMP, zone="Europe/Berlin") == "2026-07-01T12:00:00+02:00"


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("2.5", Kind.INTEGER),
        (2.5, Kind.INTEGER),
        (True, Kind.INTEGER),
        ("0x10", Kind.INTEGER),
        ("1_000", Kind.INTEGER),
        ("", Kind.INTEGER),
        ("9" * 31, Kind.INTEGER),
        ("nan", Kind.NUMBER),
        ("1e999", Kind.NUMBER),
        ("1,5", Kind.NUMBER),
        (True, Kind.NUMBER),
        ({}, Kind.STRING),
        ("yes", Kind.BOOLEAN),
        (2, Kind.BOOLEAN),
        ("yesterday", Kind.TIMESTAMP),
        (1e300, Kind.TIMESTAMP),
        ([], Kind.TIMESTAMP),
    ],
)
def test_value_that_is_not_clearly_meant_is_refused_without_naming_it(value: Any, kind: Kind) -> None:
    with pytest.raises(CannotCast) as refusal:
        cast(value, kind)
    assert repr(value) not in str(refusal.value)
