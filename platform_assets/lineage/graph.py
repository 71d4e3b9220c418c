"""The lineage graph: assets, their columns, and edges that say what a value is made of.

A place is an asset or one of its columns. Two names are not columns of their own: `*` is which rows an asset has, so
that a filter or a join has one edge and not one for each column; and `payload.quantity` is a field inside `payload`.
"""

import enum
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

import msgspec

ROWS = "*"

T = TypeVar("T")


class Influence(enum.StrEnum):
    """How a value bears on another: as a part of it, or by deciding (a filter, join, group or case) what it is."""

    DIRECT = "direct"
    CONDITION = "condition"


class AssetKind(enum.StrEnum):
    """What an asset is."""

    ROUTE = "route"
    TOPIC = "topic"
    FILES = "files"
    SOURCE = "source"
    TABLE = "table"
    WINDOW = "window"
    FEATURES = "features"
    MODEL = "model"
    MODEL_VERSION = "model version"
    SERVED = "served"
    METRIC = "metric"
    DATASET = "dataset"


class Place(NamedTuple):
    """An asset, or one of its columns."""

    asset: str
    column: str | None = None

    def __str__(self) -> str:
        return self.asset if self.column is None else f"{self.asset}.{self.column}"


class Column(msgspec.Struct, frozen=True, omit_defaults=True):
    """A column, or a field inside one."""

    name: str
    type: str = ""
    description: str = ""


class Asset(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One asset, named as in Dagster where that knows it; `aliases` are other names that people may ask for."""

    name: str
    kind: AssetKind
    description: str = ""
    columns: tuple[Column, ...] = ()
    aliases: tuple[str, ...] = ()
    facts: dict[str, str] = {}


class Edge(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The source bears on the target. `found_in` says where that stands: a contract, a dbt model, a statement, a call.

    A column that is null means the asset as a whole, where nobody can say which column it is.
    """

    source: str
    target: str
    found_in: str
    source_column: str | None = None
    target_column: str | None = None
    influence: Influence = Influence.DIRECT

    @property
    def start(self) -> Place:
        """Where it begins."""
        return Place(self.source, self.source_column)

    @property
    def end(self) -> Place:
        """Where it ends."""
        return Place(self.target, self.target_column)


class LineageError(ValueError):
    """The graph does not take what was added; the message names it."""


class CycleRefused(LineageError):
    """An edge would make a value its own source. `path` leads from the edge's target back to it."""

    def __init__(self, edge: Edge, path: list[str]) -> None:
        super().__init__(
            f"{edge.start} → {edge.end} would close a circle: {' → '.join([*path, path[0]])}. Lineage has no circles; "
            "give the result a name of its own."
        )
        self.path = path


class LineageGraph:
    """Assets and edges. Adding what is there already changes nothing; an edge that closes a circle is refused."""

    def __init__(self, assets: Iterable[Asset] = (), edges: Iterable[Edge] = ()) -> None:
        self.assets: dict[str, Asset] = {}
        self._edges: dict[tuple[Place, Place], Edge] = {}
        self._after: dict[Place, list[Edge]] = defaultdict(list)
        self._before: dict[Place, list[Edge]] = defaultdict(list)
        self._assets_after: dict[str, set[str]] = defaultdict(set)
        self._assets_before: dict[str, set[str]] = defaultdict(set)
        for asset in assets:
            self.add_asset(asset)
        for edge in edges:
            self.add_edge(edge)

    @property
    def edges(self) -> list[Edge]:
        """Every edge, in the order of their addition."""
        return list(self._edges.values())

    def add_asset(self, asset: Asset) -> Asset:
        """Add an asset, or add to what is known of it: new columns, aliases and facts, and a description.

        Raises:
            LineageError: it is known as something else.
        """
        known = self.assets.get(asset.name)
        if known is not None:
            if known.kind is not asset.kind:
                raise LineageError(f"{asset.name} is a {known.kind}, and not a {asset.kind}; choose another name.")
            columns = {column.name: column for column in known.columns}
            for column in asset.columns:
                if column.name not in columns or column != Column(column.name):
                    columns[column.name] = column
            asset = Asset(
                name=asset.name,
                kind=asset.kind,
                description=asset.description or known.description,
                columns=tuple(columns.values()),
                aliases=tuple(dict.fromkeys((*known.aliases, *asset.aliases))),
                facts=known.facts | asset.facts,
            )
        self.assets[asset.name] = asset
        return asset

    def add_edge(self, edge: Edge) -> None:
        """Add an edge. Of two between the same places the direct one counts.

        Raises:
            LineageError: one of its ends is no asset or column that was added before.
            CycleRefused: the target bears on the source already.
        """
        known = self._edges.get((edge.start, edge.end))
        if known is not None and (known.influence is Influence.DIRECT or edge.influence is Influence.CONDITION):
            return
        for place in (edge.start, edge.end):
            self._require(place)
        if known is None:
            self._refuse_cycle(edge)
        else:
            self._after[edge.start].remove(known)
            self._before[edge.end].remove(known)
        self._edges[edge.start, edge.end] = edge
        self._after[edge.start].append(edge)
        self._before[edge.end].append(edge)
        if edge.source != edge.target:
            self._assets_after[edge.source].add(edge.target)
            self._assets_before[edge.target].add(edge.source)

    def after(self, place: Place) -> list[Edge]:
        """The edges that begin at a place."""
        return self._after.get(place, [])

    def before(self, place: Place) -> list[Edge]:
        """The edges that end at a place."""
        return self._before.get(place, [])

    def assets_after(self, name: str) -> set[str]:
        """The assets that an asset bears on, by any of its columns."""
        return self._assets_after.get(name, set())

    def assets_before(self, name: str) -> set[str]:
        """The assets that bear on an asset."""
        return self._assets_before.get(name, set())

    def has(self, place: Place) -> bool:
        """Whether there is such an asset, and such a column of it."""
        asset = self.assets.get(place.asset)
        if asset is None:
            return False
        return place.column is None or is_rows(place.column) or any(one.name == place.column for one in asset.columns)

    def _require(self, place: Place) -> None:
        if place.asset not in self.assets:
            raise LineageError(f"There is no asset {place.asset}; add it before its edges.")
        if not self.has(place):
            raise LineageError(f"{place.asset} has no column {place.column}; add it to the asset first.")

    def _refuse_cycle(self, edge: Edge) -> None:
        if edge.source == edge.target:
            path = _way(edge.end, edge.start, self._inside)
            if path is not None:
                raise CycleRefused(edge, [str(place) for place in path])
        elif edge.target not in self._assets_after.get(edge.source, set()):
            names = _way(edge.target, edge.source, self.assets_after)
            if names is not None:
                raise CycleRefused(edge, names)

    def _inside(self, place: Place) -> Iterator[Place]:
        return (edge.end for edge in self.after(place) if edge.target == edge.source)


def is_rows(column: str | None) -> bool:
    """Whether a column's name stands for the rows: of the asset, or of one of the tables that it holds."""
    return column is not None and (column == ROWS or column.endswith(f".{ROWS}"))


def _way(start: T, goal: T, after: Callable[[T], Iterable[T]]) -> list[T] | None:
    """A way from start to goal, both included, or None."""
    came_from: dict[T, T | None] = {start: None}
    waiting = [start]
    while waiting:
        here = waiting.pop()
        if here == goal:
            way = [here]
            while (before := came_from[way[-1]]) is not None:
                way.append(before)
            return way[::-1]
        for following in after(here):
            if following not in came_from:
                came_from[following] = here
                waiting.append(following)
    return None
