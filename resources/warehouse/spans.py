"""Arithmetic on ranges of offsets; both ends are included."""

from collections.abc import Iterable

Span = tuple[int, int]


def merge(spans: Iterable[Span]) -> list[Span]:
    """The same offsets in ascending spans that neither overlap nor touch."""
    merged: list[Span] = []
    for first, last in sorted(spans):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged


def subtract(span: Span, covered: Iterable[Span]) -> list[Span]:
    """What of `span` is not covered, ascending."""
    left: list[Span] = []
    position, end = span
    for first, last in merge(covered):
        if last < position:
            continue
        if first > end:
            break
        if first > position:
            left.append((position, first - 1))
        position = last + 1
    if position <= end:
        left.append((position, end))
    return left
