"""Ranges of offsets against plain sets of offsets."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from resources.warehouse.spans import Span, merge, subtract

SPAN = st.tuples(st.integers(0, 40), st.integers(0, 15)).map(lambda pair: (pair[0], pair[0] + pair[1]))


def offsets(spans: list[Span]) -> set[int]:
    return {offset for first, last in spans for offset in range(first, last + 1)}


@given(st.lists(SPAN))
def test_merge_keeps_the_offsets_in_spans_that_do_not_touch(spans: list[Span]) -> None:
    merged = merge(spans)
    assert offsets(merged) == offsets(spans)
    assert all(before[1] + 1 < after[0] for before, after in pairwise(merged))


@given(SPAN, st.lists(SPAN))
def test_subtract_leaves_what_is_not_covered(span: Span, covered: list[Span]) -> None:
    left = subtract(span, covered)
    assert offsets(left) == offsets([span]) - offsets(covered)
    assert left == merge(left)
