"""Walks the graph: what lies before or after a place, how it is reached, and whether as a part or as a condition.

Two steps stand in no edge. Which rows an asset has bears on all of its columns, and so does what bears on an asset as a
whole. A walk from an asset takes whole assets; a walk from a column takes columns, where they are known.
"""

import enum
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from platform_assets.lineage.graph import ROWS, Edge, Influence, LineageGraph, Place, is_rows

NO_LIMIT = 1_000


class Direction(enum.StrEnum):
    """Which way to walk: to what a place is made of, or to what is made of it."""

    UPSTREAM = "upstream"
    DOWNSTREAM = "downstream"


@dataclass(frozen=True)
class Reached:
    """A place that the walk came to. `hops` counts the assets on the way; `before` is where it came from."""

    place: Place
    influence: Influence
    hops: int
    before: Place | None
    edge: Edge | None
    """None for the start, and for the step from an asset or its rows to a column."""


def walk(
    graph: LineageGraph,
    start: Place,
    direction: Direction,
    *,
    depth: int = NO_LIMIT,
    conditions: bool = True,
) -> dict[Place, Reached]:
    """Every place within `depth` assets of the start, which is included, nearest first.

    A place is reached directly where one way there has direct edges only, else by a condition; `conditions` False
    leaves the latter out.
    """
    if start.column is None:
        return _walk_assets(graph, start, direction, depth)
    steps = _steps_after if direction is Direction.DOWNSTREAM else _steps_before
    reached = {start: Reached(start, Influence.DIRECT, 0, None, None)}
    # A column that holds fields is all of them.
    for column in graph.assets[start.asset].columns:
        if column.name.startswith(f"{start.column}.") and not is_rows(start.column):
            field = Place(start.asset, column.name)
            reached[field] = Reached(field, Influence.DIRECT, 0, start, None)
    # What direct edges reach first: the rest of the walk then leaves it alone.
    _spread(reached, lambda place: steps(graph, place), depth, Influence.DIRECT)
    if conditions:
        _spread(reached, lambda place: steps(graph, place), depth, Influence.CONDITION)
    return reached


def way_to(reached: dict[Place, Reached], place: Place) -> list[Reached]:
    """How the walk came to a place, from its start on."""
    way = [reached[place]]
    while (before := way[-1].before) is not None:
        way.append(reached[before])
    return way[::-1]


Step = tuple[Place, Influence, Edge | None]


def _spread(
    reached: dict[Place, Reached], steps: Callable[[Place], Iterator[Step]], depth: int, label: Influence
) -> None:
    """Add what the places that are reached lead to, nearest first: a step inside an asset is no hop."""
    counter = itertools.count()
    waiting = [(here.hops, next(counter), here) for here in reached.values()]
    heapq.heapify(waiting)
    known = set(reached)
    while waiting:
        hops, _, here = heapq.heappop(waiting)
        if here.place not in known:
            known.add(here.place)
            reached[here.place] = here
        elif reached[here.place] is not here:
            continue
        for place, influence, edge in steps(here.place):
            further = hops + (place.asset != here.place.asset)
            is_taken = label is Influence.CONDITION or influence is Influence.DIRECT
            if is_taken and place not in known and further <= depth:
                found = Reached(place, label, further, here.place, edge)
                heapq.heappush(waiting, (further, next(counter), found))


def _steps_after(graph: LineageGraph, place: Place) -> Iterator[Step]:
    for edge in graph.after(place):
        yield edge.end, edge.influence, edge
    if place.column is not None:
        for edge in graph.after(Place(place.asset)):
            yield edge.end, Influence.CONDITION, edge
    if place.column is None or is_rows(place.column):
        yield from _columns_of(graph, place)


def _steps_before(graph: LineageGraph, place: Place) -> Iterator[Step]:
    for edge in graph.before(place):
        yield edge.start, edge.influence, edge
    if place.column is None:
        yield from _columns_of(graph, place)
        return
    for edge in graph.before(Place(place.asset)):
        yield edge.start, Influence.CONDITION, edge
    if not is_rows(place.column):
        rows = Place(place.asset, _rows_of(graph, place))
        if graph.before(rows):
            yield rows, Influence.CONDITION, None


def _columns_of(graph: LineageGraph, place: Place) -> Iterator[Step]:
    """The columns of an asset, or those of the table whose rows are meant."""
    table = (place.column or ROWS).removesuffix(ROWS)
    for column in graph.assets[place.asset].columns:
        if column.name.startswith(table):
            yield Place(place.asset, column.name), Influence.CONDITION, None


def _rows_of(graph: LineageGraph, place: Place) -> str:
    """The name of the rows that a column stands in: those of its own table where the asset holds several."""
    table, _, _ = (place.column or "").partition(".")
    own = f"{table}.{ROWS}"
    return own if graph.before(Place(place.asset, own)) else ROWS


def _walk_assets(graph: LineageGraph, start: Place, direction: Direction, depth: int) -> dict[Place, Reached]:
    following = graph.assets_after if direction is Direction.DOWNSTREAM else graph.assets_before
    reached = {start: Reached(start, Influence.DIRECT, 0, None, None)}
    waiting = deque([start])
    while waiting:
        here = reached[waiting.popleft()]
        for name in sorted(following(here.place.asset)):
            place = Place(name)
            if place not in reached and here.hops < depth:
                reached[place] = Reached(place, Influence.DIRECT, here.hops + 1, here.place, None)
                waiting.append(place)
    return reached
