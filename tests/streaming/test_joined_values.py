"""Joined values are the values."""

import hypothesis.strategies as st
from hypothesis import given

from streaming.joined_values import MARGIN, JoinedValues


@given(st.lists(st.one_of(st.binary(max_size=9), st.none())), st.slices(5))
def test_joined_values_are_the_values_one_behind_the_other(values: list[bytes | None], part: slice) -> None:
    """Tombstones and empty ones included, alone and in slices."""
    joined = JoinedValues.of(values)
    assert list(joined) == values
    assert joined[part] == values[part]
    bounds = zip(joined.begins.tolist(), joined.ends.tolist(), strict=True)
    assert [joined.data[begin:end] for begin, end in bounds] == [value or b"" for value in values]
    assert len(joined.data) >= sum(len(value or b"") for value in values) + MARGIN
