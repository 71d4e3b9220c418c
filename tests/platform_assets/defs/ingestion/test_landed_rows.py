"""The check of landing files by pandera: a sample of the newest file of every partition."""

from typing import Any

import pytest

from platform_assets.contracts.landed_rows import (
    EVENT_ROWS,
    LATE_ROWS,
    PREDICTION_ROWS,
    REJECTION_ROWS,
    WINDOW_ROWS,
    LandedRows,
)
from platform_assets.defs.ingestion.landed_rows import check_newest_rows
from resources.landing_zone import LandingZone
from tests.check_results import shown
from tests.landed_records import (
    LOG,
    RECEIVED_AT,
    event,
    land_events,
    land_late_events,
    land_predictions,
    land_rejections,
    land_windows,
    late_event,
    rejection,
    stream_prediction,
    window_result,
)


@pytest.mark.parametrize("rows", [EVENT_ROWS, REJECTION_ROWS, WINDOW_ROWS, LATE_ROWS, PREDICTION_ROWS], ids=repr)
def test_landed_rows_of_every_topic_keep_the_contract(landing: LandingZone, rows: LandedRows) -> None:
    assert shown(check_newest_rows(landing, rows))["files"] == 0
    land_events(landing, [event(0), event(1, partition=0)])
    land_rejections(landing, [rejection(0), rejection(1)])
    land_windows(landing, [window_result(0, "user_activity_1m", None, RECEIVED_AT, RECEIVED_AT - RECEIVED_AT)] * 2)
    land_late_events(landing, [late_event(0, source_offset=1)] * 2)
    land_predictions(landing, [stream_prediction(0), stream_prediction(1)])
    result = check_newest_rows(landing, rows)
    assert result.passed
    assert shown(result) == {"files": 1, "rows": 2, "failures": 0, "first_failures": []}


def test_row_that_breaks_the_contract_is_shown_by_its_place_and_not_by_its_content(landing: LandingZone) -> None:
    """In the newest file of each partition; older files were new once."""
    bad: dict[str, Any] = {"event_name": "purchase_line", "payload": '{"secret":1}', "event_type": "odd"}
    land_events(landing, [event(0, **bad)])
    land_events(landing, [event(1), event(2)])
    assert check_newest_rows(landing, EVENT_ROWS).passed
    land_events(landing, [event(0, partition=1), event(1, partition=1, **bad)])
    result = check_newest_rows(landing, EVENT_ROWS)
    path = f"events.v1/log={LOG}/part=1/{0:020d}-{1:020d}.parquet"
    assert not result.passed
    assert shown(result) == {
        "files": 2,
        "rows": 4,
        "failures": 2,
        "first_failures": [f"{path} row 1: event_type_is_known", f"{path} row 1: payload_keeps_its_contract"],
    }
