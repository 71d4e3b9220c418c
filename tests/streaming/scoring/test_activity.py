"""Which entities a micro-batch names: users of changed minutes, each with the record of its last change."""

import pytest

from platform_assets.contracts.topics import WINDOWS
from platform_assets.contracts.windows import UpdateKind
from streaming.scoring.activity import Place, activity_of
from tests.streaming.window_changes import activity, updates
from tests.streaming_records import a_batch


def test_entities_stand_with_the_record_of_their_last_change() -> None:
    values = [(4, activity(["a", "b"])), (7, activity(["b", None])), (9, activity([]))]
    found = activity_of(a_batch(values, start=4, next_offset=10, topic=WINDOWS.name, partition=2), "L")
    assert found.entities == {"a": Place(WINDOWS.name, "L", 2, 4), "b": Place(WINDOWS.name, "L", 2, 7)}
    assert found.unreadable == 0


def test_final_results_and_other_windows_name_nobody() -> None:
    """Nothing happened to the entity when its minute closed; a store is no household."""
    values = [
        (0, activity(["a"], kind=UpdateKind.FINAL)),
        (1, updates("store_sales_1h", [("s1", 0, 1, 1, 2.5)])),
        (2, updates("user_session_30m", [("a", 0, 1, 1, 2.5, 3.0)])),
    ]
    assert activity_of(a_batch(values, start=0, next_offset=3, topic=WINDOWS.name), "L").entities == {}


@pytest.mark.parametrize("value", [None, b"", b"junk", b"{}", b'{"window":1}', updates("user_activity_1m", [()])])
def test_what_is_no_update_is_counted_and_stops_nothing(value: bytes | None) -> None:
    values = [(0, value), (1, activity(["a"]))]
    found = activity_of(a_batch(values, start=0, next_offset=2, topic=WINDOWS.name), "L")
    assert (found.unreadable, list(found.entities)) == (1, ["a"])
