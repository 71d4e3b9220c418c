"""The checks of the stream's windows: repeats that differ, and windows that are not what the events say."""

import datetime as dt
from typing import Any

from platform_assets.contracts.windows import WINDOWS, WindowDefinition, WindowType
from platform_assets.defs.ingestion.window_results import check_repeats, check_windows
from resources.landing_zone import LandingZone
from resources.warehouse import Warehouse
from resources.warehouse.landed_tables import LANDED_TABLES
from resources.warehouse.landing_loads import load_landed
from tests.check_results import shown
from tests.landed_records import RECEIVED_AT, event, land_events, land_windows, window_result

MINUTE = dt.timedelta(minutes=1)
MINUTES = WindowDefinition(name="minutes", key_field="user_id", window_type=WindowType.TUMBLING, size_ms=60_000)


def load(warehouse: Warehouse, landing: LandingZone) -> None:
    with warehouse.write("load") as connection:
        for table in LANDED_TABLES:
            load_landed(connection, landing, table)


def result(offset: int, **fields: Any) -> dict[str, Any]:
    return window_result(offset, MINUTES.name, "u", RECEIVED_AT, MINUTE, **{"aggregates": '{"sum":1.5}', **fields})


def test_result_that_came_again_with_the_same_content_passes(warehouse: Warehouse, landing: LandingZone) -> None:
    """A second pass cuts the log in other places: when and up to where it was said may differ."""
    land_windows(landing, [result(0)])
    load(warehouse, landing)
    land_windows(landing, [result(1, next_offset=700, emitted_at=RECEIVED_AT + MINUTE, watermark=RECEIVED_AT)])
    load(warehouse, landing)
    with warehouse.read() as connection:
        check = check_repeats(connection)
    assert check.passed
    assert shown(check)["repeated_results"] == 1


def test_result_that_came_again_with_another_content_fails_and_is_shown(
    warehouse: Warehouse, landing: LandingZone
) -> None:
    """In the same load or in a later one; the first is kept."""
    land_windows(landing, [result(0), result(1, event_count=2)])
    load(warehouse, landing)
    land_windows(landing, [result(2), result(3, aggregates='{"sum":1.5000000000000002}')])
    load(warehouse, landing)
    with warehouse.read() as connection:
        check = check_repeats(connection)
        assert connection.execute("SELECT event_count FROM raw.window_results").fetchall() == [(1,)]
    assert not check.passed
    metadata: dict[str, Any] = shown(check)
    assert (metadata["repeated_results"], metadata["differing_results"]) == (3, 2)
    assert [row["kafka_offset"] for row in metadata["first_differing"]] == [1, 3]


def test_windows_that_hold_what_the_events_say_pass_with_their_number(
    warehouse: Warehouse, landing: LandingZone
) -> None:
    land_events(
        landing, [event(0, user_id="u"), event(1, user_id="u", occurred_at=RECEIVED_AT + MINUTE)], covers=(0, 999)
    )
    land_windows(landing, [result(0, aggregates="{}")])
    load(warehouse, landing)
    with warehouse.read() as connection:
        check = check_windows(connection, [MINUTES])
    assert check.passed
    assert (shown(check)["compared_windows"], shown(check)["minutes: equal"]) == (1, 1)


def test_wrong_windows_fail_and_are_shown_as_rows(warehouse: Warehouse, landing: LandingZone) -> None:
    land_events(landing, [event(0, user_id="u")], covers=(0, 999))
    land_windows(landing, [result(0, aggregates="{}", event_count=2)])
    load(warehouse, landing)
    with warehouse.read() as connection:
        check = check_windows(connection, [MINUTES])
    assert not check.passed
    metadata: dict[str, Any] = shown(check)
    assert metadata["minutes: differing"] == 1
    (wrong,) = metadata["first_wrong"]
    assert (wrong["window"], wrong["key"], wrong["expected_count"], wrong["found_count"]) == ("minutes", "u", 1, 2)


def test_empty_warehouse_passes_with_nothing_compared(warehouse: Warehouse, landing: LandingZone) -> None:
    load(warehouse, landing)
    with warehouse.read() as connection:
        assert check_repeats(connection).passed
        check = check_windows(connection, WINDOWS)
    assert check.passed
    assert shown(check)["compared_windows"] == 0
