"""The watermark is the running maximum of what the records say, capped by when they were received."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.windows.columns import Ints
from platform_assets.windows.watermark import BEFORE_ALL, Watermark

TIMES = st.lists(st.tuples(st.integers(-(2**62), 2**62), st.integers(-(2**62), 2**62)), max_size=30)


def ints(*values: int) -> Ints:
    return np.array(values, dtype=np.int64)


def test_watermark_before_each_record_is_that_of_the_records_before_it() -> None:
    watermark = Watermark()
    assert watermark.advance(ints(5, 3, 9), ints(10, 10, 10)).tolist() == [BEFORE_ALL, 5, 5]
    assert watermark.advance(ints(1), ints(10)).tolist() == [9]
    assert watermark.value_ms == 9
    assert watermark.advance(ints(), ints()).tolist() == []
    assert watermark.value_ms == 9


def test_event_from_the_future_counts_as_of_when_it_was_received() -> None:
    """A client whose clock is a year ahead does not close everybody's windows."""
    watermark = Watermark()
    watermark.advance(ints(1_000_000), ints(7))
    assert watermark.value_ms == 7


def test_watermark_does_not_change_what_it_is_given() -> None:
    occurred, received = ints(5, 3), ints(4, 9)
    Watermark().advance(occurred, received)
    assert (occurred.tolist(), received.tolist()) == ([5, 3], [4, 9])


def test_watermark_never_goes_back() -> None:
    watermark = Watermark(10)
    watermark.advance(ints(3), ints(3))
    watermark.advance_to(4)
    assert watermark.value_ms == 10
    watermark.advance_to(11)
    assert watermark.value_ms == 11


@given(times=TIMES, cut=st.integers(0, 30))
def test_watermarks_do_not_depend_on_where_the_log_is_cut(times: list[tuple[int, int]], cut: int) -> None:
    occurred, received = ints(*(time for time, _ in times)), ints(*(time for _, time in times))
    whole, parts = Watermark(), Watermark()
    at_once = whole.advance(occurred, received).tolist()
    bit_by_bit = [
        *parts.advance(occurred[:cut], received[:cut]).tolist(),
        *parts.advance(occurred[cut:], received[cut:]).tolist(),
    ]
    assert at_once == bit_by_bit
    assert whole.value_ms == parts.value_ms
    reached = [min(pair) for pair in times]
    assert at_once == [max([int(BEFORE_ALL), *reached[:place]]) for place in range(len(times))]
