"""Answers questions about the published lineage; the graph is in memory and read anew when another one is published."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from platform_assets.lineage.graph import Asset, Edge, Influence, LineageGraph, Place
from platform_assets.lineage.names import resolve, with_column
from platform_assets.lineage.walk import Direction, Reached, walk
from resources.lineage.store import LineageReader, Pointer


@dataclass(frozen=True)
class Question:
    """What is asked; `asset` may be any of its names, `limit` counts places."""

    asset: str
    column: str | None
    directions: tuple[Direction, ...]
    depth: int
    conditions: bool
    limit: int


@dataclass(frozen=True)
class Answer:
    """The places that were reached, nearest first, and the edges between them."""

    pointer: Pointer
    start: Place
    asset: Asset
    reached: dict[Direction, list[Reached]]
    edges: list[Edge]
    is_truncated: bool
    kinds: dict[str, str]


class Lineage:
    """One per process."""

    def __init__(self, folder: Path) -> None:
        self._reader = LineageReader(folder)

    async def assets(self) -> tuple[Pointer, list[Asset]]:
        """Every asset, by name.

        Raises:
            NoLineage, LineageUnreadable: see `LineageReader.current`.
        """
        pointer, graph = await asyncio.to_thread(self._reader.current)
        return pointer, sorted(graph.assets.values(), key=lambda asset: asset.name)

    async def ask(self, question: Question) -> Answer:
        """What lies before and behind an asset or column.

        Raises:
            UnknownName: there is no such asset or column.
            NoLineage, LineageUnreadable: see `LineageReader.current`.
        """
        return await asyncio.to_thread(self._ask, question)

    def _ask(self, question: Question) -> Answer:
        pointer, graph = self._reader.current()
        start = resolve(graph, question.asset)
        if question.column is not None:
            start = with_column(graph, start.asset, question.column)
        reached: dict[Direction, list[Reached]] = {}
        is_truncated = False
        for direction in question.directions:
            found = walk(graph, start, direction, depth=question.depth, conditions=question.conditions)
            nearest = sorted(found.values(), key=lambda one: one.hops)[1:]
            is_truncated = is_truncated or len(nearest) > question.limit
            reached[direction] = nearest[: question.limit]
        places = {start} | {one.place for group in reached.values() for one in group}
        edges = _between(graph, places) if start.column is not None else _between_assets(graph, places)
        if not question.conditions:
            edges = [edge for edge in edges if edge.influence is Influence.DIRECT]
        edges.sort(key=lambda edge: (edge.source, edge.source_column or "", edge.target, edge.target_column or ""))
        kinds = {place.asset: graph.assets[place.asset].kind.value for place in places}
        return Answer(pointer, start, graph.assets[start.asset], reached, edges, is_truncated, kinds)


def _between(graph: LineageGraph, places: set[Place]) -> list[Edge]:
    return [edge for place in places for edge in graph.after(place) if edge.end in places]


def _between_assets(graph: LineageGraph, places: set[Place]) -> list[Edge]:
    """One edge for each pair, found in whatever is said between their columns."""
    return [
        Edge(source=place.asset, target=target, found_in="its columns")
        for place in places
        for target in sorted(graph.assets_after(place.asset))
        if Place(target) in places
    ]
