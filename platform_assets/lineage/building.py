"""Builds a graph step by step, and follows fields inside a column back to where they come from."""

from collections.abc import Iterable, Mapping

from platform_assets.lineage.graph import ROWS, Asset, AssetKind, Column, Edge, Influence, LineageGraph, Place


class GraphBuilder:
    """A graph that grows from sources to results. Within one asset a JSON column may hold fields, as `payload` does.

    A field that a query reads, `payload.quantity` of a table, is followed through every asset that passes `payload` on
    as it stands, so that it needs no declaration there.
    """

    def __init__(self) -> None:
        self.graph = LineageGraph()
        self.problems: list[str] = []
        """What could not be followed, and why; the graph is less precise there."""
        self._as_it_stands: dict[Place, Place] = {}
        self._containers: set[Place] = set()

    def asset(
        self,
        name: str,
        kind: AssetKind,
        description: str = "",
        columns: Iterable[Column | str] = (),
        *,
        aliases: Iterable[str] = (),
        facts: Mapping[str, str] | None = None,
    ) -> None:
        """Add an asset, or columns to one."""
        made = tuple(Column(column) if isinstance(column, str) else column for column in columns)
        self.graph.add_asset(
            Asset(
                name=name, kind=kind, description=description, columns=made, aliases=tuple(aliases),
                facts=dict(facts or {}),
            )
        )  # fmt: skip

    def edge(self, source: Place, target: Place, found_in: str, influence: Influence = Influence.DIRECT) -> None:
        """Add an edge; a field at its start is followed back."""
        self.follow(source)
        self.graph.add_edge(
            Edge(
                source=source.asset, source_column=source.column, target=target.asset, target_column=target.column,
                influence=influence, found_in=found_in,
            )
        )  # fmt: skip

    def copy(self, source: str, target: str, columns: Iterable[str], found_in: str) -> None:
        """Columns that pass from one asset to the next as they stand, and so do the rows."""
        for column in columns:
            self.passes(Place(source, column), Place(target, column), found_in)
        self.edge(Place(source, ROWS), Place(target, ROWS), found_in)

    def passes(self, source: Place, target: Place, found_in: str) -> None:
        """The target is the source as it stands."""
        self.edge(source, target, found_in)
        self._as_it_stands[target] = source

    def contains(self, place: Place, fields: Iterable[str | Column] = ()) -> None:
        """A column is made of its fields: these, and whatever others are read from it."""
        self._containers.add(place)
        for field in fields:
            column = Column(field) if isinstance(field, str) else field
            name = f"{place.column}.{column.name}"
            self._add_column(place.asset, Column(name, column.type, column.description))
            self.edge(Place(place.asset, name), place, "field of its column")

    def follow(self, place: Place) -> None:
        """Add a field that is not known yet inside a column that is, with what it is made of."""
        if self.graph.has(place) or place.column is None or "." not in place.column:
            return
        column, _, field = place.column.partition(".")
        whole = Place(place.asset, column)
        if not self.graph.has(whole):
            return
        self._add_column(place.asset, Column(place.column))
        if whole in self._as_it_stands:
            origin = self._as_it_stands[whole]
            self.passes(Place(origin.asset, f"{origin.column}.{field}"), place, "field of its column")
        if self._is_container(whole):
            self.edge(place, whole, "field of its column")
        elif whole not in self._as_it_stands:
            self.edge(whole, place, "field of its column")

    def _is_container(self, place: Place) -> bool:
        while place not in self._containers and place in self._as_it_stands:
            place = self._as_it_stands[place]
        return place in self._containers

    def _add_column(self, asset: str, column: Column) -> None:
        self.graph.add_asset(Asset(name=asset, kind=self.graph.assets[asset].kind, columns=(column,)))
